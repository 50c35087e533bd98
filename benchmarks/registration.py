"""Measures the accuracy and speed of ``register`` on known motion, also of elastix if itk-elastix is installed.

    python -m benchmarks.registration PHANTOM_FOLDER

The folder is what ``seqdropout phantom --like-paper`` writes. Every series of every patient is registered to the
reference series. The error of a transform is the mean distance, over the brain's voxels, between where it and the truth
send a voxel; and the angle between the two. Both programs have one thread; seconds are the processor's, which others
on the machine do not lengthen much, without reading files. elastix: its own rigid settings, mutual information, four
resolutions.
"""

import argparse
import json
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from dataset_conversion.registration.rigid import Diverged, register

try:
    import itk
except ImportError:
    itk = None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("phantom", type=Path, help="folder that holds hospital_a and hospital_b")
    patients = [file.parent for file in sorted(parser.parse_args().phantom.glob("hospital_*/*/*/truth.json"))]
    results: dict[tuple[str, str], list[tuple[float, float, float]]] = defaultdict(list)
    for patient in patients:
        truth = json.loads((patient / "truth.json").read_text(encoding="utf-8"))
        reference = patient / f"{truth['reference']}.nii.gz"
        brain = brain_points(sitk.ReadImage(str(reference)))
        for name in sorted(truth["transforms"].keys() - {truth["reference"]}):
            pair, true = f"{truth['reference']} - {name}", np.array(truth["transforms"][name])
            results[pair, "no registration"].append((*errors(np.eye(4), true, brain), 0.0))
            for tool, align in {"register": by_register, **({"elastix": by_elastix} if itk else {})}.items():
                matrix, seconds = align(reference, patient / f"{name}.nii.gz")
                results[pair, tool].append((*errors(matrix, true, brain), seconds))
    print(f"{len(patients)} patients\n\n{table(results)}")


def table(results: dict[tuple[str, str], list[tuple[float, float, float]]]) -> str:
    """Markdown: a row for every pair of sequences and tool, and for all pairs of a tool."""
    rows = dict(sorted(results.items()))
    for _, tool in results:
        rows["all", tool] = [row for (_, other), found in results.items() if other == tool for row in found]
    lines = [
        "| pair | tool | n | error mm, mean | max | error degrees, mean | max | CPU s, mean | max |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for (pair, tool), found in rows.items():
        numbers = np.stack([np.mean(found, axis=0), np.max(found, axis=0)], axis=1).ravel()
        lines.append(f"| {pair} | {tool} | {len(found)} | {' | '.join(f'{number:.2f}' for number in numbers)} |")
    return "\n".join(lines)


def by_register(reference: Path, moving: Path) -> tuple[NDArray[np.float64], float]:
    images = sitk.ReadImage(str(reference)), sitk.ReadImage(str(moving))
    started = time.process_time()
    try:
        found = register(*images)
    except Diverged as diverged:
        print(f"{moving}: {diverged}")
        found = diverged.attempt
    return np.array(found.matrix), time.process_time() - started


def by_elastix(reference: Path, moving: Path) -> tuple[NDArray[np.float64], float]:
    itk.MultiThreaderBase.SetGlobalDefaultNumberOfThreads(1)
    images = itk.imread(str(reference), itk.F), itk.imread(str(moving), itk.F)
    parameters = itk.ParameterObject.New()
    parameters.AddParameterMap({**parameters.GetDefaultParameterMap("rigid", 4), "WriteResultImage": ["false"]})
    started = time.process_time()
    method = itk.ElastixRegistrationMethod.New(*images, parameter_object=parameters, log_to_console=False)
    method.UpdateLargestPossibleRegion()
    seconds = time.process_time() - started
    found = method.GetTransformParameterObject().GetParameterMap(0)
    numbers, centre = ([float(n) for n in found[key]] for key in ("TransformParameters", "CenterOfRotationPoint"))
    transform = sitk.Euler3DTransform(centre, *numbers[:3], numbers[3:])
    matrix = np.eye(4)
    matrix[:3, :3] = np.reshape(transform.GetMatrix(), (3, 3))
    matrix[:3, 3] = transform.TransformPoint((0.0, 0.0, 0.0))
    return matrix, seconds


def brain_points(image: sitk.Image) -> NDArray[np.float64]:
    """Positions (N, 3), in mm, of every hundredth voxel that is not background."""
    index = np.argwhere(sitk.GetArrayViewFromImage(image))[::100, ::-1]
    axes = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    return index @ axes.T + image.GetOrigin()


def errors(found: NDArray[np.float64], true: NDArray[np.float64], points: NDArray[np.float64]) -> tuple[float, float]:
    """Mean distance in mm between where the two send the points, and the angle between the two in degrees."""
    difference = found - true
    distances = np.linalg.norm(points @ difference[:3, :3].T + difference[:3, 3], axis=1)
    cosine = (np.trace(found[:3, :3] @ true[:3, :3].T) - 1) / 2
    return float(distances.mean()), float(np.rad2deg(np.arccos(np.clip(cosine, -1, 1))))


if __name__ == "__main__":
    main()
