"""Computes metrics from arrays."""
