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

import contextlib
import io
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from rich.console import Console
from rich.progress import track

from parsenet.cli import run_script
from parsenet.data.labels import read_matlab_label
from parsenet.data.lists import read_ids
from parsenet.errors import ConfigError, DataNotFoundError, FetchError, LabelError
from parsenet.fetch import Archive, Fetcher, FetchOptions, fetching, note_counts, require_all
from parsenet.files import write_bytes_atomically
from parsenet.taxonomy import VOC2012

_RULES = {
    r"(?:.*/)?(dataset/cls/[^/]+\.mat)": r"benchmark_RELEASE/\1",
    r"(?:.*/)?(dataset/(?:train|val)\.txt)": r"benchmark_RELEASE/\1",
}
_PAGE = "eecs.berkeley.edu/Research/Projects/CS/vision/grouping/semantic_contours"
ARCHIVE = Archive(
    "benchmark.tgz",
    (f"https://www2.{_PAGE}/benchmark.tgz", f"http://www.{_PAGE}/benchmark.tgz"),
    "sha256:6a5a2918d5c73ce032fdeba876574d150d9d04113ab87540a1304cbcc715be53",
    _RULES,
)
WITH_IMAGES = replace(
    ARCHIVE, rules=_RULES | {r"(?:.*/)?(dataset/img/[^/]+\.jpg)": r"benchmark_RELEASE/\1"}
)

RELEASE = Path("benchmark_RELEASE") / "dataset"
PUBLISHED = {"train": 1464, "val": 1449, "SBD train": 8498, "SBD val": 2857, "trainaug": 10582}


@dataclass(frozen=True)
class SbdOptions:
    """Download SBD, convert its labels to palette PNGs, and build VOC's trainaug list."""

    fetch: FetchOptions
    list: Path | None = None
    """Use this list of trainaug, not the rule's."""
    images: bool = False
    """Unpack SBD's own images as well."""
    workers: int | None = None
    """Processes for conversion, all cores by default."""

    def __post_init__(self) -> None:
        if self.list is not None and not self.list.is_file():
            raise ConfigError(f"`--list` must name a file that exists, got '{self.list}'.")
        if self.workers is not None and self.workers < 1:
            raise ConfigError(
                f"`--workers` must be at least 1, got {self.workers}. Leave it out for all cores."
            )


class Conversion(NamedTuple):
    """A label of SBD, the image that it belongs to, and the PNG to write."""

    mat: Path
    image: Path
    png: Path


def make(options: SbdOptions) -> int:
    """Bring the folder to its state, and say what is in it."""
    out = options.fetch.out
    splits = _read_voc(out)
    list_path = out / "ImageSets" / "Segmentation" / "trainaug.txt"
    with fetching(options.fetch, [ARCHIVE]) as fetcher:
        for folder in ("SegmentationClassAug", "ImageSets/Segmentation"):
            for path in (out / folder).glob(".*.part"):
                path.unlink()  # what a killed run was writing
        if options.images:
            fetcher.ensure([WITH_IMAGES], _check_with_images)
        if options.list is not None or not _is_complete(out, list_path):
            _make_trainaug(fetcher, options, splits, list_path)
    ids = read_ids(list_path, "")
    _refuse_leak(ids, splits["val"], list_path)
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


def convert(task: Conversion) -> None:
    """Write a `.mat` of SBD as a palette PNG.

    Raises:
        LabelError: a value is no class of VOC, or the size is not the image's.
        ImageError: the file is no label of SBD.
    """
    label = read_matlab_label(task.mat, "GTcls", "Segmentation")
    if label.dtype != np.uint8 or label.max(initial=0) >= VOC2012.num_classes:
        raise LabelError(
            f"'{task.mat}' must hold the classes 0 to 20, got {label.max()} as {label.dtype}. "
            "Unpack SBD again."
        )
    with Image.open(task.image) as image:
        width, height = image.size
    if label.shape != (height, width):
        raise LabelError(
            f"'{task.mat}' must be as large as its image '{task.image}' ({height} x {width}), got "
            f"{label.shape[0]} x {label.shape[1]}. Unpack VOC 2012 again."
        )
    png = Image.fromarray(label)
    png.putpalette(VOC2012.pillow_palette())
    buffer = io.BytesIO()
    png.save(buffer, "PNG")
    write_bytes_atomically(task.png, buffer.getvalue())


def check(out: Path) -> None:
    """Raise an error that tells what is missing of SBD's labels."""
    require_all(out / RELEASE / "cls", [f"{name}.mat" for name in _sbd_ids(out)])


def _check_with_images(out: Path) -> None:
    check(out)
    require_all(out / RELEASE / "img", [f"{name}.jpg" for name in _sbd_ids(out)])


def _read_voc(out: Path) -> dict[str, list[str]]:
    folder = out / "ImageSets" / "Segmentation"
    missing = (
        "`--out` must be the folder of VOC 2012, with 'JPEGImages' and 'ImageSets/Segmentation', "
        f"got '{out}'. Run `python data_tools/voc.py --out {out}` first."
    )
    if not (out / "JPEGImages").is_dir():
        raise DataNotFoundError(missing)
    return {split: read_ids(folder / f"{split}.txt", missing) for split in ("train", "val")}


