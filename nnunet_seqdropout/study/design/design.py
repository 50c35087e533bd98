"""Defines the design of a study: arms, test cohort, budget, and what no study can be."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from dataset_conversion.faults import Fault
from dataset_conversion.files.names import require_name
from dataset_conversion.files.texts.typed import Count, Must, NotNegative, PositiveCount
from nnunet_seqdropout.study.design.endpoint import Endpoint
from nnunet_seqdropout.study.design.seeds import require_seeds

BASES: Mapping[str, tuple[str, ...]] = {
    "SeqDropoutTrainer": ("WithSequenceDropout", "DeepLab25D"),
    "DeepLabV3Trainer": ("DeepLab25D",),
    "SeqDropoutPlusTrainer": ("WithSequenceDropout", "DeepLab25DPlus"),
    "DeepLabV3PlusTrainer": ("DeepLab25DPlus",),
    "nnUNetTrainerSeqDropout": ("WithSequenceDropout",),
    "nnUNetTrainer": ("ConfiguredTrainer",),
}
"""The trainers that an arm may have, and the classes of ``nnunet_seqdropout`` that make them up."""

FalsePositives = Annotated[float, Must("a number of false positives, 0 or more", lambda number: number >= 0)]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class Arm:
    """One way to train. sequences: those of the data set, or only those that the test patients have ("available").

    settings: class attributes of the trainer for this arm alone. configuration, seeds: None are those of the design.
    """

    name: str
    trainer: Literal[
        "SeqDropoutTrainer",
        "DeepLabV3Trainer",
        "SeqDropoutPlusTrainer",
        "DeepLabV3PlusTrainer",
        "nnUNetTrainerSeqDropout",
        "nnUNetTrainer",
    ]
    sequences: Literal["all", "available"]
    settings: Mapping[str, Any] = field(default_factory=dict)
    configuration: str | None = None
    seeds: tuple[Count, ...] | None = None

    @property
    def drops(self) -> bool:
        """Whether it is trained to segment any subset of its sequences."""
        return "WithSequenceDropout" in BASES[self.trainer]


@dataclass(frozen=True)
class Budget:
    """epochs times slices_per_epoch: what every arm is trained on. largest_batch: None leaves the planned batch."""

    epochs: PositiveCount
    slices_per_epoch: PositiveCount
    largest_batch: PositiveCount | None = None


@dataclass(frozen=True)
class Design:
    """reference: the arm that is compared with every other, the first of ``arms``. scenarios: name -> the sequences
    that are taken from the test patients.

    test: the patients of imagesTs, or the validation patients of every fold. threshold: "dice", "youden", "argmax", or
    a number of false positives per validation patient. targets: name -> labels. settings: class attributes of all
    trainers that know them. seeds: with each of them every arm is trained. subset_tables: whose models of an arm with
    dropout are measured on every subset of the sequences. mirroring: nnU-Net's test-time augmentation, for every arm
    alike. planning: further words for nnUNetv2_plan_and_preprocess; ``plans`` must then name what it writes.
    primary: the endpoint that the study is judged by.
    """

    reference: str
    arms: tuple[Arm, ...]
    budget: Budget
    targets: Mapping[str, tuple[Count, ...]]
    threshold: Literal["dice", "youden", "argmax"] | FalsePositives = "dice"
    scenarios: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: {"as_acquired": ()})
    test: Literal["imagesTs", "cross_validation"] = "imagesTs"
    folds: Annotated[tuple[Count, ...], Must("a list of numbers, such as [0]", bool)] = (0,)
    configuration: str = "2d"
    plans: str = "nnUNetPlans"
    planning: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    seeds: tuple[Count, ...] = (0,)
    min_volume_mm3: NotNegative = 10.0
    background: str | None = None
    mirroring: bool = True
    subset_tables: Literal["every_seed", "first_seed", "none"] = "every_seed"
    primary: Endpoint = field(default_factory=Endpoint)

    def __post_init__(self) -> None:
        require_sound(self)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(arm.name for arm in self.arms)

    @property
    def endpoint(self) -> Endpoint:
        """The primary endpoint with all defaults filled in; dedicated: None where there is no such arm."""
        return Endpoint(
            metric=self.primary.metric,
            scenario=self.primary.scenario or next(iter(self.scenarios)),
            target=self.primary.target or next(iter(self.targets)),
            dedicated=self.primary.dedicated or self._dedicated,
            margin=self.primary.allowed,
        )

    @property
    def _dedicated(self) -> str | None:
        trained_for_it = [a for a in self.arms if a.sequences == "available" and a.name != self.reference]
        # stock nnU-Net is the hardest to beat
        return next((a.name for a in sorted(trained_for_it, key=lambda a: a.trainer != "nnUNetTrainer")), None)


def require_sound(design: Design) -> None:
    """Raises Fault where a design says what no study can be, whatever the data set."""
    _require_names(design)
    require_seeds(design.seeds, where="seeds")
    for arm in design.arms:
        if arm.seeds is not None:
            require_seeds(arm.seeds, where=f"arm {arm.name}: seeds")
    others = [name for name in design.names if name != design.reference]
    design.primary.require_sound(scenarios=list(design.scenarios), targets=list(design.targets), others=others)
    if design.test == "cross_validation" and design.threshold != "argmax":
        remedy = "Write threshold: argmax; a threshold must not be chosen on the patients that it is tested on."
        raise Fault("test: cross_validation has no validation patients of its own", remedy=remedy)
    if design.threshold != "argmax" and len(design.targets) > 1:
        remedy = "Write threshold: argmax, or run one study per target."
        raise Fault("several targets require threshold: argmax", remedy=remedy)


def _require_names(design: Design) -> None:
    for kind, names in (("arm", design.names), ("scenario", design.scenarios), ("target", design.targets)):
        if not names or not all(_NAME.fullmatch(name) for name in names):
            remedy = "Give at least one name, of letters, digits, _ . and - only."
            raise Fault(f"invalid {kind}s: {', '.join(names)}", remedy=remedy)
        for name in names:
            require_name(name, what=f"the {kind}")
    configurations = [arm.configuration for arm in design.arms if arm.configuration is not None]
    for name in (design.configuration, *configurations):
        require_name(name, what="the configuration")
    require_name(design.plans, what="the name of the plans")
    if design.reference not in design.names or len(design.names) < 2:
        remedy = f"Declare at least two arms and choose one of them: {', '.join(design.names)}."
        raise Fault(f"invalid reference: {design.reference}", remedy=remedy)
