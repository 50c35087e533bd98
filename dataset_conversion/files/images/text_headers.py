"""Reads MetaImage and NRRD headers, strictly: SimpleITK ends the process of some that are wrong."""

import math
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dataset_conversion.faults import Fault
from dataset_conversion.files.images.declared import AGAIN, Declared, Encoding

TEXT_HEADERS = (".mha", ".mhd", ".nrrd", ".nhdr")
_LONGEST = 1 << 16
"""Of a header, in bytes."""
_META_TYPES = {
    "MET_CHAR": "i1", "MET_UCHAR": "u1", "MET_SHORT": "i2", "MET_USHORT": "u2", "MET_INT": "i4", "MET_UINT": "u4",
    "MET_LONG_LONG": "i8", "MET_ULONG_LONG": "u8", "MET_FLOAT": "f4", "MET_DOUBLE": "f8",
}  # fmt: skip
_NRRD_NAMES = {
    "i1": "signed char, int8, int8_t", "u1": "uchar, unsigned char, uint8, uint8_t",
    "i2": "short, short int, signed short, signed short int, int16, int16_t",
    "u2": "ushort, unsigned short, unsigned short int, uint16, uint16_t",
    "i4": "int, signed int, int32, int32_t", "u4": "uint, unsigned int, uint32, uint32_t",
    "i8": "longlong, long long, long long int, signed long long, signed long long int, int64, int64_t",
    "u8": "ulonglong, unsigned long long, unsigned long long int, uint64, uint64_t", "f4": "float", "f8": "double",
}  # fmt: skip
_NRRD_TYPES = {name: short for short, names in _NRRD_NAMES.items() for name in names.split(", ")}
_NRRD_ENCODINGS: dict[str, Encoding] = {
    "raw": "raw",
    "gzip": "gzip",
    "gz": "gzip",
    "text": "text",
    "txt": "text",
    "ascii": "text",
}


def read_header(path: Path) -> Declared:
    """Of a ``.mha``, ``.mhd``, ``.nrrd`` or ``.nhdr``. Raises Fault where a field is wrong, or it is not one volume."""
    try:
        with path.open("rb") as stream:
            start = stream.read(_LONGEST)
    except OSError as error:
        raise Fault(f"it cannot be opened ({error.strerror or error})", file=path, remedy=AGAIN) from error
    if not start:
        raise Fault("the file is empty", file=path, remedy=AGAIN)
    try:
        return _metaimage(path, start) if path.suffix.lower() in (".mha", ".mhd") else _nrrd(path, start)
    except (ValueError, KeyError, OverflowError) as error:
        if isinstance(error, Fault):
            raise
        what = f"there is no {error}" if isinstance(error, KeyError) else str(error)
        raise Fault(f"this is no readable image (its header: {what})", file=path, remedy=AGAIN) from error


def _metaimage(path: Path, start: bytes) -> Declared:
    end = re.search(rb"^ElementDataFile *= *([^\r\n]*?) *(\r?\n|\Z)", start, re.MULTILINE)
    if end is None:
        raise ValueError("there is no ElementDataFile")
    lines = start[: end.end()].decode("latin-1").splitlines()
    fields = _fields(lines, r"(\w+) *= *(.*?) *")
    n = _whole(fields["NDims"], 1, 9)
    _require_one_volume(n, fields["DimSize"], path, values=_whole(fields.get("ElementNumberOfChannels", "1"), 1, 999))
    for names, count in (
        ("ElementSpacing ElementSize", n),
        ("Offset Position Origin CenterOfRotation", n),
        ("TransformMatrix Rotation Orientation", n * n),
    ):
        for name in names.split():
            _numbers(fields.get(name, " ".join(["1"] * count)), count, positive=names.startswith("Element"))
    dtype = np.dtype(_META_TYPES[fields["ElementType"]])
    big = _is_true(fields.get("BinaryDataByteOrderMSB", fields.get("ElementByteOrderMSB", "False")))
    skipped = _whole(fields.get("HeaderSize", "0"), -1, 1 << 40)
    compressed = _is_true(fields.get("CompressedData", "False"))
    encoding: Encoding = "zlib" if compressed else "raw" if _is_true(fields.get("BinaryData", "True")) else "text"
    place = end[1].decode("utf-8", "surrogateescape")
    begin = skipped + (end.end() if place.upper() == "LOCAL" else 0)
    n_stored = fields.get("CompressedDataSize") if compressed else None
    return Declared(
        tuple(_wholes(fields["DimSize"], n)),
        dtype.newbyteorder(">" if big else "<"),
        encoding,
        _data_file(path, place),
        None if skipped == -1 else begin,
        None if n_stored in (None, "0") else _whole(n_stored, 1, 1 << 40),
    )


