"""Computes Dice per availability pattern, over the patients who have the same sequences."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from nnunetv2.training.loss.dice import get_tp_fp_fn_tn
from nnunetv2.utilities.label_handling.label_handling import LabelManager
from numpy.typing import NDArray

from dataset_conversion.sequences import Pattern
from nnunet_seqdropout.subsets import Presence

Sample = tuple[str, NDArray[np.float32]]
"""The pattern of a patch's patient, and the patch's voxels as ``count_per_sample`` counts them, (3, F)."""

PatternDice = dict[str, dict[str, Any]]
"""pattern -> ``dice``, a float for every foreground class or region (NaN for 0/0), and ``n_patches``."""


def sequences_there(volume: Any) -> Presence:
    """Which sequences a preprocessed case has, (N, Z, H, W): those that do not have one value everywhere.

    Whatever the normalisation makes of a placeholder's zeros, it is the same everywhere. Of an array on the disk only
    as many slices are read as it takes to find a difference.
    """
    n_sequences, n_slices = volume.shape[:2]
    return tuple(any(np.ptp(volume[n, z]) > 0 for z in range(n_slices)) for n in range(n_sequences))


def count_per_sample(output: torch.Tensor, target: torch.Tensor, labels: LabelManager) -> NDArray[np.float32]:
    """True positive, false positive and false negative voxels of every sample: (B, 3, F) for F foreground classes.

    Counts each sample as nnU-Net's ``validation_step`` counts the whole batch, regions and ignore label included.
    output: logits (B, C, *spatial). target: label map (B, 1, *spatial), or one map per region, (B, F, *spatial), the
    ignored voxels last.
    """
    mask = None
    if labels.has_regions:
        predicted = (torch.sigmoid(output) > 0.5).float()
        if labels.has_ignore_label:
            mask, target = 1 - target[:, -1:].float(), target[:, :-1]
    else:
        predicted = torch.zeros_like(output).scatter_(1, output.argmax(1, keepdim=True), 1)
        if labels.has_ignore_label:
            mask = (target != labels.ignore_label).float()
            target = target * mask
    tp, fp, fn, _ = get_tp_fp_fn_tn(predicted, target, mask=mask)
    first_foreground = 0 if labels.has_regions else 1
    return torch.stack((tp, fp, fn), dim=1)[:, :, first_foreground:].cpu().numpy()


def dice_per_pattern(samples: Iterable[Sample]) -> PatternDice:
    """nnU-Net's pseudo Dice, 2tp / (2tp + fp + fn) over all voxels of a pattern's patches; most sequences first."""
    by_pattern: dict[str, list[NDArray]] = defaultdict(list)
    for pattern, voxels in samples:
        by_pattern[pattern].append(voxels)
    result = {}
    for pattern in in_order(by_pattern):
        tp, fp, fn = np.stack(by_pattern[pattern]).sum(axis=0, dtype=np.float64)
        with np.errstate(invalid="ignore"):
            dice = 2 * tp / (2 * tp + fp + fn)
        result[pattern] = {"dice": dice.tolist(), "n_patches": len(by_pattern[pattern])}
    return result


def in_order(patterns: Iterable[str]) -> list[str]:
    """Each pattern once, those of most sequences first."""
    return sorted(set(patterns), key=lambda pattern: (-len(Pattern.parse(pattern)), pattern))
