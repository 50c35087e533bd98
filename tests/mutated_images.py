"""Mutates image files and reads them, beside readers of our own that share no code with the one under test.

``python mutated_images.py NUMBER SEED`` does so in a process of its own, whose memory is bounded, and prints as JSON
what came of it: how many were refused, how many read as they are, and every one that was read wrong or ended otherwise.
"""

import faulthandler
import gzip
import json
import re
import resource
import sys
import zlib
from collections import Counter
from contextlib import suppress
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import nibabel
import numpy as np
import SimpleITK as sitk

from dataset_conversion.faults import Fault
from dataset_conversion.files.images.headers import stored_geometry
from dataset_conversion.files.images.image_io import read_image

ENDINGS = (".nii", ".nii.gz", ".nrrd", ".mha", ".mhd")
MOST_BYTES = 4 << 30
"""Of address space; what is read takes some thousand bytes."""
SLOWEST_S = 20
FARTHEST_MM = 0.1
"""That a corner may be from where the other reader sees it."""
EXTREMES = ("0", "-1", "7", "1000", "65536", "1000000000", "99999999999999999999", "nan", "inf", "1e-30", "1e300", "")
META_TYPES = {"UCHAR": "u1", "CHAR": "i1", "SHORT": "i2", "USHORT": "u2", "INT": "i4", "UINT": "u4"} | {
    "LONG_LONG": "i8",
    "ULONG_LONG": "u8",
    "FLOAT": "f4",
    "DOUBLE": "f8",
}
NRRD_TYPES = {"uchar": "u1", "unsigned char": "u1", "signed char": "i1", "short": "i2", "unsigned short": "u2"} | {
    "int": "i4",
    "unsigned int": "u4",
    "float": "f4",
    "double": "f8",
}


def write_original(folder: Path, ending: str, rng: np.random.Generator) -> Path:
    """A volume of at most 8 x 7 x 6 voxels, of any type, compressed or not, oblique, and in a NIfTI with a slope."""
    dtype = rng.choice(["u1", "i2", "i4", "f4", "f8"])
    image = sitk.GetImageFromArray(rng.integers(0, 200, rng.integers(2, 9, 3)).astype(dtype))
    image.SetSpacing(rng.uniform(0.5, 3, 3).round(2).tolist())
    image.SetOrigin(rng.uniform(-90, 90, 3).round(1).tolist())
    image.SetDirection(sitk.Euler3DTransform((0, 0, 0), *rng.uniform(-0.5, 0.5, 3).tolist()).GetMatrix())
    file = folder / f"image{ending}"
    sitk.WriteImage(image, str(file), useCompression=bool(rng.random() < 0.7))
    if ".nii" in ending and rng.random() < 0.3:
        read = nibabel.Nifti1Image.from_filename(file)
        read.header.set_slope_inter(*rng.uniform(0.1, 5, 2).tolist())
        scaled = nibabel.Nifti1Image(np.asarray(read.dataobj), read.affine, read.header)
        nibabel.save(scaled, file)
    return file


def mutated(content: bytes, header_length: int, rng: np.random.Generator) -> bytes:
    """The bytes with one to three changes; half of them hit the header."""
    data = bytearray(content)
    for _ in range(rng.integers(1, 4)):
        end = min(header_length, len(data)) if rng.random() < 0.5 else len(data)
        place = int(rng.integers(0, max(1, end)))
        match rng.integers(0, 8):
            case 0 | 1:
                data[place : place + 1] = bytes([data[place] ^ (1 << int(rng.integers(8)))] if data else [])
            case 2:
                data[place : place + 4] = rng.bytes(4)
            case 3:
                del data[place:]
            case 4:
                data += rng.bytes(int(rng.integers(1, 3000)))
            case 5:
                del data[place : place + int(rng.integers(1, 20))]
            case 6:
                number = rng.choice([0, 1, -1, 3e38, np.nan, np.inf, -1e30, 1e-40])
                data[place - place % 4 : place - place % 4 + 4] = np.float32(number).tobytes()
            case 7:
                _replace_a_number(data, header_length, rng)
    return bytes(data)


def _replace_a_number(data: bytearray, header_length: int, rng: np.random.Generator) -> None:
    """In a header of text, by one at the edge of what can be."""
    numbers = [*re.finditer(rb"-?\d+(\.\d+)?", data[:header_length])]
    if numbers:
        number = numbers[int(rng.integers(len(numbers)))]
        data[number.start() : number.end()] = str(rng.choice(EXTREMES)).encode()


