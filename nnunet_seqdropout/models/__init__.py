"""Finds trained models and reads their ``dataset.json``."""
