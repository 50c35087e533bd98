"""Generates synthetic patients of Hospital A and Hospital B."""
