"""Draws patients: slices, what was found in them, and layers that a page lays over each other."""
