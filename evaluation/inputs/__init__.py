"""Folders of predictions and references, and the thresholds that apply to them."""
