"""Estimates when the last epoch of a training will end."""

from datetime import datetime, timedelta

import numpy as np
from numpy.typing import ArrayLike

from dataset_conversion.plurals import n_of

COUNTED = 10
"""Epochs of which the time is taken: the last ones, since another program may have come or gone."""


def expected_end(begun: ArrayLike, ended: ArrayLike, n_left: int) -> str:
    """When the last epoch will end; nnU-Net's validation follows. begun, ended: of each epoch so far, in seconds."""
    seconds = np.subtract(ended, begun)[-COUNTED:]
    left = timedelta(seconds=round(float(np.median(seconds)) * n_left))
    return f"{n_of(n_left, 'epoch')} left, the last ends about {datetime.now() + left:%Y-%m-%d %H:%M} (in {left})"
