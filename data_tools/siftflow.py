"""Download SIFT Flow with its semantic and geometric labels, and unpack it.

    python data_tools/siftflow.py --out SiftFlow

prints, when right, `SIFT Flow in 'SiftFlow': 2,688 images (train 2,488, test 200), 2,688 semantic
and 2,688 geometric labels.` The folder is what `dataset: siftflow` reads: `Images`,
`SemanticLabels` and `GeoLabels`, each with `spatial_envelope_256x256_static_8outdoorcategories`,
and `TestSet1.txt`. About 140 MB are downloaded.

The training images highway_bost181 and street_urb506 were never annotated; they may be without a
label file. Nobody published a hash of the archive: its SHA-256 is shown and kept, and a later
download is held to it. Give one you trust with `--sha256`.

Source: Liu, Yuen, Torralba, CVPR 2009; Tighe and Lazebnik, ECCV 2010, whose archive it is.
"""

import sys
from pathlib import Path

from parsenet.cli import run_script
from parsenet.data.lists import read_ids, require_files
from parsenet.fetch import Archive, FetchOptions, ensure, locked

FOLDER = "spatial_envelope_256x256_static_8outdoorcategories"
UNANNOTATED = frozenset({"highway_bost181", "street_urb506"})

ARCHIVE = Archive(
    "SiftFlowDataset.zip",
    ("http://www.cs.unc.edu/~jtighe/Papers/ECCV10/siftflow/SiftFlowDataset.zip",),
    None,
    (
        rf"(?:[^/]+/)?(Images/{FOLDER}/[^/]+\.jpg)",
        rf"(?:[^/]+/)?((?:SemanticLabels|GeoLabels)/{FOLDER}/[^/]+\.mat)",
        r"(?:[^/]+/)?(TestSet1\.txt)",
    ),
)


def read_test(out: Path) -> list[str]:
    """Read the list of test images."""
    path = out / "TestSet1.txt"
    return read_ids(path, f"'{path}' must be a list, got none.")


def check(out: Path) -> None:
    """Raise an error that tells what is missing."""
    images = out / "Images" / FOLDER
    names = [f"{name}.jpg" for name in read_test(out)]
    require_files(images, names, "SIFT Flow", "Get the archive anew.")
    ids = sorted(path.stem for path in images.glob("*.jpg"))
    for kind in ("SemanticLabels", "GeoLabels"):
        names = [f"{name}.mat" for name in ids if name not in UNANNOTATED]
        require_files(out / kind / FOLDER, names, "SIFT Flow", "Get the archive anew.")


def make(options: FetchOptions) -> int:
    """Bring the folder to its state, and say what is in it."""
    with locked(options.out):
        ensure(options, [ARCHIVE], check)
    kinds = ("Images", "SemanticLabels", "GeoLabels")
    images, semantic, geometric = (
        len(list((options.out / kind / FOLDER).iterdir())) for kind in kinds
    )
    test = len(read_test(options.out))
    print(
        f"SIFT Flow in '{options.out}': {images:,} images (train {images - test:,}, test "
        f"{test:,}), {semantic:,} semantic and {geometric:,} geometric labels."
    )
    return 0


if __name__ == "__main__":
    sys.exit(run_script("data_tools/siftflow.py", make))
