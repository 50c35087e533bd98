"""Defines the colours of all pictures, distinguishable with any colour vision (Okabe and Ito 2008)."""

FOUND, MISSED, FALSE = "#0072b2", "#e69f00", "#cc79a7"
"""True positive, false negative, false positive."""

MODELS = ("#009e73", "#d55e00", "#000000", "#56b4e9", "#5e3c99")
"""One per model, in the order in which they were named; never those of found, missed and false."""

PATTERNS = ("#000000", "#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""One per availability pattern."""

PROBABILITY = "inferno"
"""Matplotlib's name of the map from 0 to 1; its lightness rises evenly."""
