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

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from parsenet.fetch.archive import Archive
from parsenet.fetch.job import Job, Source
from parsenet.fetch.layout import find_empty, find_missing, note_counts, read_ids
from parsenet.fetch.names import pick_by
from parsenet.fetch.record import count_files
from parsenet.fetch.tool import build_parser, run_tool

ARCHIVE = Archive(
    "SiftFlowDataset.zip",
    ("http://www.cs.unc.edu/~jtighe/Papers/ECCV10/siftflow/SiftFlowDataset.zip",),
)

FOLDER = "spatial_envelope_256x256_static_8outdoorcategories"
UNANNOTATED = frozenset({"highway_bost181", "street_urb506"})

PICK = pick_by({
    rf"(?:[^/]+/)?(Images/{FOLDER}/[^/]+\.jpg)": r"\1",
    rf"(?:[^/]+/)?((?:SemanticLabels|GeoLabels)/{FOLDER}/[^/]+\.mat)": r"\1",
    r"(?:[^/]+/)?(TestSet1\.txt)": r"\1",
})

PUBLISHED = {"images": 2688, "test": 200}


def check(out: Path) -> str | None:
    """Tell what is missing, or None."""
    test = read_ids(out / "TestSet1.txt")
    images = out / "Images" / FOLDER
    ids = sorted(path.stem for path in images.glob("*.jpg"))
    annotated = [name for name in ids if name not in UNANNOTATED]
    return (
        find_empty({"TestSet1.txt": test, f"Images/{FOLDER}": ids})
        or find_missing(images, [f"{name}.jpg" for name in test])
        or find_missing(out / "SemanticLabels" / FOLDER, [f"{name}.mat" for name in annotated])
        or find_missing(out / "GeoLabels" / FOLDER, [f"{name}.mat" for name in annotated])
    )


def make(job: Job, given: argparse.Namespace) -> str:
    """Bring the folder to its state, and say what is in it."""
    job.ensure("SIFT Flow", [Source(ARCHIVE, PICK)], check)
    names = ("Images", "SemanticLabels", "GeoLabels")
    images, semantic, geometric = (count_files(job.out / name / FOLDER) for name in names)
    test = len(read_ids(job.out / "TestSet1.txt"))
    note_counts({"images": images, "test": test}, PUBLISHED)
    return (
        f"SIFT Flow in '{job.out}': {images:,} images (train {images - test:,}, test {test:,}), "
        f"{semantic:,} semantic and {geometric:,} geometric labels."
    )


def main(words: Sequence[str] | None = None) -> int:
    """Run the tool; return its exit code."""
    parser = build_parser("siftflow.py", __doc__ or "", [ARCHIVE])
    return run_tool(parser, [ARCHIVE], make, words)


if __name__ == "__main__":
    sys.exit(main())
