"""Figure 2: what an activation could see of an image, and what moves it in fact."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from rich.console import Console
from rich.progress import track
from torch import Tensor

from parsenet.errors import ConfigError
from parsenet.figures import Probe
from parsenet.figures.networks import Field, Subject, receptive_fields
from parsenet.files import write_bytes_atomically
from parsenet.reports.charts import panels, style, write_chart

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class Seen:
    """What one activation of a feature map sees of an image."""

    feature: str
    """The map."""
    unit: tuple[int, int, int]
    """Channel, row and column of the activation."""
    activation: float
    """Its value on the image as it is."""
    field: Field
    """The theoretical receptive field of the feature map."""
    heat: Float32[np.ndarray, "h w"]
    """Absolute change of the activation by position of the patch."""
    size: tuple[int, int]
    """(height, width) of the image."""
    probe: Probe
    """How the image was disturbed."""

    @property
    def box(self) -> tuple[int, int, int, int]:
        """First row, end row, first column, end column of the theoretical field in the image."""
        _, row, column = self.unit
        return *self.field.span(row, self.size[0]), *self.field.span(column, self.size[1])

    @property
    def theoretical_share(self) -> float:
        """Share of the image's area that the theoretical field covers."""
        top, bottom, left, right = self.box
        return (bottom - top) * (right - left) / (self.size[0] * self.size[1])

    @property
    def empirical_share(self) -> float:
        """Share of the patch's positions where the activation changed noticeably."""
        most = float(self.heat.max())
        return float((self.heat >= self.probe.threshold * most).mean()) if most > 0 else 0.0

    def to_dict(self) -> dict[str, object]:
        """Return plain values; the heat map as rows of numbers."""
        return {
            "feature": self.feature,
            **dict(zip(("channel", "row", "column"), self.unit, strict=True)),
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
    title: str | None = None,
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
        title: of a progress bar; None for none.

    Raises:
        ConfigError: a feature map, the place or the channel is not there.

    Source: "slide a small patch of random noise across the input image, and measure the change in
    the activation of the desired layer" (PAPER section 6).
    """
    trunk, preprocess = subject.network.trunk, subject.network.preprocess
    fields, size = receptive_fields(trunk), (image.shape[0], image.shape[1])
    _refuse_unknown(subject, features, probe, size)
    pixels = torch.from_numpy(image.copy()).to(subject.device).permute(2, 0, 1).float()
    shape = (-(-size[0] // probe.stride), -(-size[1] // probe.stride))
    noise, seen = _noise(probe).to(subject.device), []
    with torch.inference_mode():
        maps = trunk(preprocess(pixels[None]))
        for name in features:
            unit = _choose(maps[name][0], trunk.feature_maps[name].stride, probe)
            heat, value = np.zeros(shape, np.float32), float(maps[name][0][unit])
            seen.append(Seen(name, unit, value, fields[name], heat, size, probe))
        cells = [
            cell for cell in np.ndindex(shape) if any(_reaches(probe, cell, s.box) for s in seen)
        ]
        starts = range(0, len(cells), probe.batch)
        bar = track(starts, title or "", console=Console(stderr=True), disable=title is None)
        for start in bar:
            chosen = cells[start : start + probe.batch]
            disturbed = torch.stack([_disturb(pixels, noise, probe, cell) for cell in chosen])
            changed = trunk(preprocess(disturbed))
            for one in seen:
                channel, row, column = one.unit
                change = changed[one.feature][:, channel, row, column].float() - one.activation
                one.heat[tuple(zip(*chosen, strict=True))] = change.abs().cpu().numpy()
    return seen


def mean_shares(images: Mapping[str, Sequence[Seen]]) -> list[dict[str, Any]]:
    """Average the shares of every feature map over images, given what was seen of each by name."""
    every = [one for seen in images.values() for one in seen]
    return [
        {
            "feature": feature,
            "theoretical_size": seen[0].field.size,
            "theoretical_share": float(np.mean([one.theoretical_share for one in seen])),
            "empirical_share": float(np.mean([one.empirical_share for one in seen])),
            "images": len(seen),
        }
        for feature in dict.fromkeys(one.feature for one in every)
        for seen in [[one for one in every if one.feature == feature]]
    ]


def write_fields(
    out_dir: Path, subject: Subject, probe: Probe, images: Mapping[str, Sequence[Seen]]
) -> Path:
    """Write `receptive_field.json`: the mean shares, and everything of every image by name."""
    record = {
        "network": subject.name,
        "probe": asdict(probe),
        "mean": mean_shares(images),
        "images": {name: [one.to_dict() for one in seen] for name, seen in images.items()},
    }
    path = out_dir / "receptive_field.json"
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
    columns = min(2 if len(seen) in (2, 4) else 3, len(seen))
    rows, ratio = -(-len(seen) // columns), image.shape[0] / image.shape[1]
    with style():
        figure, grid = panels(rows, columns, (4.2 * columns, rows * (4.2 * ratio + 0.5)))
        for axes in grid.ravel():
            axes.set_axis_off()
        for axes, one in zip(grid.ravel(), seen, strict=False):
            _draw_panel(axes, image, one)
    write_chart(path, figure)


def _draw_panel(axes: Axes, image: UInt8[np.ndarray, "h w 3"], one: Seen) -> None:
    share, step = one.heat / (float(one.heat.max()) or 1.0), one.probe.stride
    axes.imshow(image.mean(2), cmap="gray", vmin=-60, vmax=255)
    extent = (0, share.shape[1] * step, share.shape[0] * step, 0)
    # The root shows small changes too.
    axes.imshow(share, cmap="plasma", alpha=0.8 * share**0.5, extent=extent, vmin=0, vmax=1)
    if share.any() and min(share.shape) > 1:
        y, x = ((np.arange(number) + 0.5) * step for number in share.shape)
        axes.contour(x, y, share, levels=[one.probe.threshold], colors="#ffe14d", linewidths=1.2)
    top, bottom, left, right = one.box
    axes.plot([left, right, right, left, left], [top, top, bottom, bottom, top], "w-", lw=1.5)
    middle = (one.field.first + one.field.last) / 2
    centre = [middle + cell * one.field.stride for cell in one.unit[:0:-1]]
    axes.plot(*centre, "r+", ms=12, mew=2)
    axes.set(xlim=(0, one.size[1]), ylim=(one.size[0], 0))
    shares = f"{100 * one.theoretical_share:.0f} % in theory, {100 * one.empirical_share:.0f} %"
    axes.set_title(f"{one.feature}: {one.field.size} px = {shares} in fact", fontsize=9)


def _noise(probe: Probe) -> Tensor:
    """Draw the patch."""
    generator, shape = torch.Generator().manual_seed(probe.seed), (3, probe.patch, probe.patch)
    if probe.noise == "grey":
        return torch.full(shape, 128.0)
    if probe.noise == "gaussian":
        return 64 * torch.randn(shape, generator=generator)
    return torch.randint(0, 256, shape, generator=generator).float()


def _corner(probe: Probe, cell: tuple[int, ...]) -> tuple[int, int]:
    """Return the first (row, column) of the patch in the middle of a cell of the heat map."""
    inset = (probe.stride - probe.patch) // 2
    return cell[0] * probe.stride + inset, cell[1] * probe.stride + inset


def _reaches(probe: Probe, cell: tuple[int, ...], box: tuple[int, int, int, int]) -> bool:
    """Tell whether the patch at a cell overlaps a part of the image."""
    (top, left), patch = _corner(probe, cell), probe.patch
    return top < box[1] and top + patch > box[0] and left < box[3] and left + patch > box[2]


def _disturb(pixels: Tensor, noise: Tensor, probe: Probe, cell: tuple[int, ...]) -> Tensor:
    """Return the image with the patch at a cell; what sticks out falls away."""
    result, (top, left) = pixels.clone(), _corner(probe, cell)
    below, right = max(0, -top), max(0, -left)  # of the patch, outside of the image
    target = result[:, top + below : top + probe.patch, left + right : left + probe.patch]
    part = noise[:, below : below + target.shape[1], right : right + target.shape[2]]
    target[:] = (target + part).clamp(0, 255) if probe.noise == "gaussian" else part
    return result


def _choose(x: Tensor, stride: int, probe: Probe) -> tuple[int, int, int]:
    """Find the greatest activation, of one channel or one cell where these are given."""
    first = [0, 0, 0]
    if probe.channel is not None:
        first[0], x = probe.channel, x[probe.channel : probe.channel + 1]
    if probe.at is not None:
        first[1:] = (min(p // stride, n - 1) for p, n in zip(probe.at, x.shape[1:], strict=True))
        x = x[:, first[1] : first[1] + 1, first[2] : first[2] + 1]
    channel, row, column = np.unravel_index(int(x.argmax()), x.shape)
    return first[0] + int(channel), first[1] + int(row), first[2] + int(column)


def _refuse_unknown(
    subject: Subject, features: Sequence[str], probe: Probe, size: tuple[int, int]
) -> None:
    known, at = subject.network.trunk.feature_maps, probe.at
    for feature in features:
        if feature not in known:
            raise ConfigError(f"`feature` must be one of {', '.join(known)}, got '{feature}'.")
        if probe.channel is not None and not 0 <= probe.channel < known[feature].channels:
            raise ConfigError(
                f"`channel` must be in 0..{known[feature].channels - 1} of {feature}, got "
                f"{probe.channel}."
            )
    if at is not None and not (0 <= at[0] < size[0] and 0 <= at[1] < size[1]):
        raise ConfigError(
            f"`at` must be a pixel (row, column) of the image of {size[0]} x {size[1]}, got "
            f"{at[0]}, {at[1]}."
        )
