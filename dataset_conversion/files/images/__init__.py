"""Images: read to the last byte and checked, written, compared by their grids."""
