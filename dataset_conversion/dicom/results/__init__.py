"""Writes what was found in a DICOM series as DICOM objects that viewers lay over it: segmentations, structure sets."""
