"""Reads images and writes files; no other code opens an image or writes a file."""
