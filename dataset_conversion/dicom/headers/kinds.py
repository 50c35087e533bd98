"""Says what the objects of a DICOM series are: images of a sequence, or what lies beside them, and of which vendor.

What is said is in words of this file, never in those of a header, which may name a patient.
"""

from collections.abc import Sequence

MR_IMAGES = (
    "1.2.840.10008.5.1.4.1.1.4",
    "1.2.840.10008.5.1.4.1.1.4.1",
    "1.2.840.10008.5.1.4.1.1.4.4",
)
"""Classic, enhanced, and enhanced as converted from classic."""

OTHER_OBJECTS = {
    "1.2.840.10008.5.1.4.1.1.7": "screenshot (secondary capture)",
    "1.2.840.10008.5.1.4.1.1.11": "presentation state",
    "1.2.840.10008.5.1.4.1.1.88": "report",
    "1.2.840.10008.5.1.4.1.1.104": "document (PDF)",
    "1.2.840.10008.5.1.4.1.1.66": "raw data, registration or segmentation",
    "1.2.840.10008.5.1.4.1.1.4.2": "spectroscopy",
    "1.2.840.10008.5.1.4.1.1.4.3": "colour image",
    "1.2.840.10008.5.1.4.1.1.481": "radiotherapy object",
}
"""SOP classes: of a class or of a group of classes."""

MODALITIES = ("MR", "CT", "PT", "NM", "US", "CR", "DX", "XA", "MG", "OT", "SC", "SR", "PR", "KO", "DOC", "SEG", "REG")

MARKS = {
    "localizer": ("LOCALIZER", "SCOUT"),
    "reformatted": ("MPR", "CPR", "REFORMATTED", "RESAMPLED", "MPR THICK", "VR", "VRT", "VXTL STATE"),
    "projection": ("MIP", "MINIP", "MIN IP", "MNIP", "MAX IP", "MAX_IP", "PROJECTION IMAGE"),
    "subtraction": ("SUB", "SUBTRACT", "SUBTRACTION"),
    "map": (
        *("ADC", "EADC", "FA", "TRACEW", "TENSOR", "ADC_MAP", "DIFFUSION", "CBF", "CBV", "RCBV", "RCBF", "MTT", "TTP"),
        *("T1 MAP", "T2 MAP", "T1_MAP", "T2_MAP", "T2_STAR MAP", "T2_STAR_MAP", "R2_MAP", "R2_STAR MAP", "FMRI"),
    ),
    "phase image": ("P", "PHASE", "PHASE MAP", "PHASE_MAP", "I", "IMAGINARY"),
    "screenshot": ("SCREEN SAVE", "SCREENSAVE"),
}
"""Values of ImageType from the third on."""

VENDORS = {
    "siemens": "Siemens",
    "philips": "Philips",
    "ge ": "GE",
    "canon": "Canon",
    "toshiba": "Canon",
    "hitachi": "Fujifilm",
    "fujifilm": "Fujifilm",
    "hyperfine": "Hyperfine",
    "uih": "United Imaging",
    "united imaging": "United Imaging",
    "bruker": "Bruker",
}


def aside_of(sop_class: str, modality: str, image_type: Sequence[str]) -> str:
    """Why an object is no image of a sequence: what it is. Empty where it may be one."""
    if sop_class and sop_class not in MR_IMAGES:
        of_class = (word for uid, word in OTHER_OBJECTS.items() if f"{sop_class}.".startswith(f"{uid}."))
        return next(of_class, f"no MR image ({known_modality(modality)})")
    if modality != "MR":
        return f"no MR image ({known_modality(modality)})"
    marks = {value.strip().upper() for value in image_type[2:]}
    return next((f"{word} (ImageType)" for word, values in MARKS.items() if not marks.isdisjoint(values)), "")


def is_derived(image_type: Sequence[str]) -> bool:
    return bool(image_type) and image_type[0].strip().upper() == "DERIVED"


def is_mosaic(image_type: Sequence[str]) -> bool:
    return any(value.strip().upper() == "MOSAIC" for value in image_type)


def known_modality(modality: str) -> str:
    return modality if modality in MODALITIES else "another modality"


def vendor_of(manufacturer: str) -> str:
    text = f"{manufacturer.strip().lower()} "
    return next((vendor for word, vendor in VENDORS.items() if text.startswith(word)), "other")
