"""Figure 2: what an activation could see of an image, and what moves it in fact."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch import Tensor

from parsenet.errors import ConfigError
from parsenet.figures.fields import Field, receptive_fields
from parsenet.figures.networks import Subject
from parsenet.figures.plots import figure, save_figure
from parsenet.files import write_bytes_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Noise = Literal["uniform", "gaussian", "grey"]


@dataclass(frozen=True)
class Probe:
    """How an image is disturbed, and what counts as a change. PAPER gives no values: ours."""

    patch: int = 32
    """Side of the patch in pixels."""
    stride: int = 16
    """Pixels between two positions of the patch; the heat map has a cell for each."""
    noise: Noise = "uniform"
    """What the patch holds: `uniform` in 0..255, the image with `gaussian` noise (standard
    deviation 64), or flat `grey` (128)."""
    threshold: float = 0.1
    """A cell counts where the activation changes by this share of the greatest change."""
    batch: int = 8
    """Disturbed images that run together."""
    seed: int = 0
    """Start of the noise: the same patch at every position."""
    at: tuple[int, int] | None = None
    """(row, column) of the pixel whose activation is watched; None takes the greatest one."""
    channel: int | None = None
    """The channel that is watched; None takes the greatest one's."""

    def __post_init__(self) -> None:
        if min(self.patch, self.stride, self.batch) < 1:
            raise ConfigError(
                "`patch`, `stride` and `batch` must be at least 1, got "
                f"{self.patch}, {self.stride} and {self.batch}."
            )
        if not 0 < self.threshold <= 1:
            raise ConfigError(f"`threshold` must be in (0, 1], got {self.threshold}.")


class Unit(NamedTuple):
    """One activation: a channel at a cell of a feature map."""

    channel: int
    row: int
    column: int


@dataclass(frozen=True, eq=False)
class Seen:
    """What one activation of a feature map sees of an image."""

    feature: str
    """The map."""
    unit: Unit
    """The activation."""
    activation: float
    """Its value on the image as it is."""
    field: Field
    """The theoretical receptive field of the feature map."""
    heat: Float32[np.ndarray, "h w"]
    """Absolute change of the activation by position of the patch."""
    threshold: float
    """Share of the greatest change from which a position counts."""
    stride: int
    """Pixels between two positions."""
    size: tuple[int, int]
    """(height, width) of the image."""

    @property
    def box(self) -> tuple[int, int, int, int]:
        """First row, end row, first column, end column of the theoretical field in the image."""
        rows = self.field.span(self.unit.row, self.size[0])
        return *rows, *self.field.span(self.unit.column, self.size[1])

    @property
    def theoretical_share(self) -> float:
        """Share of the image's area that the theoretical field covers."""
        top, bottom, left, right = self.box
        return (bottom - top) * (right - left) / (self.size[0] * self.size[1])

    @property
    def empirical_share(self) -> float:
        """Share of the patch's positions where the activation changed noticeably."""
        most = float(self.heat.max())
        return float((self.heat >= self.threshold * most).mean()) if most > 0 else 0.0

    def to_dict(self) -> dict[str, object]:
        """Return plain values; the heat map as rows of numbers."""
        return {
            "feature": self.feature,
            **self.unit._asdict(),
            "activation": self.activation,
            "theoretical_size": self.field.size,
            "theoretical_box": self.box,
            "theoretical_share": self.theoretical_share,
            "empirical_share": self.empirical_share,
            "heat": [[float(f"{value:.4g}") for value in row] for row in self.heat.tolist()],
        }


