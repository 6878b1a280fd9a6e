"""`parsenet export`: a checkpoint as a file for other runtimes."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from parsenet.errors import ConfigError

if TYPE_CHECKING:
    from parsenet.export.run import Exported

EXAMPLES = """\
examples:
  parsenet export model.safetensors --out model.onnx --images photos/
  parsenet export model.safetensors --out model.pt2 --preprocess-inside
  parsenet export --out small.onnx                       the bundled model
  parsenet export model.safetensors --out model8.onnx --int8 --calibrate photos/ \\
    --images val/images --labels val/labels

`parsenet predict FILE photos/` runs what this writes. A card, FILE.md, is written beside it.
"""

_FORMATS = {".onnx": "onnx", ".pt2": "torch-export", ".safetensors": "safetensors"}


def main(words: list[str]) -> int:
    """Run the command; return its exit code."""
    given = _parser().parse_args(words[1:])
    if given.int8 != (given.calibrate is not None):
        raise ConfigError(
            f"`int8` must come with `calibrate`, a folder of images like those to be labelled, "
            f"got {'no folder' if given.int8 else 'the folder alone'}. Give both or neither."
        )
    from parsenet.export.run import ExportConfig, export

    config = ExportConfig(
        out=given.out,
        format=given.format or _FORMATS.get(given.out.suffix, "onnx"),
        preprocess_inside=given.preprocess_inside,
        images=given.images,
        num_images=given.num_images,
        calibrate=given.calibrate,
        labels=given.labels,
        scores=given.scores,
        licence=given.licence,
        command=_portable(words),
    )
    if config.images is None:
        print(
            "Checking on drawn images: photographs are a better test, `--images DIR`.",
            file=sys.stderr,
        )
    _show(export(given.checkpoint, config))
    return 0


def _show(done: Exported) -> None:
    """Print what the check found."""
    print(f"Against the checkpoint in float32, on {done.checked}:")
    width = max(len(x.what) for x in done.agreements)
    for x in done.agreements:
        print(
            f"  {x.what:{width}}  {100 * x.share:8.4f} % of {x.pixels:,} labels equal, scores "
            f"within {x.difference:.2g}"
        )
    if done.losses is not None:
        before, after = done.losses["checkpoint"], done.losses["file"]
        print(
            f"Mean IoU on {done.losses['images']:.0f} labelled images: {100 * before:.2f} by "
            f"the checkpoint, {100 * after:.2f} by the file ({100 * (after - before):+.2f})."
        )
    size = done.path.stat().st_size / 1e6
    print(f"Written: {done.path} ({size:.1f} MB) and its card {done.card.name}.")


def _portable(words: list[str]) -> str:
    """Write the command for the card; it names no folder of this machine."""
    return shlex.join(["parsenet", *(Path(x).name if "/" in x else x for x in words)])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "parsenet export",
        description="Write a checkpoint for other runtimes: images of any size and number, "
        "global context included. The file is checked against the checkpoint and appears only if "
        "at least 99.99 % of all labels are equal.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("checkpoint", nargs="?", type=Path, help="file of a network; none: the bundled model")
    add("--out", type=Path, required=True, metavar="FILE", help="ends in .onnx, .pt2, .safetensors")
    add("--format", choices=sorted(_FORMATS.values()), help="default: by the ending of --out")
    add("--preprocess-inside", action="store_true", help="take uint8 RGB images (N, H, W, 3)")
    add("--images", type=Path, metavar="DIR", help="images to check with (default: drawn ones)")
    add("--num-images", type=int, default=8, metavar="N", help="how many of them (8)")
    add("--int8", action="store_true", help="compute with integers of 8 bits; onnx only")
    add("--calibrate", type=Path, metavar="DIR", help="for --int8: images like those to come")
    add("--labels", type=Path, metavar="DIR", help="true label maps of --images: also score")
    add("--scores", type=Path, metavar="FILE",
        help="metrics.json of the checkpoint, for the card (default: beside it)")  # fmt: skip
    add("--licence", default="", metavar="TEXT", help="terms of the file, for its card")
    return parser
