"""Tables in, one figure out; slices, mosaics, colours."""
