"""Outlines a mask along the edges of its pixels, one closed polygon for each part, its holes joined by a keyhole.

A point within a polygon, by whatever rule of filling, lies in a pixel of the mask: the outlines run between the pixels'
centres, and enclose exactly their area. Parts that touch at a corner only are polygons of their own.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

Node = tuple[int, int]
"""The corner of pixels (row - 1, column - 1) and (row, column)."""

STEPS = ((0, 1), (1, 0), (0, -1), (-1, 0))
"""To the right, down, to the left, up: each a turn to the right from the one before."""


def outlines(mask: NDArray[np.bool_]) -> list[NDArray[np.float64]]:
    """(points, 2) row and column of each polygon's points, in pixels; a pixel's centre has whole numbers.

    A hole is entered and left by one and the same line (the keyhole technique, DICOM PS3.3 C.8.8.6.3).
    """
    polygons: dict[int, list[Node]] = {}
    holes = []
    owner: dict[Node, int] = {}
    for number, (loop, is_hole) in enumerate(_loops(mask)):
        if is_hole:
            holes.append(loop)
        else:
            polygons[number] = loop
        owner |= dict.fromkeys(loop, number)
    # a hole is joined to what lies to its left: to the part's edge, or to a hole that has been joined before
    for hole in sorted(holes, key=lambda hole: min(column for _, column in hole)):
        start = min(hole, key=_by_column)
        end = _to_the_left(start, owner)
        polygon = polygons[owner[end]]
        at, first = polygon.index(end), hole.index(start)
        polygon[at:at] = [end, *hole[first:], *hole[:first], start]
        owner |= dict.fromkeys(hole, owner[end])
    return [np.array(_corners(polygon), float) - 0.5 for polygon in polygons.values()]


def _loops(mask: NDArray[np.bool_]) -> Iterator[tuple[list[Node], bool]]:
    """The edges of the mask, a node at every pixel, the mask to their right; and whether each is that of a hole."""
    edges = _edges(mask)
    for start in sorted(edges):
        while edges[start]:
            # the first node of an outer edge is the upper left corner of a pixel, that of a hole has one to its left
            direction = min(edges[start])
            is_hole, node, loop = STEPS[direction] == (1, 0), start, []
            while direction in edges[node]:
                edges[node].remove(direction)
                loop.append(node)
                node = (node[0] + STEPS[direction][0], node[1] + STEPS[direction][1])
                # where two pixels touch at their corners, along the same pixel
                turns = ((direction + turn) % 4 for turn in (1, 0, 3))
                direction = next((turn for turn in turns if turn in edges[node]), direction)
            yield loop, is_hole


def _edges(mask: NDArray[np.bool_]) -> dict[Node, set[int]]:
    """Node -> the directions in which an edge leaves it."""
    padded = np.pad(mask, 1)
    inside = padded[1:-1, 1:-1]
    neighbours = (padded[:-2, 1:-1], padded[1:-1, 2:], padded[2:, 1:-1], padded[1:-1, :-2])
    edges: dict[Node, set[int]] = {}
    for direction, (neighbour, corner) in enumerate(zip(neighbours, ((0, 0), (0, 1), (1, 1), (1, 0)), strict=True)):
        for row, column in (np.argwhere(inside & ~neighbour) + corner).tolist():
            edges.setdefault((row, column), set()).add(direction)
            step = STEPS[direction]
            edges.setdefault((row + step[0], column + step[1]), set())
    return edges


def _by_column(node: Node) -> Node:
    return node[1], node[0]


def _to_the_left(start: Node, owner: dict[Node, int]) -> Node:
    """The nearest node of an edge; all pixels on the way are the mask's, so that it is no corner of two parts."""
    row, column = start[0], start[1] - 1
    while (row, column) not in owner:
        column -= 1
    return row, column


def _corners(polygon: Sequence[Node]) -> list[Node]:
    """Without the nodes at which it goes straight on."""
    before = [polygon[-1], *polygon[:-1]]
    after = [*polygon[1:], polygon[0]]
    return [
        node
        for last, node, following in zip(before, polygon, after, strict=True)
        if _direction(last, node) != _direction(node, following)
    ]


def _direction(start: Node, end: Node) -> Node:
    row, column = end[0] - start[0], end[1] - start[1]
    return (row > 0) - (row < 0), (column > 0) - (column < 0)
