"""Lists the file name endings of supported images."""

VOLUME_ENDINGS = (".nii.gz", ".nii", ".nrrd", ".mha")
"""Of the volumes that are converted and evaluated."""


IMAGE_ENDINGS = (*VOLUME_ENDINGS, ".mhd", ".png", ".tif", ".tiff", ".bmp")
"""Of all images that nnU-Net may have been trained on."""
