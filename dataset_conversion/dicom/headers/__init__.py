"""What the headers of DICOM files say."""
