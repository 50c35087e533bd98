"""Reads the design of a study from a YAML file and from the design that the file names as its base."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypedDict

from dataset_conversion.faults import Fault
from dataset_conversion.files.texts.typed import typed_of
from dataset_conversion.files.texts.yaml_files import read_yaml
from nnunet_seqdropout.study.design.design import BASES, Arm, Design
from nnunet_seqdropout.study.design.seeds import one_spelling

REMEDY = "Write it in YAML, as in docs/study.md."
SHIPPED = Path(__file__).with_name("designs")


class _ArmsAlways(TypedDict):
    reference: str
    arms: dict[str, dict[str, Any]]


class _OfArms(_ArmsAlways, total=False):
    settings: dict[str, Any]


def read_design(file: Path) -> Design:
    """Reads a design; what it leaves out is that of its ``base``, another file or a shipped one, if it names one.

    Raises Fault where it cannot be read, or says what no study can be.
    """
    content = typed_of(file, _with_base(file), _OfArms, remedy=REMEDY)
    arms = [_arm(name, values, file=file) for name, values in content["arms"].items()]
    arms.sort(key=lambda arm: arm.name != content["reference"])
    settings = _as_always_written(content.get("settings", {}))
    design = typed_of(file, {**content, "arms": arms, "settings": settings}, Design, remedy=REMEDY)
    for arm in arms:
        _require_trainable(arm, arm.configuration or design.configuration, file=file)
    return design


def _arm(name: str, values: dict[str, Any], *, file: Path) -> Arm:
    at = f"arms.{name}"
    if "name" in values:
        raise Fault(f"{at}.name is no key that is known here", file=file, remedy=f"{at} is its name already.")
    return typed_of(file, {"name": name, **values}, Arm, remedy=REMEDY, at=at)


def _as_always_written(settings: Any) -> Any:
    """Settings of lists alone become tuples in the trainers: other text would train the models of a study anew."""
    if isinstance(settings, dict) and all(isinstance(each, list) for each in settings.values()):
        return {key: tuple(each) for key, each in settings.items()}
    return settings


def _require_trainable(arm: Arm, configuration: str, *, file: Path) -> None:
    if {"DeepLab25D", "DeepLab25DPlus"} & {*BASES[arm.trainer]} and configuration != "2d":
        problem = f"arm {arm.name}: {arm.trainer} cannot train the configuration {configuration}"
        raise Fault(problem, file=file, remedy="Write configuration: 2d, for the whole design or for this arm.")


def _with_base(file: Path, *, seen: Sequence[Path] = ()) -> dict[str, Any]:
    content = one_spelling(read_yaml(file, what="the design of a study", remedy=REMEDY), file=file)
    if file in seen:
        raise Fault("not the design of a study: it is its own base", file=file, remedy=REMEDY)
    if (base := typed_of(file, content.pop("base", None), str | None, remedy=REMEDY, at="base")) is None:  # type: ignore[arg-type]
        return content
    shipped = SHIPPED / f"{base}.yaml"
    return {**_with_base(shipped if shipped.is_file() else file.parent / base, seen=(*seen, file)), **content}