def mutate(file: Path, rng: np.random.Generator) -> None:
    """Changes the file, what its compression holds, or, of ``.mhd``, the file of its voxels."""
    if file.suffix == ".mhd" and rng.random() < 0.4:
        file = next(other for other in file.parent.iterdir() if other != file)
    content = file.read_bytes()
    if file.suffix == ".gz" and rng.random() < 0.7:
        file.write_bytes(gzip.compress(mutated(gzip.decompress(content), 352, rng)))
        return
    end = content.find(b"\n\n") + 2 if file.suffix == ".nrrd" else content.find(b"LOCAL") + 6
    file.write_bytes(mutated(content, {".nii": 352, ".gz": 20, ".mhd": len(content)}.get(file.suffix, end), rng))


def independent(file: Path) -> np.ndarray:
    """The voxels (Z, Y, X) by nibabel, or by a strict parser that knows what ``write_original`` writes."""
    if ".nii" in file.name:
        if file.suffix == ".gz":
            gzip.decompress(file.read_bytes())
        return np.asanyarray(nibabel.Nifti1Image.from_filename(file).dataobj).T
    return _nrrd(file.read_bytes()) if file.suffix == ".nrrd" else _meta(file)


def _nrrd(content: bytes) -> np.ndarray:
    header, data = content.split(b"\n\n", 1)
    fields = dict(re.findall(r"^([a-z ]+): *(.*?)\r?$", header.decode("latin-1").lower(), re.MULTILINE))
    dtype = np.dtype(NRRD_TYPES[fields["type"]])
    if fields.get("endian") == "big":
        dtype = dtype.newbyteorder(">")
    if fields["encoding"].strip().lower() in ("gzip", "gz"):
        data = gzip.decompress(data)
    return _shaped(data, dtype, [int(n) for n in fields["sizes"].split()])


def _meta(file: Path) -> np.ndarray:
    header, place, data = re.split(rb"ElementDataFile *= *(\S+)\r?\n", file.read_bytes(), maxsplit=1)
    fields: dict[str, str] = dict(re.findall(r"^(\w+) *= *(.*?) *\r?$", header.decode("latin-1"), re.MULTILINE))
    if place != b"LOCAL":
        data = (file.parent / place.decode()).read_bytes()
    dtype = np.dtype(META_TYPES[fields["ElementType"].removeprefix("MET_")])
    if fields.get("BinaryDataByteOrderMSB", fields.get("ElementByteOrderMSB", "False"))[:1].lower() in ("t", "1"):
        dtype = dtype.newbyteorder(">")
    if fields.get("CompressedData", "False")[:1].lower() in ("t", "1"):
        # 0: not said
        data = zlib.decompress(data[: int(fields.get("CompressedDataSize", 0)) or len(data)])
    return _shaped(data, dtype, [int(n) for n in fields["DimSize"].split()])


def _shaped(data: bytes, dtype: np.dtype, size: list[int]) -> np.ndarray:
    return np.frombuffer(data, dtype, count=int(np.prod(size))).reshape(size[::-1])


def independent_place(file: Path) -> np.ndarray | None:
    """The affine (4, 4) from voxel (x, y, z) to LPS mm, read without SimpleITK; None where the header has none."""
    if ".nii" in file.name:
        image = nibabel.Nifti1Image.from_filename(file)
        if not any(int(image.header[code]) for code in ("sform_code", "qform_code")):
            return None
        in_mm = {1: 1000.0, 3: 0.001}.get(int(image.header["xyzt_units"]) & 7, 1.0)  # metre, micron
        return np.diag([-in_mm, -in_mm, in_mm, 1]) @ image.affine
    return _nrrd_place(file.read_bytes()) if file.suffix == ".nrrd" else _meta_place(file.read_bytes())


