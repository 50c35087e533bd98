"""Reads predictions and references from folders, and the thresholds that apply to them."""
