"""Boundary IoU and the trimap curve of two folders of label maps."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64

from parsenet.data.reading import read_mask
from parsenet.evaluation.comparison import known
from parsenet.evaluation.folders import Pair
from parsenet.files import write_bytes_atomically
from parsenet.metrics.boundary import (
    RATIO,
    WIDTHS,
    BoundaryAreas,
    boundary_areas,
    trimap_counts,
)
from parsenet.metrics.scores import scores
from parsenet.taxonomy import Taxonomy


def score_contours(
    pairs: Sequence[Pair], taxonomy: Taxonomy, workers: int | None = None
) -> dict[str, Any]:
    """Score the pixels near the contours; counts are summed over the images, then divided.

    Args:
        pairs: label maps that `score_pairs` accepted.
        taxonomy: what the values mean.
        workers: threads that read; None for a few more than there are cores.

    Returns:
        what `boundary.json` holds: boundary IoU with its mean, and mean IoU in each trimap band.
    """

    def measure(pair: Pair) -> tuple[BoundaryAreas, Int64[np.ndarray, "b c c"]]:
        maps = read_mask(pair.prediction, taxonomy), read_mask(pair.label, taxonomy)
        sizes = taxonomy.num_classes, taxonomy.void
        return boundary_areas(*maps, *sizes), trimap_counts(*maps, *sizes)

    with ThreadPoolExecutor(workers) as pool:
        done = pool.map(measure, pairs)
        areas, bands = next(done)
        for more_areas, more_bands in done:
            areas, bands = areas + more_areas, bands + more_bands
    return {
        "boundary_ratio": RATIO,
        "boundary_mean_iou": known(areas.mean_iou()),
        "boundary_iou": dict(zip(taxonomy.names, map(known, areas.iou()), strict=True)),
        "trimap_mean_iou": {
            str(width): known(scores(counts).mean_iou)
            for width, counts in zip(WIDTHS, bands, strict=True)
        },
    }


def write_contours(out_dir: Path, record: Mapping[str, Any]) -> None:
    """Write `boundary.json`.

    Args:
        out_dir: folder to write to.
        record: what `score_contours` returned.
    """
    write_bytes_atomically(
        out_dir / "boundary.json", (json.dumps(record, indent=1) + "\n").encode()
    )
