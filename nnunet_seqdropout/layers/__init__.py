"""Builds the parts of the 2.5D networks."""
