"""Runs the paper's experiment on one data set, from the design to the report."""
