"""Writes an HTML page with which the user inspects every converted patient."""
