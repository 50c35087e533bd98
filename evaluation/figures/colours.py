"""Defines the colours of all pictures, distinguishable with any colour vision, over grey images too."""

TRUE_POSITIVE, FALSE_NEGATIVE, FALSE_POSITIVE = "#66b2ff", "#e67300", "#75008c"
"""Voxels alone, never the fate of a lesion, which is told by the shape of lines: a lesion that is found has voxels of
all three kinds. Chosen among light blues, oranges and dark purples for the largest least difference, from each other
and from every grey, to normal and to colour-blind eyes (Machado et al. 2009); pink and teal turn grey to some."""

MODELS = ("#009e73", "#d55e00", "#000000", "#56b4e9", "#5e3c99", "#e69f00", "#cc79a7", "#0072b2")
"""One per model, in the order in which they were named (Okabe and Ito 2008)."""

PATTERNS = ("#000000", "#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""One per availability pattern."""

PROBABILITY = "inferno"
"""Matplotlib's name of the map from 0 to 1; its lightness rises evenly."""