def _nrrd_place(content: bytes) -> np.ndarray:
    fields = dict(
        re.findall(r"^([a-z ]+): *(.*?)\r?$", content.split(b"\n\n", 1)[0].decode("latin-1").lower(), re.MULTILINE)
    )
    vectors = [np.fromstring(text, sep=",") for text in re.findall(r"\(([^()]*)\)", fields["space directions"])]
    affine = np.eye(4)
    affine[:3, :3] = np.stack(vectors, axis=1)
    affine[:3, 3] = np.fromstring(fields["space origin"].strip("()"), sep=",")
    # left-posterior-superior, or right and anterior
    signs = [-1 if letter in "ra" else 1 for letter in ("".join(w[0] for w in fields["space"].lower().split("-")))]
    return np.diag([*(sign if i < 2 else 1 for i, sign in enumerate(signs)), 1]) @ affine


def _meta_place(content: bytes) -> np.ndarray:
    header = re.split(rb"ElementDataFile", content, maxsplit=1)[0].decode("latin-1")
    fields: dict[str, str] = dict(re.findall(r"^(\w+) *= *(.*?) *\r?$", header, re.MULTILINE))

    def numbers(names: str, otherwise: str) -> np.ndarray:
        return np.array(next((fields[n] for n in names.split() if n in fields), otherwise).split(), float)

    affine = np.eye(4)
    axes = numbers("TransformMatrix Rotation Orientation", "1 0 0 0 1 0 0 0 1").reshape(3, 3)
    affine[:3, :3] = axes.T * numbers("ElementSpacing ElementSize", "1 1 1")
    affine[:3, 3] = numbers("Offset Position Origin", "0 0 0")
    return affine


def farthest_corner_mm(image: sitk.Image, affine: np.ndarray) -> float:
    """How far a corner of the image is from where the affine puts it, at most."""
    corners = np.array([*product(*[(0, n - 1) for n in image.GetSize()])])
    ours = np.array([image.TransformIndexToPhysicalPoint(corner.tolist()) for corner in corners])
    return float(np.linalg.norm(ours - corners @ affine[:3, :3].T - affine[:3, 3], axis=1).max())


def outcome(file: Path) -> str:
    """Refused, read, or what is wrong with how it ended."""
    with suppress(Fault):
        stored_geometry(file)
    try:
        image = read_image(file)
        ours = sitk.GetArrayFromImage(image)
    except Fault as fault:
        return "refused" if "\n" not in str(fault) else f"several lines: {fault}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    try:
        theirs, affine = independent(file), independent_place(file)
    except Exception as error:
        return f"read, though another reader cannot: {type(error).__name__}: {error}"
    if ours.size != theirs.size or not np.array_equal(ours.ravel(), theirs.ravel().astype(ours.dtype)):
        return f"other values: {ours.shape} {ours.ravel()[:3]}, {theirs.shape} {theirs.ravel()[:3]}"
    if affine is not None and not (apart := farthest_corner_mm(image, affine)) <= FARTHEST_MM:
        return f"another place: {apart} mm apart, {image.GetSpacing()} {image.GetOrigin()} {image.GetDirection()}"
    return "read"


def read_mutated(number: int, seed: int, *, keep: Path | None = None) -> dict:
    """What came of ``number`` files of each ending in turn. keep: a folder for those that went wrong."""
    counts: Counter[str] = Counter()
    wrong = {}
    for i in range(number):
        rng, ending = np.random.default_rng((seed, i)), ENDINGS[i % len(ENDINGS)]
        with TemporaryDirectory() as folder:
            file = write_original(Path(folder), ending, rng)
            mutate(file, rng)
            print(f"{seed} {i} {ending}", file=sys.stderr, flush=True)
            # what hangs is as bad as what crashes
            faulthandler.dump_traceback_later(SLOWEST_S, exit=True)
            found = outcome(file)
            faulthandler.cancel_dump_traceback_later()
            if found in ("refused", "read"):
                counts[f"{ending} {found}"] += 1
            else:
                wrong[f"{i}{ending}"] = found
                for each in Path(folder).iterdir() if keep else ():
                    (keep / f"{i}_{each.name}").write_bytes(each.read_bytes())  # type: ignore[operator]
    return {
        "counts": dict(sorted(counts.items())),
        "wrong": wrong,
        "peak_bytes": _peak_bytes(),
    }


def _peak_bytes() -> int:
    """The most memory that this program took; ``ru_maxrss`` counts that of the process which started it, too."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    kept = Path(sys.argv[3]) if len(sys.argv) > 3 else None
    print(json.dumps(read_mutated(int(sys.argv[1]), int(sys.argv[2]), keep=kept), indent=1))
