"""Layouts and patients in, an nnU-Net raw data set out."""
