"""Download SBD, convert its labels to palette PNGs, and build VOC's trainaug list of 10,582.

    python data_tools/voc.py --out VOC2012
    python data_tools/sbd.py --out VOC2012

prints, when right, `trainaug in 'VOC2012': 10,582 images (VOC train 1,464, SBD 9,118), none of
val; 12,031 labels in SegmentationClassAug.` The list is VOC train and all of SBD without VOC val,
sorted; `--list` takes another one, for instance DeepLab's. It is refused if it names an image of
val.

Where VOC has a label of its own, that one is in `SegmentationClassAug` (with its void border), and
SBD's elsewhere, as in the `SegmentationClassAug` that DeepLab's users pass on. Labels that lie
there already are kept. `--images` unpacks SBD's own images as well, for `dataset: sbd`.

Needs scipy: `pip install 'parsenet[train]'`.

Source: Hariharan et al., Semantic Contours from Inverse Detectors, ICCV 2011; the hash is
pytorch/vision's.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from parsenet.errors import DataNotFoundError, FetchError, LabelError
from parsenet.fetch.archive import Archive, Digest
from parsenet.fetch.convert import run_all
from parsenet.fetch.job import Job, Source
from parsenet.fetch.layout import (
    find_empty,
    find_missing,
    note_counts,
    read_ids,
    remove_leftovers,
)
from parsenet.fetch.names import pick_by
from parsenet.fetch.tool import build_parser, run_tool
from parsenet.files import write_bytes_atomically

ARCHIVE = Archive(
    "benchmark.tgz",
    (
        "https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/semantic_contours/"
        "benchmark.tgz",
        "http://www.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/semantic_contours/"
        "benchmark.tgz",
    ),
    Digest("sha256", "6a5a2918d5c73ce032fdeba876574d150d9d04113ab87540a1304cbcc715be53"),
)

RELEASE = Path("benchmark_RELEASE") / "dataset"

_RULES = {
    r"(?:.*/)?(dataset/cls/[^/]+\.mat)": r"benchmark_RELEASE/\1",
    r"(?:.*/)?(dataset/(?:train|val)\.txt)": r"benchmark_RELEASE/\1",
}
PICK = pick_by(_RULES)
PICK_WITH_IMAGES = pick_by(_RULES | {r"(?:.*/)?(dataset/img/[^/]+\.jpg)": r"benchmark_RELEASE/\1"})

PUBLISHED = {"train": 1464, "val": 1449, "SBD train": 8498, "SBD val": 2857, "trainaug": 10582}


class Conversion(NamedTuple):
    """A label of SBD, the image that it belongs to, and the PNG to write."""

    mat: Path
    image: Path
    png: Path


def trainaug_ids(train: list[str], sbd: list[str], val: list[str]) -> list[str]:
    """Join VOC train and SBD, leave VOC val out, and sort: the published list's rule and order."""
    return sorted((set(train) | set(sbd)) - set(val))


def convert(task: Conversion) -> None:
    """Write a `.mat` of SBD as a palette PNG.

    Raises:
        LabelError: a value is no class of VOC, or the size is not the image's.
        ImageError: the file is no label of SBD.
    """
    import io

    import numpy as np
    from PIL import Image

    from parsenet.data.matlab import read_segmentation
    from parsenet.taxonomy import VOC2012

    label = read_segmentation(task.mat)
    if label.dtype != np.uint8 or label.max(initial=0) >= VOC2012.num_classes:
        raise LabelError(
            f"'{task.mat}' must hold the classes 0 to 20, got {label.max()} as {label.dtype}. "
            "Unpack SBD again."
        )
    with Image.open(task.image) as image:
        size = image.size
    if label.shape != size[::-1]:
        raise LabelError(
            f"'{task.mat}' must be as large as its image '{task.image}' ({size[1]} x "
            f"{size[0]}), got {label.shape[0]} x {label.shape[1]}. Unpack VOC 2012 again."
        )
    png = Image.fromarray(label)
    png.putpalette(VOC2012.pillow_palette())
    buffer = io.BytesIO()
    png.save(buffer, "PNG")
    write_bytes_atomically(task.png, buffer.getvalue())


def copy_label(task: tuple[Path, Path]) -> None:
    """Copy one of VOC's own labels."""
    write_bytes_atomically(task[1], task[0].read_bytes())


def make(job: Job, given: argparse.Namespace) -> str:
    """Bring the folder to its state, and say what is in it."""
    if given.list is not None and not given.list.is_file():
        raise DataNotFoundError(f"`--list` must name a file that exists, got '{given.list}'.")
    splits = _read_voc(job.out)
    for folder in ("SegmentationClassAug", "ImageSets/Segmentation"):
        remove_leftovers(job.out / folder)
    list_path = job.out / "ImageSets" / "Segmentation" / "trainaug.txt"
    if given.images:
        job.ensure("SBD", [Source(ARCHIVE, PICK_WITH_IMAGES)], _check_with_images)
    if given.list is not None or not _is_complete(job.out, list_path):
        _make_trainaug(job, splits, given.list, list_path)
    ids = read_ids(list_path)
    _refuse_leak(ids, splits["val"], list_path)
    return _tell(job.out, ids, splits)


