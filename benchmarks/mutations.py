"""Breaks twenty important lines, one at a time and in a copy, and fails unless a named test notices each.

    python -m benchmarks.mutations [WORD ...]

WORD: only the lines whose idea contains one of these. A line that is no longer there as written is an error, too: write
the new one into the table.
"""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

PROJECT = Path(__file__).resolve().parents[1]
LEFT_OUT = shutil.ignore_patterns(".*", "site", "dist", "build", "demo", "__pycache__", "*.egg-info")
Result = Literal["noticed", "SURVIVED", "not there once", "test fails anyway"]


@dataclass(frozen=True)
class Mutation:
    """A line of ``file`` with ``right`` in it, which would be ``wrong``; ``test``: a file of tests, ``chosen``: -k."""

    idea: str
    file: str
    right: str
    wrong: str
    test: str
    chosen: str = ""


DROPOUT, TEST_DROPOUT = "nnunet_seqdropout/dropout.py", "nnunet_seqdropout/test_dropout.py"
LESIONS, TEST_LESIONS = "evaluation/metrics/lesion/lesions.py", "evaluation/metrics/test_lesions.py"
MUTATIONS = (
    Mutation(
        "dropout's factor is N/(N-k)",
        DROPOUT,
        "ratio = present.shape[-1] / n_present.clamp(min=1)",
        "ratio = n_present.clamp(min=1) / present.shape[-1]",
        TEST_DROPOUT,
    ),
    Mutation(
        "what is not kept becomes 0",
        DROPOUT,
        "torch.where(kept.view(*kept.shape, *tail), scaled, 0)",
        "torch.where(kept.view(*kept.shape, *tail), scaled, x)",
        TEST_DROPOUT,
    ),
    Mutation(
        "the input is rescaled once, not in training again",
        DROPOUT,
        "        if network.training:",
        "        if not network.training and False:",
        TEST_DROPOUT,
    ),
    Mutation(
        "absent is what is 0 everywhere",
        DROPOUT,
        "x.ne(0).flatten(2).any(-1)",
        "x.ne(0).flatten(2).all(-1)",
        TEST_DROPOUT,
    ),
    Mutation(
        "a window has as many neighbours on both sides",
        "nnunet_seqdropout/network.py",
        "F.pad(x, (0, 0, 0, 0, border, border))",
        "F.pad(x, (0, 0, 0, 0, border + 1, border - 1))",
        "nnunet_seqdropout/test_network.py",
    ),
    Mutation(
        "the patch is as deep as the deepest volume",
        "nnunet_seqdropout/plans.py",
        "patch_size=[int(max(depths)), height, width]",
        "patch_size=[int(min(depths)), height, width]",
        "nnunet_seqdropout/test_plans.py",
    ),
    Mutation(
        "a lesion is found by a voxel that both share",
        LESIONS,
        "shared = np.append(predicted.voxels, -1)[there] == reference.voxels",
        "shared = np.append(predicted.voxels, -1)[there] >= reference.voxels",
        TEST_LESIONS,
    ),
    Mutation(
        "a false positive touches no lesion",
        LESIONS,
        "(~self.object_is_true & at_least(",
        "(self.object_is_true & at_least(",
        TEST_LESIONS,
    ),
    Mutation(
        "objects that join are one fewer in the FROC",
        "evaluation/metrics/lesion/froc_steps.py",
        "changes -= np.bincount(inverse[len(tops) :]",
        "changes += 0 * np.bincount(inverse[len(tops) :]",
        "evaluation/metrics/test_froc.py",
    ),
    Mutation(
        "the threshold keeps to the budget from there on",
        "evaluation/inputs/calibration.py",
        "first = int(exceeding[-1]) + 1 if",
        "first = int(exceeding[0]) + 1 if",
        "evaluation/test_calibration.py",
        "budget",
    ),
    Mutation(
        "Holm's factors fall from n to 1",
        "evaluation/metrics/statistics/rank_tests.py",
        "factors = np.arange(len(order), 0, -1)",
        "factors = np.full(len(order), len(order))",
        "evaluation/metrics/test_stats.py",
        "holm",
    ),
    Mutation(
        "an interval of 95 % leaves 2.5 % on each side",
        "evaluation/metrics/statistics/intervals.py",
        "special.stdtrit(freedom, (1 + CONFIDENCE) / 2)",
        "special.stdtrit(freedom, CONFIDENCE)",
        "evaluation/metrics/test_stats.py",
    ),
    Mutation(
        "Dice counts the common voxels twice",
        "evaluation/metrics/voxel/voxels.py",
        "dice=_ratio(2 * n_both,",
        "dice=_ratio(n_both,",
        "evaluation/metrics/test_voxels.py",
    ),
    Mutation(
        "--map takes a value for another",
        "evaluation/inputs/label_maps.py",
        "if self.mapping.get(v, v) in labels]",
        "if v in labels]",
        "evaluation/test_label_maps.py",
    ),
    Mutation(
        "an axis that runs the other way is turned",
        "dataset_conversion/files/images/storage_order.py",
        "turned = [bool(cosines[row, column] < 0)",
        "turned = [bool(cosines[row, column] > 0)",
        "dataset_conversion/test_storage_order.py",
    ),
    Mutation(
        "a record appears after the files that it speaks of",
        "dataset_conversion/files/staging.py",
        'key=lambda file: file.suffix == ".json"',
        'key=lambda file: file.suffix != ".json"',
        "dataset_conversion/test_abandoned.py",
    ),
    Mutation(
        "a checkpoint whose bytes have changed is refused",
        "nnunet_seqdropout/models/checkpoints.py",
        "if is_unchanged(file, sha256) is False:",
        "if is_unchanged(file, sha256) is None and False:",
        "nnunet_seqdropout/models/test_checkpoints.py",
        "flipped_bytes",
    ),
    Mutation(
        "a pseudonym depends on the key",
        "dataset_conversion/pseudonyms.py",
        "hmac.new(key, patient_id.encode(), sha256)",
        'hmac.new(b"", patient_id.encode(), sha256)',
        "dataset_conversion/test_dicom.py",
        "another_key_another",
    ),
    Mutation(
        "--drop takes the sequence that is named",
        "nnunet_seqdropout/prediction/inputs.py",
        "channels = {require_channel(name, channel_names) for name in dropped}",
        "channels = {require_channel(name, channel_names[::-1]) for name in dropped}",
        "nnunet_seqdropout/prediction/test_prediction.py",
        "the_sequence_named_is_dropped",
    ),
    Mutation(
        "a channel is found by its own name before an alias",
        "dataset_conversion/sequences.py",
        "for spelled in (str, _plain, canonical):",
        "for spelled in (canonical, _plain, str):",
        "dataset_conversion/test_sequences.py",
    ),
)