def _nrrd(path: Path, start: bytes) -> Declared:
    if not re.match(rb"NRRD000[1-6]\r?\n", start):
        raise ValueError("it does not begin with NRRD and its version")
    end = re.search(rb"\r?\n\r?\n|\n?\Z", start)
    attached = end is not None and end[0].strip(b"\r\n") == b"" and len(end[0]) > 1
    lines = start[: end.start() if end else None].decode("latin-1").splitlines()[1:]
    kept = [line for line in lines if not line.startswith("#") and ":=" not in line]
    # names of fields are the same in upper and lower case
    kept = [
        name.replace(" ", "").lower() + sign + value for name, sign, value in (line.partition(":") for line in kept)
    ]
    fields = _fields(kept, r"(\w+): *(.*?) *")
    n = _whole(fields["dimension"], 1, 16)
    values = [kind for kind in fields.get("kinds", "").split() if kind not in ("domain", "space", "none", "???")]
    _require_one_volume(n, fields["sizes"], path, values=1 + len(values))
    _nrrd_position(fields, n)
    dtype = np.dtype(_NRRD_TYPES[fields["type"]])
    encoding = _NRRD_ENCODINGS[fields["encoding"].lower()]
    if dtype.itemsize > 1 and encoding != "text" and fields["endian"] not in ("little", "big"):
        raise ValueError(f"endian {fields['endian']}")
    skipped = _whole(fields.get("byteskip", "0"), -1, 1 << 40)
    if _whole(fields.get("lineskip", "0"), 0, 0) or (skipped and encoding != "raw"):
        raise ValueError("bytes or lines are skipped")
    place = fields.get("datafile", "LOCAL")
    if place == "LOCAL" and not attached:
        raise ValueError("there is no empty line at its end")
    begin = skipped + (end.end() if place == "LOCAL" and end else 0)
    return Declared(
        tuple(_wholes(fields["sizes"], n)),
        dtype.newbyteorder(">" if fields.get("endian") == "big" else "<"),
        encoding,
        _data_file(path, place),
        None if skipped == -1 else begin,
    )


def _nrrd_position(fields: dict[str, str], n: int) -> None:
    vector = r"\(([^()]*)\)"
    for name, count in (("spacedirections", n), ("spaceorigin", 1)):
        if name in fields:
            vectors = re.findall(vector, fields[name])
            if len(vectors) != count or re.sub(vector, "", fields[name]).strip():
                raise ValueError(f"{name} {fields[name]}")
            for numbers in vectors:
                _numbers(numbers.replace(",", " "), n, positive=False)
    if "spacings" in fields:
        _numbers(fields["spacings"], n, positive=True)


def _fields(lines: Sequence[str], form: str) -> dict[str, str]:
    """Name: value. Raises ValueError where a line has another form, or a name comes twice."""
    fields: dict[str, str] = {}
    for line in filter(None, lines):
        if (found := re.fullmatch(form, line)) is None or found[1] in fields:
            raise ValueError(f"the line {line[:60]!r}")
        fields[found[1]] = found[2]
    return fields


def _require_one_volume(n: int, size: str, path: Path, *, values: int) -> None:
    problem = f"this is not one volume ({n}D, size {size}"
    if n not in (2, 3) or values > 1:
        several = ", several values for every voxel" if values > 1 else ""
        raise Fault(f"{problem}{several})", file=path, remedy="Give a file with one volume.")


def _data_file(path: Path, place: str) -> Path:
    if place.upper() == "LOCAL":
        return path
    if place.upper().startswith("LIST") or "%" in place:
        raise Fault("its voxels lie in several files", file=path, remedy="Save it as one file.")
    file = path.parent / place
    if not file.is_file():
        raise Fault(f"the file of its voxels, {place}, is not there", file=path, remedy=f"Put {place} beside it.")
    return file


def _is_true(text: str) -> bool:
    if text.lower() not in ("true", "false", "1", "0"):
        raise ValueError(f"{text} is neither True nor False")
    return text.lower() in ("true", "1")


def _whole(text: str, low: int, high: int) -> int:
    if not re.fullmatch(r"[+-]?\d{1,18}", text) or not low <= int(text) <= high:
        raise ValueError(f"{text[:30]!r} is no whole number from {low} to {high}")
    return int(text)


def _wholes(text: str, count: int) -> list[int]:
    numbers = [_whole(word, 0, 1 << 40) for word in text.split()]
    if len(numbers) != count:
        raise ValueError(f"{text[:60]!r} are not {count} numbers")
    return numbers


def _numbers(text: str, count: int, *, positive: bool) -> None:
    numbers = [float(word) for word in text.split()]
    if len(numbers) != count or not all(math.isfinite(x) and (x > 0 or not positive) for x in numbers):
        raise ValueError(f"{text[:60]!r} are not {count}{' positive' if positive else ''} numbers")
