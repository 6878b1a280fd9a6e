"""A mask as polygons along the edges of its pixels, without holes, as COCO wants them."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from jaxtyping import Bool

_Point = tuple[int, int]


def trace_polygons(mask: Bool[np.ndarray, "h w"]) -> list[list[int]]:
    """Trace the outlines of a mask; filled, they give exactly its pixels again.

    COCO's polygons have no holes. A part with a hole is cut in two through it, again and again
    until none is left.

    Args:
        mask: True inside.

    Returns:
        polygons as [x0, y0, x1, y1, ...] in pixels, (0, 0) the image's corner. Parts that touch
        in a corner only are apart.
    """
    polygons: list[list[int]] = []
    todo = [(mask, 0)]
    while todo:
        part, left = todo.pop()
        columns = np.flatnonzero(part.any(axis=0))
        if not columns.size:
            continue
        first, last = int(columns[0]), int(columns[-1]) + 1
        part, left = part[:, first:last], left + first
        loops = _trace_loops(part)
        holes = [loop for loop in loops if _area(loop) < 0]
        if holes:
            # Through the middle of the hole in the middle: about half of the holes on each side.
            middles = sorted((min(loop)[0] + max(loop)[0] + 1) // 2 for loop in holes)
            cut = middles[len(middles) // 2]
            todo += [(part[:, cut:], left + cut), (part[:, :cut], left)]
        else:
            polygons += [[value for x, y in loop for value in (x + left, y)] for loop in loops]
    return polygons


def _trace_loops(mask: Bool[np.ndarray, "h w"]) -> list[list[_Point]]:
    """Walk along all edges between inside and outside, the inside on the right hand (y down)."""
    ways = _find_edges(mask)
    loops = []
    while ways:
        start = next(iter(ways))
        loop = [start]
        point, previous = ways[start][0], start
        _use(ways, start, point)
        while point != start:
            step = (point[0] - previous[0], point[1] - previous[1])
            following = _turn(ways[point], point, step)
            _use(ways, point, following)
            if (following[0] - point[0], following[1] - point[1]) != step:
                loop.append(point)
            point, previous = following, point
        loops.append(loop)
    return loops


def _find_edges(mask: Bool[np.ndarray, "h w"]) -> dict[_Point, list[_Point]]:
    """Return for every corner (x, y) on the outline the corners that its edges lead to."""
    padded = np.pad(mask, 1).astype(np.int8)
    down, right = np.diff(padded, axis=0)[:, 1:-1], np.diff(padded, axis=1)[1:-1]
    ways: dict[_Point, list[_Point]] = defaultdict(list)
    for y, x in np.argwhere(down == 1).tolist():  # inside below: to the right
        ways[x, y].append((x + 1, y))
    for y, x in np.argwhere(down == -1).tolist():  # inside above: to the left
        ways[x + 1, y].append((x, y))
    for y, x in np.argwhere(right == 1).tolist():  # inside to the right: up
        ways[x, y + 1].append((x, y))
    for y, x in np.argwhere(right == -1).tolist():  # inside to the left: down
        ways[x, y].append((x, y + 1))
    return ways


def _turn(choices: list[_Point], point: _Point, step: _Point) -> _Point:
    """Where two parts touch in a corner, keep to the part that one came along: turn right."""
    right = (point[0] - step[1], point[1] + step[0])
    return right if right in choices else choices[0]


def _use(ways: dict[_Point, list[_Point]], point: _Point, following: _Point) -> None:
    ways[point].remove(following)
    if not ways[point]:
        del ways[point]


def _area(loop: list[_Point]) -> int:
    """Return twice the area: positive for an outline, negative for a hole."""
    following = loop[1:] + loop[:1]
    return sum(x * v - u * y for (x, y), (u, v) in zip(loop, following, strict=True))
