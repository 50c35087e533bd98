"""Lists the file name endings of supported images, and of images that have to be converted first."""

VOLUME_ENDINGS = (".nii.gz", ".nii", ".nrrd", ".mha")
"""File name endings of volumes that can be converted and evaluated."""


IMAGE_ENDINGS = (*VOLUME_ENDINGS, ".mhd", ".png", ".tif", ".tiff", ".bmp")
"""File name endings of all images that nnU-Net can be trained on."""

MEDICAL_ENDINGS = (
    *(*VOLUME_ENDINGS, ".nii.bz2", ".nii.xz", ".nii.zst", ".mhd", ".nhdr", ".mgz", ".mgh"),
    *(".hdr", ".img", ".img.gz", ".mif", ".mif.gz", ".mnc", ".dcm", ".ima"),
)
"""File name endings of medical images of any kind: one that is not used must not be passed over in silence."""

PICTURE_ENDINGS = (".png", ".tif", ".tiff", ".bmp")
"""Those of images without a position in space. A picture in colour holds several channels."""
