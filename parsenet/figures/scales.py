"""Figure 3: at what scale the features of each layer are, before and after L2Norm."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch import Tensor

from parsenet.figures.networks import Subject
from parsenet.figures.plots import COLOURS, figure, save_figure
from parsenet.files import write_bytes_atomically
from parsenet.models.heads import SkipHead
from parsenet.models.l2norm import L2Norm

PERCENTILES = (1, 5, 25, 50, 75, 95, 99)
_BINS_PER_DECADE = 20


@dataclass(frozen=True)
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


class ScaleCounter:
    """Collects the L2 norm of every cell of every feature.

    Args:
        subject: the network.
    """

    def __init__(self, subject: Subject) -> None:
        self._network, self._device = subject.network, subject.device
        head = subject.network.head
        self._norms: dict[str, L2Norm] = {}
        if not isinstance(head, SkipHead):
            norms = dict(head.prepare.norm.named_children())
            self._norms = {name: x for name, x in norms.items() if isinstance(x, L2Norm)}
        self._lengths: dict[tuple[str, bool], list[Float32[np.ndarray, " p"]]] = {}
        self._sums: dict[tuple[str, bool], tuple[float, int]] = {}

    def add(self, image: UInt8[np.ndarray, "h w 3"]) -> None:
        """Run an image through the network.

        Args:
            image: RGB in [0, 255].
        """
        pixels = torch.from_numpy(image.transpose(2, 0, 1).copy())[None].to(self._device)
        with torch.inference_mode():
            features = self._network.trunk(self._network.preprocess(pixels))
            features["pool6"] = self._network.context(features["fc7"])
            for name, x in features.items():
                self._count((name, False), x)
                if name in self._norms:
                    self._count((name, True), self._norms[name](x))

    def _count(self, key: tuple[str, bool], x: Tensor) -> None:
        lengths = torch.linalg.vector_norm(x.float(), dim=1).flatten().cpu().numpy()
        self._lengths.setdefault(key, []).append(lengths)
        total, number = self._sums.get(key, (0.0, 0))
        self._sums[key] = total + float(x.abs().double().sum()), number + x.numel()

    def lengths(self) -> dict[tuple[str, bool], Float32[np.ndarray, " p"]]:
        """Return the L2 norms by (feature, whether after L2Norm), the finest feature first."""
        return {key: np.concatenate(parts) for key, parts in self._lengths.items()}

    def scales(self) -> list[Scale]:
        """Sum up what was collected."""
        rows = []
        for (name, normalized), lengths in self.lengths().items():
            total, number = self._sums[name, normalized]
            learned = None
            if normalized:
                factors = self._norms[name].scale.detach().float()
                learned = (float(factors.min()), float(factors.mean()), float(factors.max()))
            rows.append(
                Scale(
                    feature=name,
                    normalized=normalized,
                    pixels=len(lengths),
                    mean_norm=float(lengths.mean(dtype=np.float64)),
                    mean_abs=total / number,
                    zeros=float((lengths == 0).mean()),
                    percentiles=tuple(np.percentile(lengths, PERCENTILES).tolist()),
                    learned=learned,
                )
            )
        return rows


def measure_scales(subject: Subject, images: Iterable[UInt8[np.ndarray, "_ _ 3"]]) -> ScaleCounter:
    """Run images through a network and collect the scale of its features.

    Args:
        subject: the network.
        images: RGB in [0, 255].

    Source: PAPER section 5; ParseNet, arXiv:1506.04579, figure 3.
    """
    counter = ScaleCounter(subject)
    for image in images:
        counter.add(image)
    return counter


def write_scales(
    counter: ScaleCounter, subject: Subject, out_dir: Path, about: Mapping[str, object]
) -> list[Path]:
    """Write `scales.png`, `scales.json` and `scales.csv`.

    Args:
        counter: what was measured.
        subject: the network.
        out_dir: folder; made if it is missing.
        about: what was run on what, for the JSON file.

    Returns:
        the paths.
    """
    scales = counter.scales()
    record = {
        "network": subject.name,
        **about,
        "percentiles": PERCENTILES,
        "features": [asdict(scale) for scale in scales],
    }
    png, table, data = (out_dir / f"scales.{end}" for end in ("png", "csv", "json"))
    _draw(counter.lengths(), scales, subject.name, png)
    write_bytes_atomically(table, _csv(scales).encode())
    write_bytes_atomically(data, (json.dumps(record, indent=1) + "\n").encode())
    return [png, table, data]


def _csv(scales: list[Scale]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    plain = ["feature", "normalized", "pixels", "mean_norm", "mean_abs", "zeros"]
    writer.writerow([
        *plain, *(f"p{p}" for p in PERCENTILES), "factor_min", "factor_mean", "factor_max"
    ])  # fmt: skip
    for scale in scales:
        values = [getattr(scale, name) for name in plain]
        writer.writerow([*values, *scale.percentiles, *(scale.learned or ("", "", ""))])
    return text.getvalue()


def _draw(
    lengths: Mapping[tuple[str, bool], Float32[np.ndarray, " p"]],
    scales: list[Scale],
    title: str,
    path: Path,
) -> None:
    """Draw a panel of histograms over a log axis, and one for after L2Norm where there is one."""
    stages = [
        stage for stage in (False, True) if any(scale.normalized is stage for scale in scales)
    ]
    drawn, panels = figure(1, len(stages), (5.2 * len(stages), 3.6))
    features = list(dict.fromkeys(scale.feature for scale in scales))
    for axes, stage in zip(panels[0], stages, strict=True):
        for scale in scales:
            if scale.normalized is stage:
                colour = COLOURS[features.index(scale.feature) % len(COLOURS)]
                x, y = _histogram(lengths[scale.feature, stage])
                mean = (
                    f"{scale.mean_norm:,.0f}"
                    if scale.mean_norm >= 100
                    else f"{scale.mean_norm:.3g}"
                )
                label = f"{scale.feature}: {mean}"
                axes.fill_between(x, y, step="mid", color=colour, alpha=0.2)
                axes.step(x, y, where="mid", color=colour, label=label)
        axes.set(
            xscale="log",
            xlabel="L2 norm of a pixel's feature vector",
            ylabel="share of pixels",
            ylim=(0, None),
            title="after L2Norm" if stage else "as they are",
        )
        axes.legend(title="mean norm", fontsize=8)
    low, high = (
        pick(axes.get_xlim()[end] for axes in panels[0]) for end, pick in ((0, min), (1, max))
    )
    for axes in panels[0]:  # one scale for both
        axes.set_xlim(low, high)
    drawn.suptitle(title)
    save_figure(drawn, path)


def _histogram(
    lengths: Float32[np.ndarray, " p"],
) -> tuple[list[float], list[float]]:
    """Share the lengths out over bins that are even on a log axis; zeros have no place there."""
    above = lengths[lengths > 0]
    if not len(above):
        return [], []
    low, high = np.log10([above.min(), above.max()])
    # Powers of ten in the middle of a bin, and an empty bin at each side: 10 is one peak.
    first, last = np.round(low * _BINS_PER_DECADE) - 1, np.round(high * _BINS_PER_DECADE) + 2
    edges = (np.arange(first, last + 1) - 0.5) / _BINS_PER_DECADE
    counts, _ = np.histogram(np.log10(above), edges)
    centres = 10 ** ((edges[1:] + edges[:-1]) / 2)
    return centres.tolist(), (counts / len(lengths)).tolist()
