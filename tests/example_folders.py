"""Folders of three patients with probabilities of nnU-Net and two to validate on, and the command on them."""

import csv

import numpy as np
import SimpleITK as sitk

from nnunet_seqdropout.cli.command import main

SHAPE = (4, 6, 8)
SPACING = (1.0, 1.0, 2.5)


def save(voxels, path, *, spacing=SPACING, origin=(0.0, 0.0, 0.0)):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing(spacing)
    image.SetOrigin(origin)
    sitk.WriteImage(image, str(path), useCompression=True)


def patient(seed):
    """A reference of two lesions and probabilities that find the first, nearly the second, and one false object."""
    rng = np.random.default_rng(seed)
    reference = np.zeros(SHAPE, np.uint8)
    reference[0, 0:2, 0:3] = reference[3, 4, 6:8] = 1
    probability = rng.uniform(0, 0.3, SHAPE).astype(np.float32)
    probability[0, 0:2, 1:4] = 0.9
    probability[3, 4, 6] = 0.4
    probability[2, 3, 0] = 0.72
    return reference, probability


def save_npz(probability, folder, case):
    folder.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(folder / f"{case}.npz", probabilities=np.stack([1 - probability, probability]))
    save((probability >= 0.5).astype(np.uint8), folder / f"{case}.nii.gz")


def write_folders(folder):
    """Three patients with probabilities of nnU-Net, and two to validate on."""
    for kind, seeds in (("test", (0, 1, 2)), ("val", (3, 4))):
        for seed in seeds:
            reference, probability = patient(seed)
            save(reference, folder / f"{kind}_gt" / f"P{seed}.nii.gz")
            save_npz(probability, folder / f"{kind}_p", f"P{seed}")
    return folder


def evaluate(folders, *options, out="out"):
    paths = ("-gt", folders / "test_gt", "-p", folders / "test_p", "-o", folders / out)
    return main([str(word) for word in ("evaluate", *paths, "--no-report", "--name", out, *options)])


def rows(file):
    with file.open() as lines:
        return list(csv.DictReader(lines))
