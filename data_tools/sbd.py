"""Download SBD, convert its labels to palette PNGs, and build VOC's trainaug list of 10,582.

    python data_tools/voc.py --out VOC2012
    python data_tools/sbd.py --out VOC2012

prints, when right, `trainaug in 'VOC2012': 10,582 images (VOC train 1,464, SBD 9,118), none of
val; 12,031 labels in SegmentationClassAug.` The list is VOC train and all of SBD without VOC val,
sorted. A `trainaug.txt` that lies there already is kept, for instance DeepLab's; it is refused if
it names an image of val.

Where VOC has a label of its own, that one is in `SegmentationClassAug` (with its void border), and
SBD's elsewhere, as in the `SegmentationClassAug` that DeepLab's users pass on. Labels that lie
there already are kept. `--images` unpacks SBD's own images as well, for `dataset: sbd`.

Needs scipy: `pip install 'parsenet[train]'`.

Source: Hariharan et al., Semantic Contours from Inverse Detectors, ICCV 2011; the hash is
pytorch/vision's.
"""

import contextlib
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

from parsenet.cli import run_script
from parsenet.data.labels import read_matlab_label
from parsenet.data.lists import read_ids, require_files
from parsenet.data.reading import read_size
from parsenet.errors import DataNotFoundError, LabelError
from parsenet.fetch import Archive, FetchOptions, ensure, locked
from parsenet.files import write_bytes_atomically
from parsenet.inference.writers import write_label
from parsenet.taxonomy import VOC2012

_PAGE = "eecs.berkeley.edu/Research/Projects/CS/vision/grouping/semantic_contours"
ARCHIVE = Archive(
    "benchmark.tgz",
    (f"https://www2.{_PAGE}/benchmark.tgz", f"http://www.{_PAGE}/benchmark.tgz"),
    "sha256:6a5a2918d5c73ce032fdeba876574d150d9d04113ab87540a1304cbcc715be53",
    (r"(benchmark_RELEASE/dataset/(?:cls/[^/]+\.mat|train\.txt|val\.txt))",),
)
WITH_IMAGES = replace(
    ARCHIVE, rules=(*ARCHIVE.rules, r"(benchmark_RELEASE/dataset/img/[^/]+\.jpg)")
)
RELEASE = Path("benchmark_RELEASE") / "dataset"


@dataclass(frozen=True)
class SbdOptions:
    """Download SBD, convert its labels to palette PNGs, and build VOC's trainaug list."""

    fetch: FetchOptions
    images: bool = False
    """Unpack SBD's own images as well."""


def make(options: SbdOptions) -> int:
    """Bring the folder to its state, and say what is in it."""
    out = options.fetch.out
    splits = _read_voc(out)
    list_path = out / "ImageSets" / "Segmentation" / "trainaug.txt"
    with locked(out):
        for folder in ("SegmentationClassAug", "ImageSets/Segmentation"):
            for path in (out / folder).glob(".*.part"):
                path.unlink()  # what a killed run was writing
        if list_path.is_file():
            _refuse_leak(read_ids(list_path, ""), splits["val"], list_path)
        if options.images:
            ensure(options.fetch, [WITH_IMAGES], _check_with_images)
        if not _is_complete(out, list_path):
            ensure(options.fetch, [ARCHIVE], check)
            _write_labels(out, splits)
            if not list_path.is_file():  # last: it says that the labels are there
                ids = trainaug_ids(splits["train"], _sbd_ids(out), splits["val"])
                write_bytes_atomically(list_path, "".join(f"{name}\n" for name in ids).encode())
            _check_trainaug(out, list_path)
    ids = read_ids(list_path, "")
    own = len(set(ids) & set(splits["train"]))
    labels = len(list((out / "SegmentationClassAug").glob("*.png")))
    print(
        f"trainaug in '{out}': {len(ids):,} images (VOC train {own:,}, SBD {len(ids) - own:,}), "
        f"none of val; {labels:,} labels in SegmentationClassAug."
    )
    return 0


def trainaug_ids(train: list[str], sbd: list[str], val: list[str]) -> list[str]:
    """Join VOC train and SBD, leave VOC val out, and sort: the published list's rule and order."""
    return sorted((set(train) | set(sbd)) - set(val))


