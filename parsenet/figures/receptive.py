"""Figure 2: what an activation could see of an image, and what moves it in fact."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import UInt8
from rich.console import Console
from rich.progress import track
from torch import Tensor
from torch.fx import Node
from torch.fx.experimental.proxy_tensor import make_fx

from parsenet.config import FEATURES, NetworkConfig
from parsenet.errors import ConfigError, WeightsError
from parsenet.figures import Probe, Start
from parsenet.files import write_bytes_atomically
from parsenet.hardware import choose_device
from parsenet.models.build import TRUNKS, build_model
from parsenet.models.checkpoint import load_network
from parsenet.models.parsenet import ParseNet
from parsenet.models.trunk import Trunk
from parsenet.models.weights import load_weights
from parsenet.reports.charts import panels, styled, write_chart

_BATCH = 8
"""Disturbed images that run together."""


class Field(NamedTuple):
    """What the cells of a map can see: cell i the pixels [first + i * stride, last + i * stride].

    Rows and columns alike, at the top left; beyond the image is padding.
    """

    first: int
    last: int
    stride: int

    @property
    def size(self) -> int:
        """Pixels to a side."""
        return self.last - self.first + 1

    def span(self, cell: int, length: int) -> tuple[int, int]:
        """Return the first and past-the-last pixel, of so many, that a row or column sees."""
        first, end = self.first + cell * self.stride, self.last + cell * self.stride + 1
        return min(max(0, first), length), min(max(0, end), length)


Seen = dict[str, Any]
"""What one activation of a feature map sees of an image.

`feature`, `channel`, `row` and `column` say which; `activation` is its value on the image as it is,
`heat` (h, w) its absolute change by position of the patch. `stride` of the map, `theoretical_size`
of its field, `theoretical_box` of it in the image (first row, end row, first column, end column),
`theoretical_share` of the image's area, and `empirical_share` of the patch's positions where the
activation changed noticeably.
"""


def open_network(name: str, start: Start = Start()) -> tuple[ParseNet, str]:
    """Load a checkpoint, or build a trunk with all five features, as training would start it.

    Args:
        name: a checkpoint's path, or a trunk of the table in `parsenet/models/build.py`.
        start: weights of a trunk, and where to run.

    Returns:
        the network in evaluation mode, and what it is: the checkpoint's folder and file, or the
        trunk and its weights.

    Raises:
        WeightsError: it is neither, or its weights cannot be had.
        ConfigError: the device is not there.
    """
    device = choose_device(start.device)
    if name not in TRUNKS:
        if not Path(name).is_file():
            raise WeightsError(
                f"`model` must be a checkpoint or a trunk ({', '.join(TRUNKS)}), got '{name}'. "
                "Check the path."
            )
        return load_network(Path(name)).network.to(device), "/".join(Path(name).parts[-2:])
    with torch.device("meta"):
        imagenet = next(iter(TRUNKS[name](0.0).sources), None)
    config = NetworkConfig(
        trunk=name,
        features=FEATURES,
        weights=start.weights or imagenet,
        preprocess=start.preprocess,
        download=start.download,
    )
    torch.manual_seed(0)  # of what has no weights
    network = build_model(config, 1)
    told = "random weights"
    if config.weights is not None:
        load_weights(network.trunk, config)  # which tells what keeps its random start
        told = Path(config.weights).name
    return network.eval().to(device), f"{name} ({told})"


def fields_of(name: str) -> dict[str, Field]:
    """Compute the fields of a trunk, by its name and without its weights, or of a checkpoint's."""
    if name not in TRUNKS:
        return receptive_fields(open_network(name, Start(device="cpu"))[0].trunk)
    with torch.device("meta"):
        return receptive_fields(TRUNKS[name](0.0).eval())


def receptive_fields(trunk: Trunk) -> dict[str, Field]:
    """Compute the theoretical receptive field of every feature map.

    A traced forward shows which convolutions and pools it runs through, in which order and with
    which padding; where branches meet, the union of their fields is taken.

    Args:
        trunk: in evaluation mode; its windows are square and its other layers work pixel by pixel.

    Source: the rule is that of FCN's table, 404 pixels for fc7 of FCN-32s (PAPER section 6).
    """
    image = next(trunk.parameters()).new_empty(1, 3, 64, 64)  # any size gives the same fields
    with torch.inference_mode(False), torch.no_grad():
        nodes = list(make_fx(trunk)(image).graph.nodes)
    fields = {nodes[0]: Field(0, 0, 1)}
    for node in nodes:
        known = [fields[source] for source in node.all_input_nodes if source in fields]
        if known:
            first, last = min(field.first for field in known), max(field.last for field in known)
            fields[node] = _step(node, Field(first, last, known[0].stride))
    return {name: fields[nodes[-1].args[0][name]] for name in trunk.feature_maps}


