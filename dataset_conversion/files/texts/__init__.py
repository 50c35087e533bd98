"""Texts: JSON and YAML, what a key must hold, and the files that several rooms read."""
