"""Figure 3: at what scale the features of each layer are, before and after L2Norm."""

from __future__ import annotations

import csv
import io
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float32, UInt8

from parsenet.files import write_bytes_atomically
from parsenet.models.heads import SkipHead
from parsenet.models.l2norm import L2Norm
from parsenet.models.parsenet import ParseNet
from parsenet.reports.charts import COLOURS, log_scale, panels, styled, write_chart

PERCENTILES = (1, 5, 25, 50, 75, 95, 99)
_BINS_PER_DECADE = 20


class Scale(NamedTuple):
    """How large a feature is over some images."""

    norms: Float32[np.ndarray, " p"]
    """L2 norm of every cell of the map in all images; pool6 has one cell per image."""
    row: dict[str, Any]
    """What is written: `feature`, `normalized` (after L2Norm, its learned factors included),
    `pixels` (cells), `mean_norm`, `mean_abs` (mean absolute value of a channel at a cell: what
    Caffe's debug_info prints), `zeros` (share of cells where every channel is zero), `p1` to `p99`
    (percentiles of the norm), and `factor_min`, `factor_mean`, `factor_max` of L2Norm, or None."""


def measure_scales(network: ParseNet, images: Iterable[UInt8[np.ndarray, "_ _ 3"]]) -> list[Scale]:
    """Run images through a network and collect the scale of its features.

    Args:
        network: in evaluation mode.
        images: RGB in [0, 255].

    Returns:
        every feature, the finest first, and behind it the same after L2Norm where there is one.

    Source: PAPER section 5; ParseNet, arXiv:1506.04579, figure 3.
    """
    head, device = network.head, next(network.parameters()).device
    layers = {} if isinstance(head, SkipHead) else dict(head.prepare.norm.named_children())
    l2norms = {name: layer for name, layer in layers.items() if isinstance(layer, L2Norm)}
    found: dict[tuple[str, bool], list[tuple[np.ndarray, float]]] = defaultdict(list)
    for image in images:
        pixels = torch.from_numpy(image.transpose(2, 0, 1).copy())[None].to(device)
        with torch.inference_mode():
            features = network.trunk(network.preprocess(pixels))
            features["pool6"] = network.context(features["fc7"])
            for name, x in features.items():
                stages = {False: x} | ({True: l2norms[name](x)} if name in l2norms else {})
                for normalized, y in stages.items():
                    lengths = torch.linalg.vector_norm(y.float(), dim=1).flatten()
                    mean_abs = float(y.abs().double().mean())
                    found[name, normalized].append((lengths.cpu().numpy(), mean_abs))
    scales = []
    for (name, normalized), parts in found.items():
        norms = np.concatenate([part for part, _ in parts])
        factors = l2norms[name].scale.detach().float() if normalized else None
        row: dict[str, Any] = {
            "feature": name,
            "normalized": normalized,
            "pixels": len(norms),
            "mean_norm": float(norms.mean(dtype=np.float64)),
            "mean_abs": sum(len(part) * mean for part, mean in parts) / len(norms),
            "zeros": float((norms == 0).mean()),
        }
        row |= {f"p{p}": float(np.percentile(norms, p)) for p in PERCENTILES}
        for end in ("min", "mean", "max"):
            row[f"factor_{end}"] = None if factors is None else float(getattr(factors, end)())
        scales.append(Scale(norms, row))
    return scales


def write_scales(
    scales: Sequence[Scale], name: str, out_dir: Path, about: Mapping[str, object]
) -> list[Path]:
    """Write `scales.png`, `scales.csv` and `scales.json`.

    Args:
        scales: what was measured.
        name: of the network.
        out_dir: folder; made if it is missing.
        about: what was run on what, for the JSON file.

    Returns:
        the paths.
    """
    png, table, data = (out_dir / f"scales.{end}" for end in ("png", "csv", "json"))
    _draw(scales, name, png)
    rows = [scale.row for scale in scales]
    text = io.StringIO()
    writer = csv.DictWriter(text, [*rows[0]], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_bytes_atomically(table, text.getvalue().encode())
    record = {"network": name, **about, "features": rows}
    write_bytes_atomically(data, (json.dumps(record, indent=1) + "\n").encode())
    return [png, table, data]


@styled
def _draw(scales: Sequence[Scale], title: str, path: Path) -> None:
    """Draw a panel of histograms over a log axis, and one for after L2Norm where there is one."""
    stages = sorted({scale.row["normalized"] for scale in scales})
    features = list(dict.fromkeys(scale.row["feature"] for scale in scales))
    # Zeros have no place on a log axis; of maps that are nothing but zeros there is no histogram.
    norms = np.concatenate([scale.norms for scale in scales])
    above = norms[norms > 0] if norms.any() else np.ones(1)
    low, high = np.log10([above.min(), above.max()])
    # Powers of ten in the middle of a bin, and an empty bin at each side: 10 is one peak.
    first, last = np.round(low * _BINS_PER_DECADE) - 1, np.round(high * _BINS_PER_DECADE) + 2
    bins = 10 ** ((np.arange(first, last + 1) - 0.5) / _BINS_PER_DECADE)
    figure, grid = panels(1, len(stages), (5.2 * len(stages), 3.6))
    for norms, row in scales:
        axes, index = grid[0, stages.index(row["normalized"])], features.index(row["feature"])
        mean = row["mean_norm"]
        colour = COLOURS[index % len(COLOURS)]
        look = {"fc": (colour, 0.15), "ec": colour, "ls": ("-", "--", "-.", ":")[index % 4]}
        weights = np.full(len(norms), 1 / len(norms))
        label = f"{row['feature']}: {mean:{',.0f' if mean >= 100 else '.3g'}}"
        axes.hist(norms, bins, weights=weights, histtype="stepfilled", label=label, **look)
    for axes, stage in zip(grid[0], stages, strict=True):
        log_scale(axes, "x")
        axes.set(xlim=(bins[0], bins[-1]), xlabel="L2 norm of a pixel's feature vector")
        axes.set(ylabel="share of pixels", title="after L2Norm" if stage else "as they are")
        axes.legend(title="mean norm", fontsize=8)
    figure.suptitle(title)
    write_chart(path, figure)
