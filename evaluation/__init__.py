"""Evaluates predictions against reference labels: tables, figures and a report."""
