"""Metrics of lesions: which are found, and at the price of how many false alarms."""
