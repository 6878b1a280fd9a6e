"""Download PASCAL-Context's labels and VOC 2010's images, and lay them out together.

    python data_tools/pascal_context.py --out PascalContext

prints, when right, `PASCAL-Context in 'PascalContext': train 4,998, val 5,105, 10,103 labels.` The
folder is what `dataset: pascal_context60` reads: `trainval/*.mat` with all 459 labels (the loader
maps them by name), `labels.txt`, `JPEGImages`, and `train.txt` and `val.txt`, which are VOC 2010's
lists of its main task. About 1.4 GB are downloaded.

Nobody published a hash of `trainval.tar.gz`: its SHA-256 is shown and kept, and a later download is
held to it. Give one you trust with `--sha256`.

Source: Mottaghi et al., The Role of Context, CVPR 2014; VOC 2010's hash is pytorch/vision's.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from parsenet.fetch.archive import Archive, Digest
from parsenet.fetch.job import Job, Source
from parsenet.fetch.layout import find_empty, find_missing, note_counts, read_ids
from parsenet.fetch.names import pick_by
from parsenet.fetch.record import count_files
from parsenet.fetch.tool import build_parser, run_tool

LABELS = Archive(
    "trainval.tar.gz",
    (
        "https://www.cs.stanford.edu/~roozbeh/pascal-context/trainval.tar.gz",
        "https://roozbehm.info/pascal-context/trainval.tar.gz",
    ),
)
IMAGES = Archive(
    "VOCtrainval_03-May-2010.tar",
    (
        "http://host.robots.ox.ac.uk/pascal/VOC/voc2010/VOCtrainval_03-May-2010.tar",
        "https://thor.robots.ox.ac.uk/pascal/VOC/voc2010/VOCtrainval_03-May-2010.tar",
    ),
    Digest("sha256", "1af4189cbe44323ab212bff7afbc7d0f55a267cc191eb3aac911037887e5c7d4"),
)
ARCHIVES = (LABELS, IMAGES)

PICK_LABELS = pick_by({
    r"(?:[^/]+/)*(trainval/[^/]+\.mat)": r"\1",
    r"(?:[^/]+/)*((?:59_)?labels\.txt)": r"\1",
})
PICK_IMAGES = pick_by({
    r"(?:.*/)?VOC2010/(JPEGImages/[^/]+\.jpg)": r"\1",
    r"(?:.*/)?VOC2010/ImageSets/Main/((?:train|val)\.txt)": r"\1",
})

PUBLISHED = {"train": 4998, "val": 5105}


def read_splits(out: Path) -> dict[str, list[str]]:
    """Read the lists of training and validation."""
    return {split: read_ids(out / f"{split}.txt") for split in ("train", "val")}


def check(out: Path) -> str | None:
    """Tell what is missing, or None."""
    splits = read_splits(out)
    ids = sorted(set().union(*splits.values()))
    return (
        find_empty(splits)
        or find_missing(out / "trainval", [f"{name}.mat" for name in ids])
        or find_missing(out / "JPEGImages", [f"{name}.jpg" for name in ids])
    )


def make(job: Job, given: argparse.Namespace) -> str:
    """Bring the folder to its state, and say what is in it."""
    sources = [Source(LABELS, PICK_LABELS), Source(IMAGES, PICK_IMAGES)]
    job.ensure("PASCAL-Context", sources, check)
    found = {split: len(ids) for split, ids in read_splits(job.out).items()}
    note_counts(found, PUBLISHED)
    return (
        f"PASCAL-Context in '{job.out}': train {found['train']:,}, val {found['val']:,}, "
        f"{count_files(job.out / 'trainval'):,} labels."
    )


def main(words: Sequence[str] | None = None) -> int:
    """Run the tool; return its exit code."""
    parser = build_parser("pascal_context.py", __doc__ or "", ARCHIVES)
    return run_tool(parser, ARCHIVES, make, words)


if __name__ == "__main__":
    sys.exit(main())
