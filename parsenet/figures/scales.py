"""Figure 3: at what scale the features of each layer are, before and after L2Norm."""

from __future__ import annotations

import csv
import io
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32, UInt8

from parsenet.figures.networks import Subject
from parsenet.files import write_bytes_atomically
from parsenet.models.heads import SkipHead
from parsenet.models.l2norm import L2Norm
from parsenet.reports.charts import COLOURS, log_scale, panels, style, write_chart

PERCENTILES = (1, 5, 25, 50, 75, 95, 99)
_BINS_PER_DECADE = 20


@dataclass(frozen=True, eq=False)
class Scale:
    """How large a feature is over some images."""

    feature: str
    """Feature map, or pool6."""
    normalized: bool
    """After L2Norm, its learned factors included."""
    pixels: int
    """Cells of the map in all images; pool6 has one per image."""
    mean_norm: float
    """Mean L2 norm over channels."""
    mean_abs: float
    """Mean absolute value of a channel at a cell: what Caffe's debug_info prints."""
    zeros: float
    """Share of cells where every channel is zero."""
    percentiles: tuple[float, ...]
    """L2 norm at `PERCENTILES`."""
    learned: tuple[float, float, float] | None
    """Least, mean and greatest factor of L2Norm."""
    norms: Float32[np.ndarray, " p"]
    """L2 norm of every cell."""


def measure_scales(subject: Subject, images: Iterable[UInt8[np.ndarray, "_ _ 3"]]) -> list[Scale]:
    """Run images through a network and collect the scale of its features.

    Args:
        subject: the network.
        images: RGB in [0, 255].

    Returns:
        every feature, the finest first, and behind it the same after L2Norm where there is one.

    Source: PAPER section 5; ParseNet, arXiv:1506.04579, figure 3.
    """
    network, head = subject.network, subject.network.head
    layers = {} if isinstance(head, SkipHead) else dict(head.prepare.norm.named_children())
    l2norms = {name: layer for name, layer in layers.items() if isinstance(layer, L2Norm)}
    norms: dict[tuple[str, bool], list[Float32[np.ndarray, " p"]]] = defaultdict(list)
    means: dict[tuple[str, bool], list[float]] = defaultdict(list)
    for image in images:
        pixels = torch.from_numpy(image.transpose(2, 0, 1).copy())[None].to(subject.device)
        with torch.inference_mode():
            features = network.trunk(network.preprocess(pixels))
            features["pool6"] = network.context(features["fc7"])
            for name, x in features.items():
                stages = {False: x} | ({True: l2norms[name](x)} if name in l2norms else {})
                for normalized, y in stages.items():
                    lengths = torch.linalg.vector_norm(y.float(), dim=1).flatten()
                    norms[name, normalized].append(lengths.cpu().numpy())
                    means[name, normalized].append(float(y.abs().double().mean()))
    scales = []
    for (name, normalized), parts in norms.items():
        joined = np.concatenate(parts)
        mean_abs = np.average(means[name, normalized], weights=[len(part) for part in parts])
        factors = l2norms[name].scale.detach().float() if normalized else None
        scales.append(
            Scale(
                feature=name,
                normalized=normalized,
                pixels=len(joined),
                mean_norm=float(joined.mean(dtype=np.float64)),
                mean_abs=float(mean_abs),
                zeros=float((joined == 0).mean()),
                percentiles=tuple(np.percentile(joined, PERCENTILES).tolist()),
                learned=None
                if factors is None
                else (float(factors.min()), float(factors.mean()), float(factors.max())),
                norms=joined,
            )
        )
    return scales


def write_scales(
    scales: Sequence[Scale], subject: Subject, out_dir: Path, about: Mapping[str, object]
) -> list[Path]:
    """Write `scales.png`, `scales.csv` and `scales.json`.

    Args:
        scales: what was measured.
        subject: the network.
        out_dir: folder; made if it is missing.
        about: what was run on what, for the JSON file.

    Returns:
        the paths.
    """
    png, table, data = (out_dir / f"scales.{end}" for end in ("png", "csv", "json"))
    _draw(scales, subject.name, png)
    rows = [{key: x for key, x in vars(scale).items() if key != "norms"} for scale in scales]
    record = {"network": subject.name, **about, "percentiles": PERCENTILES, "features": rows}
    write_bytes_atomically(data, (json.dumps(record, indent=1) + "\n").encode())
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    heads = [*rows[0]][:-2] + [f"p{p}" for p in PERCENTILES]
    writer.writerow([*heads, "factor_min", "factor_mean", "factor_max"])
    for row in rows:
        *plain, percentiles, learned = row.values()
        writer.writerow([*plain, *percentiles, *(learned or ("", "", ""))])
    write_bytes_atomically(table, text.getvalue().encode())
    return [png, table, data]


def _draw(scales: Sequence[Scale], title: str, path: Path) -> None:
    """Draw a panel of histograms over a log axis, and one for after L2Norm where there is one."""
    stages = sorted({scale.normalized for scale in scales})
    features = list(dict.fromkeys(scale.feature for scale in scales))
    # Zeros have no place on a log axis; of maps that are nothing but zeros there is no histogram.
    above = [scale.norms[scale.norms > 0] for scale in scales]
    ends = [float(end(norms)) for norms in above if len(norms) for end in (np.min, np.max)] or [1.0]
    low, high = np.log10([min(ends), max(ends)])
    # Powers of ten in the middle of a bin, and an empty bin at each side: 10 is one peak.
    first, last = np.round(low * _BINS_PER_DECADE) - 1, np.round(high * _BINS_PER_DECADE) + 2
    bins = 10 ** ((np.arange(first, last + 1) - 0.5) / _BINS_PER_DECADE)
    with style():
        figure, grid = panels(1, len(stages), (5.2 * len(stages), 3.6))
        for scale, norms in zip(scales, above, strict=True):
            axes, index = grid[0, stages.index(scale.normalized)], features.index(scale.feature)
            colour, mean = COLOURS[index % len(COLOURS)], scale.mean_norm
            label = f"{scale.feature}: {mean:{',.0f' if mean >= 100 else '.3g'}}"
            look = {"fc": (colour, 0.15), "ec": colour, "ls": ("-", "--", "-.", ":")[index % 4]}
            weights = np.full(len(norms), 1 / len(scale.norms))
            axes.hist(norms, bins, weights=weights, histtype="stepfilled", label=label, **look)
        for axes, stage in zip(grid[0], stages, strict=True):
            log_scale(axes, "x", bins)
            axes.set(xlim=(bins[0], bins[-1]), xlabel="L2 norm of a pixel's feature vector")
            axes.set(ylabel="share of pixels", title="after L2Norm" if stage else "as they are")
            axes.legend(title="mean norm", fontsize=8)
        figure.suptitle(title)
    write_chart(path, figure)
