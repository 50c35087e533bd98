"""Names the label or region that is evaluated."""

from dataclasses import dataclass

from dataset_conversion.faults import Fault


@dataclass(frozen=True)
class Target:
    """The label, or the labels that make up the region, which is evaluated. Raises Fault where one is below 1."""

    labels: tuple[int, ...] = (1,)

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", tuple(sorted(set(self.labels))))
        if self.labels[0] < 1:
            raise Fault(
                f"label {self.labels[0]} cannot be evaluated", remedy="Give a label of at least 1; 0 is the background."
            )

    def __str__(self) -> str:
        return ",".join(map(str, self.labels))
