"""The command ``predict`` on a folder, and whether absent, zero and dropped are one to it."""

import itertools
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
import SimpleITK as sitk

from nnunet_seqdropout.cli.command import main


def predict(source: Path, target: Path, model: Path, *options: object) -> int:
    words = ("predict", "-i", source, "-o", target, "-m", model, "-f", 0, "-device", "cpu", "--disable_tta", *options)
    return main([str(word) for word in words])


def contents(folder: Path, case: str) -> list[bytes]:
    return [(folder / f"{case}{ending}").read_bytes() for ending in (".nii.gz", "_prob.nii.gz", "_lesions.csv")]


def require_one_result(source: Path, work: Path, model: Path, names: Sequence[str], *, drop_every: int = 1) -> None:
    """Fails unless absent files, zeros and --drop give the same bytes for every subset of P's sequences.

    drop_every: --drop needs a run for each subset; of how many subsets one is tried.
    """
    channels = range(len(names))
    all_subsets = [kept for n in channels for kept in itertools.combinations(channels, n + 1)]
    zeros = sitk.ReadImage(str(source / "P_0000.nii.gz")) * 0
    for folder in ("absent", "zero"):
        (work / folder).mkdir()
    for kept in all_subsets:
        name = "S" + "".join(map(str, kept))
        for channel in channels:
            file = f"{name}_000{channel}.nii.gz"
            if channel in kept:
                for folder in ("absent", "zero"):
                    shutil.copy(source / f"P_000{channel}.nii.gz", work / folder / file)
            else:
                sitk.WriteImage(zeros, str(work / "zero" / file))
    for folder in ("absent", "zero"):
        assert predict(work / folder, work / f"out_{folder}", model, "--save_probabilities") == 0
    for kept in all_subsets:
        name = "S" + "".join(map(str, kept))
        assert contents(work / "out_absent", name) == contents(work / "out_zero", name)
        record = json.loads((work / "out_absent" / f"{name}.json").read_text())
        assert record["pattern"] == "+".join(names[channel] for channel in kept)
        assert record["factor"] == (pytest.approx(len(names) / len(kept)) if "TinyDeepLab" not in model.name else 1)
    for kept in all_subsets[::drop_every]:
        drop = [word for channel in channels if channel not in kept for word in ("--drop", names[channel])]
        assert predict(source, work / "out_drop", model, "--save_probabilities", *drop) == 0
        name = "S" + "".join(map(str, kept))
        for ending in (".nii.gz", "_prob.nii.gz"):
            dropped, absent = work / "out_drop" / f"P{ending}", work / "out_absent" / f"{name}{ending}"
            assert dropped.read_bytes() == absent.read_bytes()
