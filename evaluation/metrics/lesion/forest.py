"""Finds connected components with a union-find forest: each node points to itself (a root) or to a lower node.

The forest is an array, ``parent``. Joining changes it, so that nodes and pairs can be added step by step.
"""

import numpy as np
from numpy.typing import NDArray


def roots(parent: NDArray[np.integer], nodes: NDArray[np.integer]) -> NDArray[np.integer]:
    """The root of each node. Each step makes the nodes point to their grandparents, which halves the paths."""
    while ((above := parent[found := parent[nodes]]) != found).any():
        parent[nodes] = above
    return found


def join(parent: NDArray[np.integer], first: NDArray[np.integer], second: NDArray[np.integer]) -> None:
    """Connects each of the first nodes with its second."""
    while first.size:
        first, second = roots(parent, first), roots(parent, second)
        low, high = np.minimum(first, second), np.maximum(first, second)
        apart = low < high
        first, second = low[apart], high[apart]
        # of several lower roots a root can point to one only; the next round joins the others to that one
        np.minimum.at(parent, second, first)
