"""Writes the HTML reports."""
