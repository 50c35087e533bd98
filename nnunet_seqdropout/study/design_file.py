"""Reads the design of a study from a YAML file and from the design that the file names as its base."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from dataset_conversion.faults import Fault
from dataset_conversion.files.yaml_files import read_yaml
from nnunet_seqdropout.study.design import BASES, Arm, Budget, Design
from nnunet_seqdropout.study.endpoint import Endpoint
from nnunet_seqdropout.study.seeds import one_spelling

REMEDY = "Write it in YAML, as in docs/study.md."
SHIPPED = Path(__file__).with_name("designs")


def read_design(file: Path) -> Design:
    """Reads a design; what it leaves out is that of its ``base``, another file or a shipped one, if it names one.

    Raises Fault where it cannot be read, or says what no study can be.
    """
    content = _with_base(file)
    try:
        arms = [_arm(name, values) for name, values in content.pop("arms").items()]
        design = Design(
            arms=tuple(sorted(arms, key=lambda arm: arm.name != content["reference"])),
            budget=Budget(**content.pop("budget")),
            primary=Endpoint(**content.pop("primary", {})),
            targets={name: tuple(labels) for name, labels in content.pop("targets").items()},
            **{key: _frozen(value) for key, value in content.items()},
        )
    except (KeyError, TypeError, AttributeError) as error:
        known = ", ".join(field.name for field in fields(Design))
        raise Fault(
            f"not the design of a study ({error})", file=file, remedy=f"Use only these keys: base, {known}."
        ) from error
    for arm in arms:
        _require_trainable(arm, arm.configuration or design.configuration, file=file)
    return design


def _arm(name: str, values: Mapping[str, Any]) -> Arm:
    """Its settings stay as they are written: a list of the file is a list of the trainer."""
    return Arm(name=name, **{key: _frozen(value) if key == "seeds" else value for key, value in values.items()})


def _require_trainable(arm: Arm, configuration: str, *, file: Path) -> None:
    if arm.trainer not in BASES or arm.sequences not in ("all", "available"):
        problem = f"arm {arm.name}: invalid trainer {arm.trainer} or sequences {arm.sequences}"
        raise Fault(problem, file=file, remedy=f"Choose among {', '.join(BASES)}, and sequences: all or available.")
    if {"DeepLab25D", "DeepLab25DPlus"} & {*BASES[arm.trainer]} and configuration != "2d":
        problem = f"arm {arm.name}: {arm.trainer} cannot train the configuration {configuration}"
        raise Fault(problem, file=file, remedy="Write configuration: 2d, for the whole design or for this arm.")


def _with_base(file: Path, *, seen: Sequence[Path] = ()) -> dict[str, Any]:
    content = one_spelling(read_yaml(file, what="the design of a study", remedy=REMEDY), file=file)
    if file in seen:
        raise Fault("not the design of a study: it is its own base", file=file, remedy=REMEDY)
    if (base := content.pop("base", None)) is None:
        return content
    shipped = SHIPPED / f"{base}.yaml"
    return {**_with_base(shipped if shipped.is_file() else file.parent / base, seen=(*seen, file)), **content}


def _frozen(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(value)
    if isinstance(value, dict) and all(isinstance(each, list) for each in value.values()):
        return {key: tuple(each) for key, each in value.items()}
    return value
