"""`parsenet figures`: the paper's figures from a network and images at hand."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from parsenet.errors import ConfigError

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from parsenet.data.base import SegmentationDataset
    from parsenet.figures.networks import Start
    from parsenet.figures.receptive import Probe


def main(words: list[str]) -> int:
    """Run the command; return its exit code."""
    parser = _parser()
    given, overrides = parser.parse_known_args(words[1:])
    if given.figure == "scales":
        return _scales(given, overrides)
    if given.figure == "context":
        return _context(given, overrides)
    if overrides:
        raise ConfigError(
            f"`figures {given.figure}` has no option `{overrides[0]}`. `--help` lists them."
        )
    return _receptive_field(given)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "parsenet figures",
        description="Draw a figure of the paper from a network and images at hand.",
        epilog="`parsenet figures FIGURE --help` lists the options of a figure.",
        allow_abbrev=False,
    )
    kinds = parser.add_subparsers(dest="figure", metavar="FIGURE", required=True)
    scales = kinds.add_parser(
        "scales",
        help="figure 3: the scale of each layer's features, before and after L2Norm",
        description="Measure the L2 norm of every pixel's feature vector and the mean absolute "
        "activation of every layer. Writes scales.png, scales.csv and scales.json.",
        allow_abbrev=False,
    )
    _add_model(scales)
    _add_data(scales, 50)
    fields = kinds.add_parser(
        "receptive-field",
        help="figure 2: what an activation could see, and what moves it in fact",
        description="Compute the theoretical receptive field of every feature map, slide a patch "
        "of noise over each image and measure how the strongest activation changes. Writes a heat "
        "map for each image, and receptive_field.json.",
        allow_abbrev=False,
    )
    _add_model(fields)
    _add_probe(fields)
    context = kinds.add_parser(
        "context",
        help="figures 1, 4 and 5: the same images with and without global context",
        description="Label the same images by two networks, and show what context gained and "
        "cost. Writes context.html and context.md with the scores and every class, context.json, "
        "sheets of the images that gained and lost most, and the scores of both. Started again, "
        "it goes on.",
        allow_abbrev=False,
    )
    context.add_argument("with_", type=Path, metavar="WITH", help="checkpoint with context")
    context.add_argument("without", type=Path, metavar="WITHOUT", help="checkpoint without it")
    context.add_argument(
        "--shown", type=int, default=6, help="images that gained and lost most (6)"
    )
    context.add_argument("--device", default="auto", help="where to run (auto)")
    _add_data(context, None)
    return parser


def _add_probe(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("images", nargs="*", metavar="IMAGE", help="none: theory alone")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder to write to")
    parser.add_argument("--feature", action="append", help="map to watch, repeated for more (all)")
    parser.add_argument("--at", type=int, nargs=2, metavar=("ROW", "COLUMN"), help="pixel to watch")
    parser.add_argument("--channel", type=int, help="channel to watch (the strongest)")
    parser.add_argument("--patch", type=int, default=32, help="side of the noise in pixels (32)")
    parser.add_argument("--stride", type=int, default=16, help="step of the patch in pixels (16)")
    parser.add_argument(
        "--noise", choices=("uniform", "gaussian", "grey"), default="uniform", help="(uniform)"
    )
    parser.add_argument(
        "--threshold", type=float, default=0.1, help="share of the greatest change (0.1)"
    )
    parser.add_argument("--batch", type=int, default=8, help="patches that run together (8)")
    parser.add_argument("--seed", type=int, default=0, help="start of the noise (0)")


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="CHECKPOINT|TRUNK", help="a trained network, or a trunk")
    parser.add_argument("--weights", help="of a trunk: as model.network.weights (ImageNet's)")
    parser.add_argument("--preprocess", help="of a trunk: as model.network.preprocess")
    parser.add_argument("--download", action="store_true", help="fetch ImageNet weights")
    parser.add_argument("--device", default="auto", help="where to run (auto)")


def _add_data(parser: argparse.ArgumentParser, count: int | None) -> None:
    parser.epilog = "Any option of `data` may follow, such as `--data.root DIR`."
    parser.add_argument(
        "--data", type=Path, required=True, metavar="CONFIG_OR_DIR", help="the images' data set"
    )
    parser.add_argument("--split", help="split to take (the one for validation)")
    parser.add_argument(
        "--count", type=int, default=count, help=f"images, spread evenly ({count or 'all'})"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write to")


def _start(given: argparse.Namespace) -> Start:
    from parsenet.figures.networks import Start

    return Start(given.weights, given.preprocess, given.download)


def _open_data(
    given: argparse.Namespace, overrides: Sequence[str]
) -> tuple[SegmentationDataset, str, list[int]]:
    """Return the data set, its split, and the positions of the images to take."""
    import numpy as np

    from parsenet.commands.data import DataChoice, find_data
    from parsenet.data.build import build_dataset

    if given.count is not None and given.count < 1:
        raise ConfigError(f"`--count` must be at least 1, got {given.count}.")
    config, _ = find_data(DataChoice(given.data), overrides)
    split = given.split or config.val_split
    dataset = build_dataset(config, split)
    given.out.mkdir(parents=True, exist_ok=True)
    number = min(given.count or len(dataset), len(dataset))
    return dataset, split, np.linspace(0, len(dataset) - 1, number).astype(int).tolist()


def _scales(given: argparse.Namespace, overrides: Sequence[str]) -> int:
    from rich.console import Console
    from rich.progress import track

    from parsenet.figures.networks import open_subject
    from parsenet.figures.scales import measure_scales, write_scales

    dataset, split, chosen = _open_data(given, overrides)
    subject = open_subject(given.model, _start(given), given.device)
    bar = track(chosen, "Measuring", console=Console(stderr=True))
    counter = measure_scales(subject, (dataset.read(index).image for index in bar))
    about = {"data": dataset.taxonomy.name, "split": split, "images": len(chosen)}
    for path in write_scales(counter, subject, given.out, about):
        print(path)
    return 0


def _receptive_field(given: argparse.Namespace) -> int:
    from rich.console import Console
    from rich.progress import Progress

    from parsenet.data.reading import read_image
    from parsenet.figures.fields import fields_of
    from parsenet.figures.networks import open_subject
    from parsenet.figures.receptive import draw_fields, mean_shares, probe_image, write_fields
    from parsenet.reports.tables import markdown_table, percent

    probe = _probe_of(given)
    paths = {Path(name).stem: Path(name) for name in given.images}
    if len(paths) < len(given.images):
        raise ConfigError("`IMAGE` must be files of different names, got one twice.")
    if not given.images:
        fields = fields_of(given.model)
        rows = [[feature, str(field.size), str(field.stride)] for feature, field in fields.items()]
        print(markdown_table(["feature", "receptive field", "stride"], rows, "lrr"), end="")
        return 0
    if given.out is None:
        raise ConfigError("`--out` must be given with images. Add `--out DIR`.")
    given.out.mkdir(parents=True, exist_ok=True)
    subject = open_subject(given.model, _start(given), given.device)
    features, seen = given.feature or list(subject.network.trunk.feature_maps), {}
    with Progress(console=Console(stderr=True)) as bar:
        for name, path in paths.items():
            image = read_image(path)
            tell = partial(_tell, bar, bar.add_task(name))
            seen[name] = probe_image(subject, image, probe, features, tell)
            draw_fields(given.out / f"{name}_field.png", image, seen[name])
            write_fields(given.out, subject, probe, seen)  # each image as soon as it is done
    cells = [
        [
            row["feature"],
            str(row["theoretical_size"]),
            percent(row["theoretical_share"]),
            percent(row["empirical_share"]),
        ]
        for row in mean_shares(seen)
    ]
    heads = ["feature", "pixels in theory", "% of the image in theory", "% in fact"]
    print(markdown_table(heads, cells, "lrrr"), end="")
    return 0


def _tell(bar: Progress, task: TaskID, done: int, total: int) -> None:
    bar.update(task, completed=done, total=total)


def _probe_of(given: argparse.Namespace) -> Probe:
    from parsenet.figures.receptive import Probe

    return Probe(
        patch=given.patch,
        stride=given.stride,
        noise=given.noise,
        threshold=given.threshold,
        batch=given.batch,
        seed=given.seed,
        at=None if given.at is None else (given.at[0], given.at[1]),
        channel=given.channel,
    )


def _context(given: argparse.Namespace, overrides: Sequence[str]) -> int:
    from rich.console import Console
    from rich.progress import track

    from parsenet.figures.context import score_side
    from parsenet.figures.context_report import write_context

    if given.shown < 1:
        raise ConfigError(f"`--shown` must be at least 1, got {given.shown}.")
    dataset, split, chosen = _open_data(given, overrides)
    sides = []
    for name, checkpoint in (("With context", given.with_), ("Without", given.without)):
        bar = track(chosen, name, console=Console(stderr=True))
        sides.append(score_side(checkpoint, dataset, bar, given.out, given.device))
    for path in write_context(given.out, dataset, split, (sides[0], sides[1]), given.shown):
        print(path)
    return 0
