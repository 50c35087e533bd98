"""Converts folders of images to nnU-Net raw data sets, with placeholders for absent sequences."""