def _read_sbd(out: Path) -> tuple[list[str], list[str]]:
    """Read SBD's own lists of training and validation."""
    paths = (out / RELEASE / "train.txt", out / RELEASE / "val.txt")
    train, val = (read_ids(path, f"'{path}' must be a list, got none.") for path in paths)
    return train, val


def _sbd_ids(out: Path) -> set[str]:
    return set().union(*_read_sbd(out))


def _is_complete(out: Path, list_path: Path) -> bool:
    with contextlib.suppress(DataNotFoundError):
        ids = read_ids(list_path, "")
        require_all(out / "SegmentationClassAug", [f"{name}.png" for name in ids])
        require_all(out / "JPEGImages", [f"{name}.jpg" for name in ids])
        return True
    return False


def _make_trainaug(
    fetcher: Fetcher, options: SbdOptions, splits: dict[str, list[str]], list_path: Path
) -> None:
    """Write the labels, and the list last: it says that they are there."""
    out = options.fetch.out
    fetcher.ensure([ARCHIVE], check)
    ids = _choose_ids(out, splits, options.list)
    before = read_ids(list_path, "") if list_path.is_file() else None
    if options.list is None and before is not None and set(before) != set(ids):
        raise FetchError(
            f"'{list_path}' must be the list of {len(ids):,} names that this tool makes, got "
            f"another of {len(before):,}. Pass it with `--list` to use it, or move it away."
        )
    _write_labels(out, splits, options.workers or os.cpu_count() or 1)
    try:
        require_all(out / "SegmentationClassAug", [f"{name}.png" for name in ids])
    except DataNotFoundError as error:
        raise FetchError(f"Every image of `--list` must have a label. {error}") from None
    if before != ids:
        write_bytes_atomically(list_path, "".join(f"{name}\n" for name in ids).encode())


def _choose_ids(out: Path, splits: dict[str, list[str]], listed: Path | None) -> list[str]:
    """Build the list, or take the user's; every image of it must be there."""
    train, val = _read_sbd(out)
    if listed is None:
        ids = trainaug_ids(splits["train"], train + val, splits["val"])
    else:
        ids = read_ids(listed, "")
        _refuse_leak(ids, splits["val"], listed)
    remedy = f"Run `python data_tools/voc.py --out {out}` again."
    require_all(out / "JPEGImages", [f"{name}.jpg" for name in ids], remedy)
    lists = {**splits, "SBD train": train, "SBD val": val, "trainaug": ids}
    note_counts({name: len(found) for name, found in lists.items()}, PUBLISHED)
    return ids


def _refuse_leak(ids: list[str], val: list[str], path: Path) -> None:
    leaked = sorted(set(ids) & set(val))
    if leaked:
        raise DataNotFoundError(
            f"'{path}' must name no image of VOC val, got {len(leaked)}, the first is "
            f"'{leaked[0]}'. Take them out: scores on val would be of images seen in training."
        )


def _write_labels(out: Path, splits: dict[str, list[str]], num_workers: int) -> None:
    """Write what is not there yet of VOC's labels and, where VOC has none, of SBD's."""
    aug_dir = out / "SegmentationClassAug"
    aug_dir.mkdir(exist_ok=True)
    there = {path.stem for path in aug_dir.iterdir()}
    own = {name for split in splits.values() for name in split}
    for name in sorted(own - there):
        data = (out / "SegmentationClass" / f"{name}.png").read_bytes()
        write_bytes_atomically(aug_dir / f"{name}.png", data)
    tasks = [
        Conversion(
            out / RELEASE / "cls" / f"{name}.mat",
            out / "JPEGImages" / f"{name}.jpg",
            aug_dir / f"{name}.png",
        )
        for name in sorted(_sbd_ids(out) - there - own)
    ]
    console = Console(stderr=True)
    done, quiet = _convert_all(tasks, num_workers), not console.is_terminal
    for _ in track(done, "Converting SBD's labels", len(tasks), console=console, disable=quiet):
        pass


def _convert_all(tasks: Sequence[Conversion], num_workers: int) -> Iterator[None]:
    if num_workers == 1 or len(tasks) < 64:  # starting processes would take longer than the work
        yield from map(convert, tasks)
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(num_workers, context, _end_with_parent)
    try:
        yield from pool.map(convert, tasks, chunksize=16)
    except BrokenProcessPool:
        raise FetchError(
            "Every process must live to its end, got one that was killed; memory may have run "
            "out. Run the same command again with `--workers 1`: it goes on from here."
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _end_with_parent() -> None:
    """Leave Ctrl-C to the main process, and end when it is gone, even killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()


def main(words: Sequence[str] | None = None) -> int:
    """Run the script; return its exit code."""
    return run_script("data_tools/sbd.py", make, words)


if __name__ == "__main__":
    sys.exit(main())
