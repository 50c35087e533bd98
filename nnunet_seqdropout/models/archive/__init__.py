"""A model in one file: written, and installed into nnU-Net's folders."""
