"""`parsenet figures`: the paper's figures from a network and images at hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from parsenet.commands.data import DataChoice, find_data
from parsenet.errors import ConfigError
from parsenet.figures import Probe, Start
from parsenet.options import overrides_of, positional

if TYPE_CHECKING:
    from parsenet.data.base import SegmentationDataset


@dataclass(frozen=True)
class ImagesOptions:
    """Which images a figure is drawn of, and where it goes."""

    data: Path
    """Config, run folder or folder of the images' data set. Any option of `data` may follow, such
    as `--data.root DIR`."""
    out: Path
    """Folder to write to."""
    split: str | None = None
    """Split to take (the one for validation)."""
    count: int | None = None
    """Images, spread evenly (all; 50 for scales)."""


@dataclass(frozen=True)
class ScalesOptions:
    """Figure 3: the scale of each layer's features, before and after L2Norm."""

    images: ImagesOptions
    model: str = positional()
    """A checkpoint, or the name of a trunk."""
    start: Start = field(default_factory=Start)
    overrides: tuple[str, ...] = overrides_of("data")


@dataclass(frozen=True)
class FieldOptions:
    """Figure 2: what an activation could see; with images, what moves it in fact, as heat maps."""

    model: str = positional()
    """A checkpoint, or the name of a trunk."""
    images: tuple[Path, ...] = positional("*", ())
    """Images; none: theory alone."""
    out: Path | None = None
    """Folder to write to."""
    feature: tuple[str, ...] | None = None
    """Feature maps to watch, with commas between them (all)."""
    start: Start = field(default_factory=Start)
    probe: Probe = field(default_factory=Probe)


@dataclass(frozen=True)
class ContextOptions:
    """Figures 1, 4 and 5: the same images with and without context. Started again, it goes on."""

    images: ImagesOptions
    with_context: Path = positional()
    """Checkpoint with context."""
    without: Path = positional()
    """Checkpoint without it."""
    shown: int = 6
    """Images that gained and lost most."""
    device: str = "auto"
    """Where to run."""
    overrides: tuple[str, ...] = overrides_of("data")


def scales(options: ScalesOptions) -> int:
    """Draw figure 3; return the exit code."""
    dataset, split, chosen = _open_data(options.images, options.overrides, 50)

    from rich.console import Console
    from rich.progress import track

    from parsenet.figures.receptive import open_network
    from parsenet.figures.scales import measure_scales, write_scales

    network, name = open_network(options.model, options.start)
    bar = track(chosen, "Measuring", console=Console(stderr=True))
    images = (dataset.read(index).image for index in bar)
    about = {"data": dataset.taxonomy.name, "split": split, "images": len(chosen)}
    for path in write_scales(measure_scales(network, images), name, options.images.out, about):
        print(path)
    return 0


def receptive_field(options: FieldOptions) -> int:
    """Draw figure 2; return the exit code."""
    paths, out = {path.stem: path for path in options.images}, options.out
    if len(paths) < len(options.images):
        raise ConfigError("`IMAGES` must be files of different names, got one twice.")
    if paths and out is None:
        raise ConfigError("`--out` must be given with images. Add `--out DIR`.")

    from parsenet.data.reading import read_image
    from parsenet.figures import receptive
    from parsenet.reports.tables import markdown_table, percent

    if not paths or out is None:
        fields = receptive.fields_of(options.model)
        rows = [[name, str(field.size), str(field.stride)] for name, field in fields.items()]
        print(markdown_table(["feature map", "receptive field", "stride"], rows), end="")
        return 0
    out.mkdir(parents=True, exist_ok=True)
    network, subject = receptive.open_network(options.model, options.start)
    features, seen = options.feature or tuple(network.trunk.feature_maps), {}
    for name, path in paths.items():
        image = read_image(path)
        seen[name] = receptive.probe_image(network, image, options.probe, features)
        receptive.draw_fields(out / f"{name}_field.png", image, seen[name], options.probe)
        # Each image as soon as it is done.
        receptive.write_fields(out, subject, options.probe, seen)
    heads = ["feature map", "pixels in theory", "% of the image in theory", "% in fact"]
    shares = ("theoretical_share", "empirical_share")
    rows = [
        [row["feature"], str(row["theoretical_size"]), *(percent(row[key]) for key in shares)]
        for row in receptive.mean_shares(seen)
    ]
    print(markdown_table(heads, rows), end="")
    return 0


def context(options: ContextOptions) -> int:
    """Draw figures 1, 4 and 5; return the exit code."""
    if options.shown < 1:
        raise ConfigError(f"`--shown` must be at least 1, got {options.shown}.")
    dataset, split, chosen = _open_data(options.images, options.overrides)

    from parsenet.figures.context import score_side, write_context

    out, device = options.images.out, options.device
    with_context = score_side(options.with_context, dataset, chosen, out, device)
    without = score_side(options.without, dataset, chosen, out, device)
    for path in write_context(out, dataset, split, (with_context, without), options.shown):
        print(path)
    return 0


def _open_data(
    images: ImagesOptions, overrides: Sequence[str], usual: int | None = None
) -> tuple[SegmentationDataset, str, list[int]]:
    """Return the data set, its split, and the positions of the images to take."""
    import numpy as np

    from parsenet.data.build import build_dataset

    if images.count is not None and images.count < 1:
        raise ConfigError(f"`--count` must be at least 1, got {images.count}.")
    config, _ = find_data(DataChoice(images.data), overrides)
    split = images.split or config.val_split
    dataset = build_dataset(config, split)
    images.out.mkdir(parents=True, exist_ok=True)
    number = min(images.count or usual or len(dataset), len(dataset))
    return dataset, split, np.linspace(0, len(dataset) - 1, number).astype(int).tolist()
