"""Synthetic patients of Hospital A and Hospital B."""
