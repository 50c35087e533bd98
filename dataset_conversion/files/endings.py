"""Lists the file name endings of supported images."""

VOLUME_ENDINGS = (".nii.gz", ".nii", ".nrrd", ".mha")
"""File name endings of volumes that can be converted and evaluated."""


IMAGE_ENDINGS = (*VOLUME_ENDINGS, ".mhd", ".png", ".tif", ".tiff", ".bmp")
"""File name endings of all images that nnU-Net can be trained on."""

PICTURE_ENDINGS = (".png", ".tif", ".tiff", ".bmp")
"""Those of images without a position in space. A picture in colour holds several channels."""