def probe_image(
    subject: Subject,
    image: UInt8[np.ndarray, "h w 3"],
    probe: Probe = Probe(),
    features: Sequence[str] = ("fc7",),
    progress: Callable[[int, int], None] | None = None,
) -> list[Seen]:
    """Slide a patch of noise over an image and watch one activation of every feature map.

    The activation is the greatest of its map, as in the paper's figure, unless the probe names a
    place or a channel. One pass serves all feature maps; patches that lie outside of every
    theoretical field change nothing and are left out.

    Args:
        subject: the network.
        image: RGB in [0, 255].
        probe: patch, positions, noise.
        features: maps to watch.
        progress: called with the number of positions done and their total.

    Raises:
        ConfigError: a feature map, the place or the channel is not there.

    Source: "slide a small patch of random noise across the input image, and measure the change in
    the activation of the desired layer" (PAPER section 6).
    """
    trunk, preprocess = subject.network.trunk, subject.network.preprocess
    fields = receptive_fields(trunk)
    size = (image.shape[0], image.shape[1])
    _refuse_unknown(subject, features, probe, size)
    pixels = torch.from_numpy(image.copy()).to(subject.device).permute(2, 0, 1).float()
    with torch.inference_mode():
        maps = trunk(preprocess(pixels[None]))
        units = {
            feature: _choose(maps[feature][0], trunk.feature_maps[feature].stride, probe)
            for feature in features
        }
        before = {feature: float(maps[feature][0][units[feature]]) for feature in features}
        disturb = _Disturber(pixels, probe)
        shape = (-(-size[0] // probe.stride), -(-size[1] // probe.stride))
        seen = [
            Seen(feature, units[feature], before[feature], fields[feature],
                 np.zeros(shape, np.float32), probe.threshold, probe.stride, size)
            for feature in features
        ]  # fmt: skip
        cells = [
            cell for cell in np.ndindex(shape) if any(disturb.reaches(cell, s.box) for s in seen)
        ]
        for start in range(0, len(cells), probe.batch):
            chosen = cells[start : start + probe.batch]
            changed = trunk(preprocess(torch.stack([disturb(cell) for cell in chosen])))
            for one in seen:
                channel, row, column = one.unit
                change = changed[one.feature][:, channel, row, column].float() - one.activation
                one.heat[tuple(zip(*chosen, strict=True))] = change.abs().cpu().numpy()
            if progress is not None:
                progress(start + len(chosen), len(cells))
    return seen


def mean_shares(images: Mapping[str, Sequence[Seen]]) -> list[dict[str, Any]]:
    """Average the shares of every feature map over images.

    Args:
        images: what was seen of each, by name.
    """
    rows: dict[str, list[Seen]] = {}
    for seen in (one for parts in images.values() for one in parts):
        rows.setdefault(seen.feature, []).append(seen)
    return [
        {
            "feature": feature,
            "theoretical_size": seen[0].field.size,
            "theoretical_share": float(np.mean([one.theoretical_share for one in seen])),
            "empirical_share": float(np.mean([one.empirical_share for one in seen])),
            "images": len(seen),
        }
        for feature, seen in rows.items()
    ]


def write_fields(
    out_dir: Path, subject: Subject, probe: Probe, images: Mapping[str, Sequence[Seen]]
) -> Path:
    """Write `receptive_field.json`: the mean shares, and everything of every image.

    Args:
        out_dir: folder; made if it is missing.
        subject: the network.
        probe: how the images were disturbed.
        images: what was seen of each, by name.
    """
    path = out_dir / "receptive_field.json"
    record = {
        "network": subject.name,
        "probe": asdict(probe),
        "mean": mean_shares(images),
        "images": {name: [one.to_dict() for one in seen] for name, seen in images.items()},
    }
    write_bytes_atomically(path, (json.dumps(record) + "\n").encode())
    return path


def draw_fields(path: Path, image: UInt8[np.ndarray, "h w 3"], seen: Sequence[Seen]) -> None:
    """Draw the image under the heat map of every feature map.

    The white frame is the theoretical field, the cross the watched activation's place, the yellow
    line the threshold.

    Args:
        path: PNG to write.
        image: RGB in [0, 255].
        seen: what was found, a panel each.
    """
    height, width = image.shape[:2]
    columns = min(2 if len(seen) in (2, 4) else 3, len(seen))
    rows = -(-len(seen) // columns)
    size = (4.2 * columns, rows * (4.2 * height / width + 0.5))
    drawn, panels = figure(rows, columns, size)
    for axes in panels.ravel()[len(seen) :]:
        axes.set_axis_off()
    for axes, one in zip(panels.ravel(), seen, strict=False):
        _draw_panel(axes, image, one)
    save_figure(drawn, path)


def _draw_panel(axes: Axes, image: UInt8[np.ndarray, "h w 3"], one: Seen) -> None:
    height, width = one.size
    share = one.heat / (float(one.heat.max()) or 1.0)
    step = one.stride
    axes.imshow(image.mean(2), cmap="gray", vmin=-60, vmax=255)
    extent = (0, share.shape[1] * step, share.shape[0] * step, 0)
    # The root shows small changes too.
    axes.imshow(share, cmap="plasma", alpha=0.8 * share**0.5, extent=extent, vmin=0, vmax=1)
    if share.any() and min(share.shape) > 1:
        y, x = ((np.arange(number) + 0.5) * step for number in share.shape)
        axes.contour(x, y, share, levels=[one.threshold], colors="#ffe14d", linewidths=1.2)
    top, bottom, left, right = one.box
    axes.plot([left, right, right, left, left], [top, top, bottom, bottom, top], "w-", lw=1.5)
    middle = (one.field.first + one.field.last) / 2
    centre = [middle + cell * one.field.stride for cell in (one.unit.column, one.unit.row)]
    axes.plot(*centre, "r+", ms=12, mew=2)
    axes.set(xlim=(0, width), ylim=(height, 0), xticks=[], yticks=[])
    axes.set_title(
        f"{one.feature}: {one.field.size} px = {100 * one.theoretical_share:.0f} % in theory, "
        f"{100 * one.empirical_share:.0f} % in fact",
        fontsize=9,
    )


class _Disturber:
    """Puts the patch over a copy of the image."""

    def __init__(self, pixels: Tensor, probe: Probe) -> None:
        self.pixels, self.probe = pixels, probe
        generator = torch.Generator().manual_seed(probe.seed)
        shape = (3, probe.patch, probe.patch)
        if probe.noise == "uniform":
            noise = torch.randint(0, 256, shape, generator=generator).float()
        elif probe.noise == "gaussian":
            noise = 64 * torch.randn(shape, generator=generator)
        else:
            noise = torch.full(shape, 128.0)
        self.noise = noise.to(pixels.device)

    def corner(self, cell: tuple[int, int]) -> tuple[int, int]:
        """Return the first (row, column) of the patch in the middle of a cell of the heat map."""
        inset = (self.probe.stride - self.probe.patch) // 2
        return cell[0] * self.probe.stride + inset, cell[1] * self.probe.stride + inset

    def reaches(self, cell: tuple[int, int], box: tuple[int, int, int, int]) -> bool:
        """Tell whether the patch overlaps a part of the image."""
        (top, left), patch = self.corner(cell), self.probe.patch
        return top < box[1] and top + patch > box[0] and left < box[3] and left + patch > box[2]

    def __call__(self, cell: tuple[int, int]) -> Tensor:
        """Return the image with the patch at a cell; what sticks out falls away."""
        probe, (height, width) = self.probe, self.pixels.shape[1:]
        result = self.pixels.clone()
        top, left = self.corner(cell)
        rows = slice(max(0, top), min(height, top + probe.patch))
        columns = slice(max(0, left), min(width, left + probe.patch))
        part = self.noise[
            :, rows.start - top : rows.stop - top, columns.start - left : columns.stop - left
        ]
        if probe.noise == "gaussian":
            part = (result[:, rows, columns] + part).clamp(0, 255)
        result[:, rows, columns] = part
        return result


def _choose(x: Tensor, stride: int, probe: Probe) -> Unit:
    """Find the greatest activation, of one channel or one cell where these are given."""
    rows, columns = x.shape[1:]
    if probe.at is not None:
        row, column = (
            min(p // stride, n - 1) for p, n in zip(probe.at, (rows, columns), strict=True)
        )
        best = int(x[:, row, column].argmax())
        return Unit(best if probe.channel is None else probe.channel, row, column)
    part = x if probe.channel is None else x[probe.channel : probe.channel + 1]
    chosen, cell = divmod(int(part.reshape(-1).argmax()), rows * columns)
    return Unit(chosen if probe.channel is None else probe.channel, *divmod(cell, columns))


def _refuse_unknown(
    subject: Subject, features: Sequence[str], probe: Probe, size: tuple[int, int]
) -> None:
    known = subject.network.trunk.feature_maps
    for feature in features:
        if feature not in known:
            raise ConfigError(f"`feature` must be one of {', '.join(known)}, got '{feature}'.")
        if probe.channel is not None and not 0 <= probe.channel < known[feature].channels:
            raise ConfigError(
                f"`channel` must be in 0..{known[feature].channels - 1} of {feature}, got "
                f"{probe.channel}."
            )
    at = probe.at
    if at is not None and not (0 <= at[0] < size[0] and 0 <= at[1] < size[1]):
        raise ConfigError(
            f"`at` must be a pixel (row, column) of the image of {size[0]} x {size[1]}, got "
            f"{at[0]}, {at[1]}."
        )
