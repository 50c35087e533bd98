"""Finds patients by a layout and writes them as an nnU-Net raw data set."""