def _step(node: Node, field: Field) -> Field:
    """Follow a field through one operation of ATen."""
    args: tuple[Any, ...] = node.args
    name = str(node.target)
    kernel, stride, padding, dilation = 1, 1, 0, 1
    if name == "aten.convolution.default":
        kernel, stride = args[1].meta["val"].shape[2], args[3][0]
        padding, dilation = args[4][0], args[5][0]
    elif name in ("aten.max_pool2d_with_indices.default", "aten.avg_pool2d.default"):
        kernel, stride = args[1][0], ((*args, None)[2] or args[1])[0]
        padding = args[3][0] if len(args) > 3 else 0
    elif name == "aten.constant_pad_nd.default":
        padding = args[1][2]  # left, right, top, bottom
        shift = padding * field.stride
        return Field(field.first - shift, field.last - shift, field.stride)
    else:
        assert not any(word in name for word in ("conv", "pool")), name
    first = field.first - padding * field.stride
    last = field.last + ((kernel - 1) * dilation - padding) * field.stride
    return Field(first, last, field.stride * stride)


def probe_image(
    network: ParseNet,
    image: UInt8[np.ndarray, "h w 3"],
    probe: Probe = Probe(),
    features: Sequence[str] = ("fc7",),
) -> list[Seen]:
    """Slide a patch of noise over an image and watch one activation of every feature map.

    The activation is the greatest of its map, as in the paper's figure, unless the probe names a
    place or a channel. One pass serves all feature maps.

    Args:
        network: what to look into.
        image: RGB in [0, 255].
        probe: patch, positions, noise.
        features: maps to watch.

    Raises:
        ConfigError: a feature map, the place or the channel is not there.

    Source: "slide a small patch of random noise across the input image, and measure the change in
    the activation of the desired layer" (PAPER section 6).
    """
    trunk, size = network.trunk, image.shape[:2]
    _refuse_unknown(trunk, features, probe, size)
    device = next(network.parameters()).device
    pixels = torch.from_numpy(image.copy()).to(device).permute(2, 0, 1).float()
    cells = list(np.ndindex(*(-(-side // probe.stride) for side in size)))
    noise, fields = _noise(probe).to(device), receptive_fields(trunk)
    with torch.inference_mode():
        maps = trunk(network.preprocess(pixels[None]))
        places = {name: _choose(maps[name][0], fields[name].stride, probe) for name in features}
        values: dict[str, list[float]] = {name: [] for name in features}
        starts = range(0, len(cells), _BATCH)
        for start in track(starts, "Probing", console=Console(stderr=True)):
            chosen = cells[start : start + _BATCH]
            disturbed = torch.stack([_disturb(pixels, noise, probe, cell) for cell in chosen])
            changed = trunk(network.preprocess(disturbed))
            for name, place in places.items():
                values[name] += changed[name][:, *place].tolist()
    seen = []
    for name, place in places.items():
        value, (first, end), (left, right) = (
            float(maps[name][0][place]),
            *(fields[name].span(cell, side) for cell, side in zip(place[1:], size, strict=True)),
        )
        heat = np.abs(np.reshape(values[name], np.add(cells[-1], 1)) - value).astype(np.float32)
        noticed = heat >= probe.threshold * heat.max() if heat.any() else heat
        seen.append({
            "feature": name,
            **dict(zip(("channel", "row", "column"), place, strict=True)),
            "activation": value,
            "stride": fields[name].stride,
            "theoretical_size": fields[name].size,
            "theoretical_box": [first, end, left, right],
            "theoretical_share": (end - first) * (right - left) / (size[0] * size[1]),
            "empirical_share": float(noticed.mean()),
            "heat": heat,
        })
    return seen


def _noise(probe: Probe) -> Tensor:
    """Draw the patch, the same for every position."""
    generator, shape = torch.Generator().manual_seed(0), (3, probe.patch, probe.patch)
    if probe.noise == "grey":
        return torch.full(shape, 128.0)
    if probe.noise == "gaussian":
        return 64 * torch.randn(shape, generator=generator)
    return torch.randint(0, 256, shape, generator=generator).float()


def _disturb(pixels: Tensor, noise: Tensor, probe: Probe, cell: tuple[int, ...]) -> Tensor:
    """Return the image with the patch in the middle of a cell; what sticks out falls away."""
    side = probe.patch
    padded = F.pad(pixels, [side] * 4)
    top, left = (side + i * probe.stride + (probe.stride - side) // 2 for i in cell)
    target = padded[:, top : top + side, left : left + side]
    noise = noise[:, : target.shape[1], : target.shape[2]]
    target[:] = (target + noise).clamp(0, 255) if probe.noise == "gaussian" else noise
    return padded[:, side:-side, side:-side]


def _choose(x: Tensor, stride: int, probe: Probe) -> tuple[int, ...]:
    """Find the greatest activation, of one channel or one cell where these are given."""
    every = slice(None)
    cell = [min(p // stride, n - 1) for p, n in zip(probe.at or (), x.shape[1:], strict=False)]
    place = (every if probe.channel is None else probe.channel, *(cell or (every, every)))
    left = torch.full_like(x, -torch.inf)
    left[place] = x[place]
    return tuple(int(index) for index in np.unravel_index(int(left.argmax()), x.shape))


def _refuse_unknown(
    trunk: Trunk, features: Sequence[str], probe: Probe, size: tuple[int, ...]
) -> None:
    known, at = trunk.feature_maps, probe.at or (0, 0)
    for feature in features:
        if feature not in known:
            raise ConfigError(f"`feature` must be one of {', '.join(known)}, got '{feature}'.")
        channels = known[feature].channels
        if not 0 <= (probe.channel or 0) < channels:
            raise ConfigError(
                f"`channel` must be in 0..{channels - 1} of {feature}, got {probe.channel}."
            )
    if not (0 <= at[0] < size[0] and 0 <= at[1] < size[1]):
        raise ConfigError(
            f"`at` must be a pixel (row, column) of the image of {size[0]} x {size[1]}, got "
            f"{at[0]}, {at[1]}."
        )


def mean_shares(images: Mapping[str, Sequence[Seen]]) -> list[dict[str, Any]]:
    """Average the shares of every feature map over images, given what was seen of each by name."""
    shares = ("theoretical_share", "empirical_share")
    return [
        {
            "feature": seen[0]["feature"],
            "theoretical_size": seen[0]["theoretical_size"],
            **{share: float(np.mean([one[share] for one in seen])) for share in shares},
            "images": len(seen),
        }
        for seen in zip(*images.values(), strict=True)
    ]


def write_fields(
    out_dir: Path, name: str, probe: Probe, images: Mapping[str, Sequence[Seen]]
) -> Path:
    """Write `receptive_field.json`: the mean shares, and everything of every image by name."""
    record = {
        "network": name,
        "probe": asdict(probe),
        "mean": mean_shares(images),
        "images": images,
    }

    def to_rows(heat: np.ndarray) -> list[list[float]]:
        return [[float(f"{value:.4g}") for value in row] for row in heat.tolist()]

    path = out_dir / "receptive_field.json"
    write_bytes_atomically(path, (json.dumps(record, default=to_rows) + "\n").encode())
    return path


@styled
def draw_fields(
    path: Path, image: UInt8[np.ndarray, "h w 3"], seen: Sequence[Seen], probe: Probe
) -> None:
    """Draw the image under the heat map of every feature map.

    The white frame is the theoretical field, the cross the watched activation's place, the yellow
    line the threshold.

    Args:
        path: PNG to write.
        image: RGB in [0, 255].
        seen: what was found, a panel each.
        probe: how it was found.
    """
    columns = min(2 if len(seen) in (2, 4) else 3, len(seen))
    rows, ratio = -(-len(seen) // columns), image.shape[0] / image.shape[1]
    figure, grid = panels(rows, columns, (4.2 * columns, rows * (4.2 * ratio + 0.5)))
    for axes in grid.ravel():
        axes.set_axis_off()
    for axes, one in zip(grid.ravel(), seen, strict=False):
        share, step = one["heat"] / (float(one["heat"].max()) or 1.0), probe.stride
        axes.imshow(image.mean(2), cmap="gray", vmin=-60, vmax=255)
        extent = (0, share.shape[1] * step, share.shape[0] * step, 0)
        # The root shows small changes too.
        axes.imshow(share, cmap="plasma", alpha=0.8 * share**0.5, extent=extent, vmin=0, vmax=1)
        if share.any() and min(share.shape) > 1:
            y, x = ((np.arange(number) + 0.5) * step for number in share.shape)
            axes.contour(x, y, share, levels=[probe.threshold], colors="#ffe14d", linewidths=1.2)
        top, bottom, left, right = one["theoretical_box"]
        axes.plot([left, right, right, left, left], [top, top, bottom, bottom, top], "w-", lw=1.5)
        centre = [(one[cell] + 0.5) * one["stride"] for cell in ("column", "row")]
        axes.plot(*centre, "r+", ms=12, mew=2)
        axes.set(xlim=(0, image.shape[1]), ylim=(image.shape[0], 0))
        theory, fact = (100 * one[f"{kind}_share"] for kind in ("theoretical", "empirical"))
        size = f"{one['feature']}: {one['theoretical_size']} px"
        axes.set_title(f"{size} = {theory:.0f} % in theory, {fact:.0f} % in fact", fontsize=9)
    write_chart(path, figure)
