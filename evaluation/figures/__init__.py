"""Draws figures from tables, and slices, mosaics and layers from images."""