def convert(mat: Path, image: Path, png: Path) -> None:
    """Write a `.mat` of SBD as a palette PNG of its image's size.

    Raises:
        LabelError: a value is no class of VOC, or the size is not the image's.
        ImageError: the file is no label of SBD.
    """
    label = read_matlab_label(mat, "GTcls", "Segmentation")
    if label.dtype != np.uint8 or label.max(initial=0) >= VOC2012.num_classes:
        raise LabelError(
            f"'{mat}' must hold the classes 0 to 20, got {label.max()} as {label.dtype}. Unpack "
            "SBD again."
        )
    height, width = read_size(image)
    if label.shape != (height, width):
        raise LabelError(
            f"'{mat}' must be as large as its image '{image}' ({height} x {width}), got "
            f"{label.shape[0]} x {label.shape[1]}. Unpack VOC 2012 again."
        )
    write_label(png, label, VOC2012)


def check(out: Path) -> None:
    """Raise an error that tells what is missing of SBD's labels."""
    names = [f"{name}.mat" for name in _sbd_ids(out)]
    require_files(out / RELEASE / "cls", names, "SBD", "Get the archive anew.")


def _check_with_images(out: Path) -> None:
    check(out)
    names = [f"{name}.jpg" for name in _sbd_ids(out)]
    require_files(out / RELEASE / "img", names, "SBD", "Get the archive anew.")


def _check_trainaug(out: Path, list_path: Path) -> None:
    ids = read_ids(list_path, f"'{list_path}' must be a list, got none.")
    for folder, suffix in (("JPEGImages", "jpg"), ("SegmentationClassAug", "png")):
        names = [f"{name}.{suffix}" for name in ids]
        require_files(out / folder, names, "trainaug", "Unpack VOC 2012 again.")


def _is_complete(out: Path, list_path: Path) -> bool:
    with contextlib.suppress(DataNotFoundError):
        _check_trainaug(out, list_path)
        return True
    return False


def _read_voc(out: Path) -> dict[str, list[str]]:
    folder = out / "ImageSets" / "Segmentation"
    missing = (
        "`--out` must be the folder of VOC 2012, with 'JPEGImages' and 'ImageSets/Segmentation', "
        f"got '{out}'. Run `python data_tools/voc.py --out {out}` first."
    )
    if not (out / "JPEGImages").is_dir():
        raise DataNotFoundError(missing)
    return {split: read_ids(folder / f"{split}.txt", missing) for split in ("train", "val")}


def _sbd_ids(out: Path) -> list[str]:
    """Read SBD's own lists of training and validation."""
    paths = (out / RELEASE / "train.txt", out / RELEASE / "val.txt")
    return [x for path in paths for x in read_ids(path, f"'{path}' must be a list, got none.")]


def _refuse_leak(ids: list[str], val: list[str], path: Path) -> None:
    leaked = sorted(set(ids) & set(val))
    if leaked:
        raise DataNotFoundError(
            f"'{path}' must name no image of VOC val, got {len(leaked)}, the first is "
            f"'{leaked[0]}'. Take them out: scores on val would be of images seen in training."
        )


def _write_labels(out: Path, splits: dict[str, list[str]]) -> None:
    """Write what is not there yet of VOC's labels and, where VOC has none, of SBD's."""
    aug_dir = out / "SegmentationClassAug"
    aug_dir.mkdir(exist_ok=True)
    own = {name for split in splits.values() for name in split}
    names = sorted((own | set(_sbd_ids(out))) - {path.stem for path in aug_dir.iterdir()})
    console = Console(stderr=True)
    for name in track(names, "Writing labels", console=console, disable=not console.is_terminal):
        png = aug_dir / f"{name}.png"
        if name in own:
            write_bytes_atomically(png, (out / "SegmentationClass" / png.name).read_bytes())
        else:
            image = out / "JPEGImages" / f"{name}.jpg"
            convert(out / RELEASE / "cls" / f"{name}.mat", image, png)


if __name__ == "__main__":
    sys.exit(run_script("data_tools/sbd.py", make))