def main(words: list[str]) -> int:
    """0 if every line that was broken was noticed, else 1."""
    chosen = [mutation for mutation in MUTATIONS if not words or any(word in mutation.idea for word in words)]
    n_bad = 0
    with TemporaryDirectory() as folder:
        copy = Path(folder, "copy")
        shutil.copytree(PROJECT, copy, ignore=LEFT_OUT)
        for mutation in chosen:
            result = outcome(mutation, copy)
            n_bad += result != "noticed"
            print(f"{result:17s}  {mutation.idea}  ({mutation.file})", flush=True)
    print(f"{len(chosen) - n_bad} of {len(chosen)} noticed")
    return 1 if n_bad or not chosen else 0


def outcome(mutation: Mutation, copy: Path) -> Result:
    """What the test says of the copy with the line broken; the copy is as before afterwards."""
    file = copy / mutation.file
    source = file.read_text(encoding="utf-8")
    if source.count(mutation.right) != 1:
        return "not there once"
    if not passes(mutation, copy):
        return "test fails anyway"
    file.write_text(source.replace(mutation.right, mutation.wrong), encoding="utf-8")
    try:
        return "SURVIVED" if passes(mutation, copy) else "noticed"
    finally:
        file.write_text(source, encoding="utf-8")


def passes(mutation: Mutation, copy: Path) -> bool:
    # without bytecode: a file of the same size and second would be taken from it
    paths = os.pathsep.join([str(copy), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"}
    words = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-m", "not slow"]
    words += [f"tests/{mutation.test}", *(["-k", mutation.chosen] if mutation.chosen else [])]
    return subprocess.run(words, cwd=copy, env=environment, capture_output=True, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
