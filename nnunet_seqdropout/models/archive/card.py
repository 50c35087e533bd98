"""Writes the model card, ``MODEL.md``: what the model is, what it is for, on what it was trained, how well it did."""

from collections.abc import Mapping
from typing import Any

from dataset_conversion.plurals import n_of

NOT_GIVEN = "Not given."

_PAGE = """# {dataset}, {trainer}

{kind} It segments {labels}.

**For research only.** It is no medical device: it must not be used to diagnose or to treat.

## Intended use

Research on the segmentation of {labels} in MRI of the sequences {sequences}. {patterns}
Whoever uses it on images of another hospital, scanner or protocol has to measure there how well it does.

## Training data

{about}

## Results

{results}

## Details

| | |
|---|---|
{details}
"""


def model_card(said: Mapping[str, Any], *, about: str, evaluation: Mapping[str, Any] | None) -> str:
    """said: see ``information``. about: the training data in the user's words. evaluation: its ``summary.json``."""
    labels = ", ".join(name for name in said["labels"] if name not in ("background", "ignore")) or "no label"
    dropout, network = said["dropout"], said["network"]
    if dropout is None:
        patterns = "It was trained without sequence dropout: all of them must be there."
    else:
        n_all = 2 ** len(said["sequences"]) - 1
        of_all = f"the {n_of(n_all, 'subset')} of them"
        patterns = f"It was trained on {dropout['patterns']} of {of_all} ({dropout['subset_law']})."
    details = {
        "trainer": said["trainer"],
        "network": f"{network['class'].rpartition('.')[2]}, {network['parameters']:,} parameters",
        "configuration": said["configuration"],
        "patch": " x ".join(map(str, network["patch_size"])),
        "spacing": f"{' x '.join(f'{mm:g}' for mm in network['spacing_mm'])} mm",
        "checkpoints": ", ".join(said["checkpoints"]),
        "rescaling": "none" if dropout is None else dropout["rescale"],
        "thresholds": _thresholds(said["thresholds"]),
        "trained with": f"nnunet_seqdropout {said['versions']['trained_with'] or '(not by this package)'}",
        "fingerprint": said["fingerprint"],
    }
    return _PAGE.format(
        dataset=said["dataset"],
        trainer=said["trainer"],
        kind="A model of nnU-Net v2.",
        labels=labels,
        sequences=", ".join(said["sequences"]),
        patterns=patterns,
        about=about.strip() or NOT_GIVEN,
        results=NOT_GIVEN if evaluation is None else _results(evaluation),
        details="\n".join(f"| {name} | {value} |" for name, value in details.items()),
    )


def _thresholds(thresholds: Mapping[str, Any]) -> str:
    each = [f"{fold}: {t['method']} for {t['target']}" for fold, t in thresholds.items()]
    return "; ".join(each) or "none, the most probable label"


def _results(evaluation: Mapping[str, Any]) -> str:
    settings, threshold = evaluation["settings"], evaluation["threshold"]
    target = settings.get("target_name") or settings.get("target")
    lines = [
        f"{n_of(evaluation['totals']['n_patients'], 'patient')}; target: {target}; threshold: {threshold['source']}",
        "",
        "| | mean | 95 % interval | patients |",
        "|---|---|---|---|",
    ]
    for metric, average in evaluation["metrics"].items():
        if average["mean"] is not None:
            low, high = (("n/a" if end is None else f"{end:.4g}") for end in (average["ci_low"], average["ci_high"]))
            lines.append(f"| {metric} | {average['mean']:.4g} | {low} to {high} | {average['n']} |")
    return "\n".join(lines)
