"""Computes the brightness of tissues on MRI series from relaxation times, contrast agent and signal equations."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import cos, exp, log, radians, sin
from typing import Literal

import numpy as np

BLOOD_FLOW_REST = 0.05
"""Remaining share of a vessel's signal on CUBE/SPACE: variable flip angle spin echoes dephase flowing
blood (Grøvik et al., Discussion)."""

ECHO_TRAIN_MS = 600.0
"""Length of the FLAIR echo train, after which recovery begins; typical of 3D variable-flip-angle FLAIR."""


@dataclass(frozen=True)
class Tissue:
    """Relaxation times in ms, proton density relative to water, contrast agent in mmol/l once it is given."""

    t1_ms: float
    t2_ms: float
    proton_density: float
    gadolinium_mm: float = 0.0


TISSUES: Mapping[float, Mapping[str, Tissue]] = {
    1.5: {
        "csf": Tissue(4300, 2000, 1.0),
        "grey": Tissue(1188, 95, 0.82),
        "white": Tissue(656, 72, 0.70),
        "vessel": Tissue(1441, 254, 0.85, 1.0),
        "oedema": Tissue(1250, 160, 0.85),
        "enhancing": Tissue(1200, 110, 0.82, 0.5),
        "necrosis": Tissue(2000, 250, 0.92, 0.03),
    },
    3.0: {
        "csf": Tissue(4300, 2000, 1.0),
        "grey": Tissue(1331, 110, 0.82),
        "white": Tissue(832, 80, 0.70),
        "vessel": Tissue(1664, 165, 0.85, 1.0),
        "oedema": Tissue(1450, 160, 0.85),
        "enhancing": Tissue(1400, 110, 0.82, 0.5),
        "necrosis": Tissue(2200, 250, 0.92, 0.03),
    },
}
"""Tissues by field strength (T).

Grey and white matter at 3 T: Wansapura et al. 1999 (JMRI 9:531). T1 at 1.5 T and of CSF: Rooney et al. 2007 (MRM
57:308); T2 at 1.5 T and blood: Stanisz et al. 2005 (MRM 54:507).
Proton densities: Tofts, Quantitative MRI of the
Brain (2003).
Tumour, oedema and necrosis vary widely between patients; the values lie inside the ranges of the literature and are the
authors' choice, as are the concentrations of contrast agent, some minutes after 0.1 mmol/kg.
"""

CONTRAST_AGENT_SPREAD = 0.25
RELAXATION_SPREAD = 0.04

RELAXIVITY = {1.5: (6.3, 8.7), 3.0: (5.5, 11.0)}
"""r1, r2 of gadobenate dimeglumine in plasma, l/(mmol s): Rohrer et al. 2005 (Invest Radiol 40:715)."""


@dataclass(frozen=True)
class Protocol:
    """One series as the paper's Table 2 prints it; times in ms, flip angle in degrees, field strength in T."""

    kind: Literal["gradient_echo", "spin_echo", "flair"]
    field_t: float
    repetition_ms: float
    echo_ms: float
    flip_deg: float = 90.0
    inversion_ms: float = 0.0
    gadolinium: bool = False


def vary(tissue: Tissue, rng: np.random.Generator) -> Tissue:
    """A tissue in another patient: T1, T2 and the uptake of contrast agent spread log-normally (our choice)."""
    t1, t2 = np.exp(RELAXATION_SPREAD * rng.standard_normal(2))
    uptake = np.exp(CONTRAST_AGENT_SPREAD * rng.standard_normal())
    return Tissue(tissue.t1_ms * t1, tissue.t2_ms * t2, tissue.proton_density, tissue.gadolinium_mm * uptake)


def hospital_a(field_t: float) -> dict[str, Protocol]:
    """Table 2, Hospital A: the values before the stroke at 1.5 T, those behind it at 3 T."""
    if field_t == 1.5:
        bravo = Protocol("gradient_echo", 1.5, 12.02, 5.05, 20, 300, gadolinium=True)
        cube, flair = Protocol("spin_echo", 1.5, 550, 9.54), Protocol("flair", 1.5, 6000, 119, 90, 1880)
    else:
        bravo = Protocol("gradient_echo", 3.0, 8.24, 3.24, 13, 400, gadolinium=True)
        cube, flair = Protocol("spin_echo", 3.0, 602, 12.72), Protocol("flair", 3.0, 6000, 136, 90, 1700)
    return {"bravo": bravo, "t1_pre": cube, "t1_gd": replace(cube, gadolinium=True), "flair": flair}


def hospital_b() -> dict[str, Protocol]:
    """Table 2, Hospital B (3 T, no BRAVO). The FLAIR's TE of 387 ms is that of a variable-flip-angle echo train; its
    contrast is that of a spin echo with about a third of it (Busse et al. 2006, MRM 55:1030)."""
    space = Protocol("spin_echo", 3.0, 700, 12, 120)
    flair = Protocol("flair", 3.0, 5000, 387 / 3, 120, 1800)
    return {"t1_pre": space, "t1_gd": replace(space, gadolinium=True), "flair": flair}


def signal(name: str, tissue: Tissue, protocol: Protocol) -> float:
    """Signal of a tissue relative to fully relaxed water.

    spin_echo: PD (1 - e^(-TR/T1)) e^(-TE/T2). flair: the same after an inversion, recovery beginning behind the echo
    train. gradient_echo: an inversion followed by a spoiled gradient echo train, k-space centre in the middle of 160
    partitions (Deichmann et al. 2000, NeuroImage 12:112); the train's steady state is reached with the effective
    1/T1* = 1/T1 - ln(cos(flip))/TR. T2 stands for T2*, which matters little at 3 ms.
    """
    t1, t2 = _with_contrast_agent(tissue, protocol)
    decay = tissue.proton_density * exp(-protocol.echo_ms / t2)
    tr, ti = protocol.repetition_ms, protocol.inversion_ms
    flows = BLOOD_FLOW_REST if name == "vessel" else 1.0
    if protocol.kind == "spin_echo":
        return flows * decay * (1 - exp(-tr / t1))
    if protocol.kind == "flair":
        return flows * decay * abs(1 - 2 * exp(-ti / t1) + exp(-(tr - ECHO_TRAIN_MS) / t1))
    flip = radians(protocol.flip_deg)
    steady = (1 - exp(-tr / t1)) / (1 - cos(flip) * exp(-tr / t1))
    effective_t1 = 1 / (1 / t1 - log(cos(flip)) / tr)
    train_ms = 160 * tr
    before_inversion = steady * (1 - exp(-train_ms / effective_t1))
    prepared = 1 - (1 + before_inversion) * exp(-ti / t1)
    at_centre = steady + (prepared - steady) * exp(-train_ms / 2 / effective_t1)
    return decay * sin(flip) * abs(at_centre)


def _with_contrast_agent(tissue: Tissue, protocol: Protocol) -> tuple[float, float]:
    """T1 and T2 in ms; the agent adds its relaxivity times its concentration to both rates."""
    if not protocol.gadolinium:
        return tissue.t1_ms, tissue.t2_ms
    r1, r2 = RELAXIVITY[protocol.field_t]
    concentration = tissue.gadolinium_mm
    return 1 / (1 / tissue.t1_ms + r1 * concentration / 1000), 1 / (1 / tissue.t2_ms + r2 * concentration / 1000)
