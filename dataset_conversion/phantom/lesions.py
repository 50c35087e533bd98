"""Draws the number, diameters, positions and shapes of a synthetic patient's metastases."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dataset_conversion.plurals import n_of

Hospital = Literal["A", "B"]
Volume = NDArray[np.float32]


@dataclass(frozen=True)
class LesionLaw:
    """Number: 1 + geometric, cut off at ``most``. Diameter in mm: log-normal, cut off to ``smallest``-``largest``.

    more_than_three: probability of more than three lesions, which fixes the geometric distribution.
    first_at_least_mm: the patient has a lesion of at least this diameter.
    """

    more_than_three: float
    most: int
    median_mm: float
    sigma_log: float
    smallest_mm: float = 3.0
    largest_mm: float = 35.0
    first_at_least_mm: float = 0.0

    @property
    def stop_probability(self) -> float:
        """The parameter of the geometric distribution: P(more than three) = (1 - stop)^3."""
        return 1 - self.more_than_three ** (1 / 3)


LAWS: dict[Hospital, LesionLaw] = {
    "A": LesionLaw(more_than_three=0.5, most=20, median_mm=6.5, sigma_log=0.5),
    "B": LesionLaw(more_than_three=9 / 55, most=12, median_mm=10.0, sigma_log=0.45, first_at_least_mm=5.0),
}
"""Hospital B: nine of 55 test patients had more than three metastases, one had to measure at least 5 mm, and they were
fewer and larger (Grøvik et al., Patient Population and Discussion). All else is the authors' choice."""

RING_FROM_MM = 10.0
OEDEMA_FROM_MM = 6.0


def draw_diameters(law: LesionLaw, rng: np.random.Generator) -> NDArray[np.float64]:
    """One patient's lesion diameters in mm, largest first."""
    n = min(int(rng.geometric(law.stop_probability)), law.most)
    diameters: list[float] = []
    while len(diameters) < n:
        diameter = law.median_mm * float(np.exp(law.sigma_log * rng.standard_normal()))
        smallest = law.smallest_mm if diameters else max(law.smallest_mm, law.first_at_least_mm)
        if smallest <= diameter <= law.largest_mm:
            diameters.append(diameter)
    return np.sort(diameters)[::-1]


@dataclass(frozen=True)
class Lesion:
    """The position of a metastasis in the patient (LPS, mm), its diameter, and whether its centre is necrotic."""

    centre_mm: tuple[float, float, float]
    diameter_mm: float
    ring: bool


def place(
    diameters_mm: NDArray[np.float64],
    allowed: NDArray[np.bool_],
    weight: Volume,
    rng: np.random.Generator,
    *,
    gap_mm: float,
) -> list[tuple[int, int, int]]:
    """Voxels (z, y, x) of 1 mm for the centres, drawn by ``weight`` where ``allowed``, at least ``gap_mm`` apart.

    Raises RuntimeError where the head is full.
    """
    candidates = np.flatnonzero(allowed)
    probabilities = weight.ravel()[candidates].astype(np.float64)
    draws = rng.choice(candidates, size=min(len(candidates), 4000), p=probabilities / probabilities.sum())
    centres: list[tuple[int, int, int]] = []
    placed: list[tuple[NDArray[np.float64], float]] = []
    for centre in np.stack(np.unravel_index(draws, allowed.shape), axis=1):
        if len(centres) == len(diameters_mm):
            break
        # lesions deviate from the sphere by up to a quarter of their radius
        radius = 0.5 * 1.25 * diameters_mm[len(centres)]
        if all(np.linalg.norm(centre - other) > radius + other_radius + gap_mm for other, other_radius in placed):
            placed.append((centre.astype(np.float64), radius))
            centres.append((int(centre[0]), int(centre[1]), int(centre[2])))
    if len(centres) < len(diameters_mm):
        lesions = n_of(len(diameters_mm), "lesion")
        raise RuntimeError(f"No room in the head for {lesions} of {diameters_mm.sum():.0f} mm: use another seed.")
    return centres


def paint(
    lesion: Volume,
    necrosis: Volume,
    oedema: Volume,
    centre: tuple[int, int, int],
    diameter_mm: float,
    rng: np.random.Generator,
) -> None:
    """Adds one lesion to three maps of fractions (0-1, 1 mm voxels), in place: enhancing part, necrosis, oedema.

    The lesion is an ellipsoid with a wavy surface; a voxel that the surface crosses is filled in part.
    """
    radius = diameter_mm / 2
    margin = rng.uniform(0.2, 0.8) * diameter_mm if diameter_mm >= OEDEMA_FROM_MM and rng.random() < 0.8 else 0.0
    reach = int(np.ceil(1.3 * radius + margin + 5))
    window = tuple(slice(max(0, c - reach), min(n, c + reach + 1)) for c, n in zip(centre, lesion.shape, strict=True))
    axes = [np.arange(s.start, s.stop) - c + rng.uniform(-0.5, 0.5) for s, c in zip(window, centre, strict=True)]
    position = np.stack(np.meshgrid(*axes, indexing="ij"))
    distance = _wavy_distance(position, rng)
    whole = np.clip(radius - distance + 0.5, 0, 1)
    core = np.clip(rng.uniform(0.5, 0.75) * radius - distance + 0.5, 0, 1) if diameter_mm >= RING_FROM_MM else 0 * whole
    lesion[window] = np.maximum(lesion[window], whole - core)
    necrosis[window] = np.maximum(necrosis[window], core)
    if margin:
        oedema[window] = np.maximum(oedema[window], np.clip((radius + margin - distance) / 4 + 0.5, 0, 1))


def _wavy_distance(position: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Distance from the centre in mm, (3, Z, Y, X) -> (Z, Y, X), measured with a ruler that varies with direction."""
    rotation, _ = np.linalg.qr(rng.standard_normal((3, 3)))
    stretch = np.exp(0.1 * rng.standard_normal(3))
    stretch /= stretch.prod() ** (1 / 3)
    turned = np.einsum("ij,jzyx->izyx", rotation / stretch[:, None], position)
    distance = np.sqrt((turned**2).sum(0))
    direction = turned / np.maximum(distance, 1e-6)
    waves = sum(
        0.04 * np.cos(np.einsum("i,izyx->zyx", 3 * rng.standard_normal(3), direction) + rng.uniform(0, 2 * np.pi))
        for _ in range(3)
    )
    return distance * (1 + waves)