def _make_trainaug(
    job: Job, splits: dict[str, list[str]], listed: Path | None, list_path: Path
) -> None:
    """Write the labels, and the list last: it says that they are there."""
    job.ensure("SBD", [Source(ARCHIVE, PICK)], check)
    ids = _choose_ids(job.out, splits, listed)
    if listed is None and list_path.is_file() and set(read_ids(list_path)) != set(ids):
        raise FetchError(
            f"'{list_path}' must be the list of {len(ids):,} names that this tool makes, got "
            f"another of {len(read_ids(list_path)):,}. Pass it with `--list` to use it, or move it "
            "away."
        )
    aug_dir = job.out / "SegmentationClassAug"
    _write_labels(job, aug_dir, splits)
    problem = find_missing(aug_dir, [f"{name}.png" for name in ids])
    if problem is not None:
        raise FetchError(
            f"Every image of trainaug must have a label, got a list of which {problem}. Check "
            "`--list`."
        )
    if read_ids(list_path) != ids:
        write_bytes_atomically(list_path, "".join(f"{name}\n" for name in ids).encode())


def check(out: Path) -> str | None:
    """Tell what is missing of SBD's labels, or None."""
    lists = _read_sbd(out)
    ids = sorted(set().union(*lists.values()))
    return find_empty(lists) or find_missing(out / RELEASE / "cls", [f"{name}.mat" for name in ids])


def _check_with_images(out: Path) -> str | None:
    ids = sorted(set().union(*_read_sbd(out).values()))
    return check(out) or find_missing(out / RELEASE / "img", [f"{name}.jpg" for name in ids])


def _read_voc(out: Path) -> dict[str, list[str]]:
    folder = out / "ImageSets" / "Segmentation"
    splits = {split: read_ids(folder / f"{split}.txt") for split in ("train", "val")}
    problem = find_empty(splits)
    if problem is not None or not (out / "JPEGImages").is_dir():
        raise DataNotFoundError(
            f"`--out` must be the folder of VOC 2012, with 'JPEGImages' and "
            f"'ImageSets/Segmentation', got '{out}'. Run `python data_tools/voc.py --out {out}` "
            "first."
        )
    return splits


def _read_sbd(out: Path) -> dict[str, list[str]]:
    return {f"SBD {name}": read_ids(out / RELEASE / f"{name}.txt") for name in ("train", "val")}


def _is_complete(out: Path, list_path: Path) -> bool:
    ids = read_ids(list_path)
    return (
        bool(ids)
        and find_missing(out / "SegmentationClassAug", [f"{name}.png" for name in ids]) is None
        and find_missing(out / "JPEGImages", [f"{name}.jpg" for name in ids]) is None
    )


def _choose_ids(out: Path, splits: dict[str, list[str]], listed: Path | None) -> list[str]:
    """Build the list, or take the user's; every image of it must be there."""
    sbd = _read_sbd(out)
    if listed is None:
        ids = trainaug_ids(splits["train"], sbd["SBD train"] + sbd["SBD val"], splits["val"])
    else:
        ids = read_ids(listed)
        _refuse_leak(ids, splits["val"], listed)
    problem = find_missing(out / "JPEGImages", [f"{name}.jpg" for name in ids])
    if problem is not None:
        raise DataNotFoundError(
            f"VOC 2012 must have every image of trainaug, got a folder in which {problem}. Run "
            f"`python data_tools/voc.py --out {out}` again."
        )
    note_counts(
        {name: len(found) for name, found in {**splits, **sbd, "trainaug": ids}.items()}, PUBLISHED
    )
    return ids


def _refuse_leak(ids: list[str], val: list[str], path: Path) -> None:
    leaked = sorted(set(ids) & set(val))
    if leaked:
        raise DataNotFoundError(
            f"'{path}' must name no image of VOC val, got {len(leaked)}, the first is "
            f"'{leaked[0]}'. Take them out: scores on val would be of images seen in training."
        )


def _write_labels(job: Job, aug_dir: Path, splits: dict[str, list[str]]) -> None:
    """Write what is not there yet of VOC's labels and, where VOC has none, of SBD's."""
    aug_dir.mkdir(exist_ok=True)
    there = {path.name for path in aug_dir.iterdir()}
    own = [f"{name}.png" for split in splits.values() for name in split]
    copies = [(job.out / "SegmentationClass" / name, aug_dir / name) for name in own]
    run_all(
        copy_label,
        [task for task in copies if task[1].name not in there],
        1,
        "Copying VOC's labels",
    )
    taken = there | set(own)
    sbd = sorted(set().union(*_read_sbd(job.out).values()))
    tasks = [
        Conversion(
            job.out / RELEASE / "cls" / f"{name}.mat",
            job.out / "JPEGImages" / f"{name}.jpg",
            aug_dir / f"{name}.png",
        )
        for name in sbd
        if f"{name}.png" not in taken
    ]
    run_all(convert, tasks, job.num_workers, "Converting SBD's labels")


def _tell(out: Path, ids: list[str], splits: dict[str, list[str]]) -> str:
    own = len(set(ids) & set(splits["train"]))
    labels = sum(1 for path in (out / "SegmentationClassAug").iterdir() if path.suffix == ".png")
    return (
        f"trainaug in '{out}': {len(ids):,} images (VOC train {own:,}, SBD {len(ids) - own:,}), "
        f"none of val; {labels:,} labels in SegmentationClassAug."
    )


def main(words: Sequence[str] | None = None) -> int:
    """Run the tool; return its exit code."""
    parser = build_parser("sbd.py", __doc__ or "", [ARCHIVE])
    parser.add_argument("--list", type=Path, help="use this list of trainaug, not the rule's")
    parser.add_argument("--images", action="store_true", help="unpack SBD's own images as well")
    return run_tool(parser, [ARCHIVE], make, words)


if __name__ == "__main__":
    sys.exit(main())
