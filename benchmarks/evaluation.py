"""Measures how fast one patient is evaluated, compared with scikit-learn's ROC and panoptica's lesion matching.

    python -m benchmarks.evaluation --panoptica PYTHON

PYTHON has panoptica (https://pypi.org/project/panoptica), in an environment of its own, since it pins an older numpy.
One case of 256 x 256 x 192 voxels with 20 lesions; three maps: 40 objects; those and 2,000 specks; and a map of about
7 million distinct values. All of a patient's figures without the FROC, arrays in memory, the programs taking turns;
medians. panoptica matches many objects to one lesion, once with its usual metrics and once with Dice alone, the least
that it can be asked for. Then the whole command, without figures, in seconds by the clock and of the processor, which
other programs disturb less; and the FROC of a map that is noise throughout.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score, roc_curve

from evaluation.metrics.lesion.froc_steps import froc_steps
from evaluation.metrics.lesion.lesions import find_objects
from evaluation.patient import Rules, evaluate_patient
from evaluation.tables.froc import LOWEST

SHAPE, THRESHOLD = (192, 256, 256), 0.5
WORKER = Path(__file__).with_name("panoptica_worker.py")
COMMAND = Path(sys.executable).with_name("seqdropout")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--panoptica", type=Path, required=True, metavar="PYTHON", help="an interpreter that has it")
    parser.add_argument("--turns", type=int, default=5, help="how often each program runs (5)")
    parser.add_argument("--memory", nargs=2, type=Path, metavar="NPY", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.memory:
        print(_peak_over_inputs(*arguments.memory))
        return
    reference, maps = make_case(np.random.default_rng(0))
    print("| map | distinct values | ours s | roc_curve s | panoptica s, Dice alone | ratio, Dice alone | added MiB |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name, probability in maps.items():
            print(_row(name, reference, probability, Path(folder), arguments.panoptica, arguments.turns), flush=True)
        commands = _commands(reference, maps["40 objects"], Path(folder), arguments.panoptica, arguments.turns)
    print(f"\nWhole command, medians of {arguments.turns}:\n")
    print("| command | s | ours / this | CPU s | ours / this |")
    print("|---|---|---|---|---|")
    own = commands["seqdropout evaluate --no-report"]
    for name, (clock, cpu) in commands.items():
        print(f"| {name} | {clock:.2f} | {own[0] / clock:.2f} | {cpu:.2f} | {own[1] / cpu:.2f} |")
    rng = np.random.default_rng(0)
    noise = np.where(rng.random(SHAPE) < 0.56, rng.random(SHAPE), 0).astype(np.float32)
    n = np.count_nonzero(noise >= LOWEST)
    seconds = _seconds(lambda: froc_steps(find_objects(reference), noise, lowest=LOWEST))
    print(f"\nFROC of noise, {n:,} voxels at or above the lowest threshold: {seconds:.1f} s.")


def make_case(rng: np.random.Generator) -> tuple[NDArray[np.bool_], dict[str, NDArray[np.float32]]]:
    """A reference of 20 balls, and three maps of probabilities."""
    reference, extra = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
    cells = rng.permutation(8**3)[:40]
    for i, cell in enumerate(cells):
        centre = [int((c + 0.5) * n / 8) for c, n in zip(np.unravel_index(cell, (8,) * 3), SHAPE, strict=True)]
        radius = rng.integers(2, 10)
        window = tuple(slice(c - radius, c + radius + 1) for c in centre)
        ball = sum(a**2 for a in np.ogrid[(slice(-radius, radius + 1),) * 3]) <= radius**2
        (reference if i < 20 else extra)[window] |= ball
    objects = np.zeros(SHAPE, np.float32)
    both = reference | extra
    objects[both] = np.where(rng.random(both.sum()) < 0.9, rng.uniform(0.5, 1, both.sum()), 0.1)
    specks = objects.copy()
    specks.ravel()[rng.choice(specks.size, 2000, replace=False)] = 0.9
    dense = objects.copy()
    brain = rng.random(SHAPE) < 0.62
    dense[brain & ~both] = (rng.random((brain & ~both).sum()) ** 3 * 0.49).astype(np.float32)
    return reference, {"40 objects": objects, "and 2,000 specks": specks, "dense": dense}


def _row(name: str, reference: NDArray, probability: NDArray, folder: Path, panoptica: Path, turns: int) -> str:
    files = folder / "reference.npy", folder / "probability.npy"
    np.save(files[0], reference)
    np.save(files[1], probability)
    rules = Rules(THRESHOLD)
    worker = subprocess.Popen(
        [panoptica, WORKER, *files, str(THRESHOLD)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    ours, sklearns = [], []
    usual: list[float] = []
    dice_alone: list[float] = []
    for _ in range(turns):
        ours.append(_seconds(lambda: evaluate_patient(reference, probability=probability, rules=rules)))
        sklearns.append(_seconds(lambda: roc_curve(reference.ravel(), probability.ravel())))
        print("go", file=worker.stdin, flush=True)
        for times, seconds in zip((usual, dice_alone), worker.stdout.readline().split(), strict=True):  # type: ignore[union-attr]
            times.append(float(seconds))
    worker.communicate()
    result = evaluate_patient(reference, probability=probability, rules=rules).measures
    if abs(result["auc"] - roc_auc_score(reference.ravel(), probability.ravel())) > 1e-12:
        sys.exit(f"The areas differ on {name}.")
    ratios = [(median(sklearns) + median(panoptica)) / median(ours) for panoptica in (usual, dice_alone)]
    memory = subprocess.run(
        [sys.executable, "-m", "benchmarks.evaluation", "--panoptica", "-", "--memory", *files],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    us, roc, usually, least = (median(times) for times in (ours, sklearns, usual, dice_alone))
    theirs = f"{roc:.3f} | {usually:.3f}, {least:.3f} | {ratios[0]:.0f}, {ratios[1]:.0f}"
    return f"| {name} | {len(np.unique(probability)):,} | {us:.3f} | {theirs} | {memory} |"


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _peak_over_inputs(reference_file: Path, probability_file: Path) -> int:
    """MiB of the whole process, more than when both arrays lay in memory and the libraries were warm."""
    reference, probability = np.load(reference_file), np.load(probability_file)
    evaluate_patient(reference[:8], probability=probability[:8], rules=Rules(THRESHOLD))
    before = _status("VmRSS")
    evaluate_patient(reference, probability=probability, rules=Rules(THRESHOLD))
    return (_status("VmHWM") - before) // 1024


def _status(field: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


def _commands(
    reference: NDArray, probability: NDArray, folder: Path, panoptica: Path, turns: int
) -> dict[str, tuple[float, float]]:
    """Median seconds from files, by the clock and of the processor: ours from nnU-Net's .npz with the FROC,
    panoptica's, from a label map, in two ways."""
    predicted = (probability >= THRESHOLD).astype(np.uint8)
    for place, voxels in (("gt", reference.astype(np.uint8)), ("p", predicted)):
        (folder / place).mkdir()
        sitk.WriteImage(sitk.GetImageFromArray(voxels), str(folder / place / "case.nii.gz"), useCompression=True)
    np.savez_compressed(folder / "p" / "case.npz", probabilities=np.stack([1 - probability, probability]))
    ours = [COMMAND, "evaluate", "-gt", folder / "gt", "-p", folder / "p", "-o", folder / "out", "--no-report"]
    commands = {"seqdropout evaluate --no-report": ours}
    for name, options in (("panopticacli, its usual metrics", []), ("panopticacli, Dice alone", ["--dice"])):
        config = folder / f"config{len(commands)}.yaml"
        subprocess.run([panoptica, WORKER, "--config", config, *options], check=True, stdout=subprocess.DEVNULL)
        pair = ("-ref", folder / "gt" / "case.nii.gz", "-pred", folder / "p" / "case.nii.gz")
        commands[name] = [panoptica.with_name("panopticacli"), *pair, "-c", config]
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for _ in range(turns):
        for name, command in commands.items():
            times[name].append(_seconds_of_process(command))
    n_found = json.loads((folder / "out" / "summary.json").read_text(encoding="utf-8"))["totals"]["n_found"]
    if n_found != 20:
        sys.exit(f"{n_found} of 20 lesions found.")
    return {name: (median(clock for clock, _ in own), median(cpu for _, cpu in own)) for name, own in times.items()}


def _seconds_of_process(command: list) -> tuple[float, float]:
    """By the clock, and of the processor (user and system)."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    nowhere = subprocess.DEVNULL
    clock = _seconds(lambda: subprocess.run(command, check=True, stdout=nowhere, stderr=nowhere))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return clock, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "2")
    main()
