"""Draws one picture of a synthetic cohort: all series and the label of the first patients of both hospitals.

    python -m benchmarks.mosaic PHANTOM_FOLDER PICTURE.png

Every row is a patient, at the largest cross-section of the lesions; series on grids of their own are brought
to the reference series with the true transforms.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from matplotlib.figure import Figure

COLUMNS = ("bravo", "t1_pre", "t1_gd", "flair", "seg")
PATIENTS_PER_HOSPITAL = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("phantom", type=Path, help="folder that holds hospital_a and hospital_b")
    parser.add_argument("picture", type=Path)
    arguments = parser.parse_args()
    patients = [
        patient.parent
        for hospital in ("a", "b")
        for patient in sorted(arguments.phantom.glob(f"hospital_{hospital}/*/*/truth.json"))[-PATIENTS_PER_HOSPITAL:]
    ]
    figure = Figure(figsize=(2.4 * len(COLUMNS), 2.7 * len(patients)), layout="constrained", facecolor="black")
    axes = figure.subplots(len(patients), len(COLUMNS), squeeze=False)
    for row, patient in zip(axes, patients, strict=True):
        images = _on_reference(patient)
        z = int(images["seg"].sum(axis=(1, 2)).argmax())
        for ax, name in zip(row, COLUMNS, strict=True):
            ax.set_axis_off()
            if name in images:
                shown = images[name][z]
                brightest = np.percentile(images[name][images[name] > 0], 99.9)
                ax.imshow(shown, cmap="gray", vmin=0, vmax=brightest)
                ax.set_title(f"{patient.parts[-3]}: {name}", color="white", fontsize=9)
    figure.savefig(arguments.picture, dpi=75)


def _on_reference(patient: Path) -> dict[str, np.ndarray]:
    truth = json.loads((patient / "truth.json").read_text(encoding="utf-8"))
    reference = sitk.ReadImage(patient / "seg.nii.gz")
    images = {"seg": sitk.GetArrayFromImage(reference)}
    for name, rows in truth["transforms"].items():
        matrix = np.array(rows)
        transform = sitk.AffineTransform(matrix[:3, :3].ravel().tolist(), matrix[:3, 3].tolist())
        image = sitk.ReadImage(patient / f"{name}.nii.gz", sitk.sitkFloat32)
        images[name] = sitk.GetArrayFromImage(sitk.Resample(image, reference, transform, sitk.sitkLinear))
    return images


if __name__ == "__main__":
    main()
