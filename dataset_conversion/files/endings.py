"""Lists the file name endings of supported images."""

VOLUME_ENDINGS = (".nii.gz", ".nii", ".nrrd", ".mha")
"""File name endings of volumes that can be converted and evaluated."""


IMAGE_ENDINGS = (*VOLUME_ENDINGS, ".mhd", ".png", ".tif", ".tiff", ".bmp")
"""File name endings of all images that nnU-Net can be trained on."""
