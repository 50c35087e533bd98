"""Checks data sets for faults before they are used."""
