"""Converts DICOM files to one NIfTI file per sequence, under pseudonyms."""
