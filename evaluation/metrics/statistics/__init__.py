"""Intervals and tests over patients."""
