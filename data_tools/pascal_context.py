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

import sys
from pathlib import Path

from parsenet.cli import run_script
from parsenet.data.lists import read_ids, require_files
from parsenet.fetch import Archive, FetchOptions, ensure, locked

LABELS = Archive(
    "trainval.tar.gz",
    (
        "https://www.cs.stanford.edu/~roozbeh/pascal-context/trainval.tar.gz",
        "https://roozbehm.info/pascal-context/trainval.tar.gz",
    ),
    None,
    (
        r"(?:[^/]+/)*(trainval/[^/]+\.mat)",
        r"(?:[^/]+/)*((?:59_)?labels\.txt)",
    ),
)
IMAGES = Archive(
    "VOCtrainval_03-May-2010.tar",
    (
        "http://host.robots.ox.ac.uk/pascal/VOC/voc2010/VOCtrainval_03-May-2010.tar",
        "https://thor.robots.ox.ac.uk/pascal/VOC/voc2010/VOCtrainval_03-May-2010.tar",
    ),
    "sha256:1af4189cbe44323ab212bff7afbc7d0f55a267cc191eb3aac911037887e5c7d4",
    (
        r"(?:.*/)?VOC2010/(JPEGImages/[^/]+\.jpg)",
        r"(?:.*/)?VOC2010/ImageSets/Main/((?:train|val)\.txt)",
    ),
)
ARCHIVES = (LABELS, IMAGES)


def read_splits(out: Path) -> dict[str, list[str]]:
    """Read the lists of training and validation."""
    paths = [out / f"{split}.txt" for split in ("train", "val")]
    return {path.stem: read_ids(path, f"'{path}' must be a list, got none.") for path in paths}


def check(out: Path) -> None:
    """Raise an error that tells what is missing."""
    ids = sorted(set().union(*read_splits(out).values()))
    for folder, suffix in (("trainval", "mat"), ("JPEGImages", "jpg")):
        names = [f"{name}.{suffix}" for name in ids]
        require_files(out / folder, names, "PASCAL-Context", "Get the archive anew.")


def make(options: FetchOptions) -> int:
    """Bring the folder to its state, and say what is in it."""
    with locked(options.out):
        ensure(options, ARCHIVES, check)
    found = {split: len(ids) for split, ids in read_splits(options.out).items()}
    labels = len(list((options.out / "trainval").iterdir()))
    print(
        f"PASCAL-Context in '{options.out}': train {found['train']:,}, val {found['val']:,}, "
        f"{labels:,} labels."
    )
    return 0


if __name__ == "__main__":
    sys.exit(run_script("data_tools/pascal_context.py", make))
