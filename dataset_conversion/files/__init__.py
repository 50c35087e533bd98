"""The only code that opens an image or writes a file."""
