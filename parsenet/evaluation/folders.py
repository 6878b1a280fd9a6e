"""Score a folder of predicted label maps against a folder of true ones, or say what is in the way.

Nothing is scored in part: an image that is missing or does not fit ends the run, with its name.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, UInt8
from rich.console import Console
from rich.progress import Progress

from parsenet.data.labels import LabelMap
from parsenet.data.reading import read_image, read_mask
from parsenet.errors import DataNotFoundError, LabelError, ParseNetError
from parsenet.evaluation.record import Evaluation
from parsenet.metrics.counting import count, outside
from parsenet.metrics.per_image import ImageCounts
from parsenet.taxonomy import Taxonomy

SUFFIXES = (".png", ".tif", ".tiff", ".bmp")
"""Endings, in lower case, of files that hold label maps."""

MAX_NAMED = 20
"""So many wrong files are named; a wrong folder has thousands."""

Pixels: TypeAlias = UInt8[np.ndarray, "h w 3"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pair:
    """The two label maps of an image."""

    id: str
    """Name of the files without ending, behind its subfolders if any."""
    prediction: Path
    """Predicted classes."""
    label: Path
    """True classes and void."""


def score_pairs(
    pairs: Sequence[Pair],
    taxonomy: Taxonomy,
    split: str,
    workers: int | None = None,
    progress: bool = True,
) -> Evaluation:
    """Count the pixels of some images.

    Args:
        pairs: what `find_pairs` found.
        taxonomy: what the values mean.
        split: name of the list of images, for the card.
        workers: threads that read; None for a few more than there are cores.
        progress: show a bar on standard error.

    Raises:
        LabelError: label maps cannot be read, differ in size, or hold wrong values.
    """
    parts: list[ImageCounts] = []
    wrong: list[str] = []
    for answer in _map(pairs, taxonomy, workers, progress):
        if isinstance(answer, str):
            wrong.append(answer)
        else:
            parts = ImageCounts.gather(parts, answer)
    if wrong:
        raise LabelError(
            f"All {len(pairs)} predictions must fit their labels, got {len(wrong)} that do not:\n"
            + "\n".join(wrong[:MAX_NAMED])
            + (f"\nand {len(wrong) - MAX_NAMED} more." if len(wrong) > MAX_NAMED else "")
        )
    images = ImageCounts.join(parts, taxonomy.num_classes)
    return Evaluation(images, taxonomy, split)


def find_pairs(pred_dir: Path, gt_dir: Path, split: Path | None = None) -> list[Pair]:
    """Match predictions and labels by name, and warn of predictions that are not asked for.

    Args:
        pred_dir: folder of predictions.
        gt_dir: folder of true label maps.
        split: file with one name per line; None for every label map of `gt_dir`.

    Raises:
        DataNotFoundError: a folder, the split's file, or a label map is missing.
    """
    predictions, labels = _index(pred_dir, "pred"), _index(gt_dir, "gt")
    ids = _read_split(split, labels) if split else list(labels)
    _refuse_missing("labels", [name for name in ids if name not in labels], gt_dir, "")
    hint = "" if split else " To score fewer images, list them in a file and give `--split FILE`."
    missing = [name for name in ids if name not in predictions]
    _refuse_missing("predictions", missing, pred_dir, hint)
    extra = sorted(set(predictions) - set(ids))
    if extra:
        _log.warning(
            "%d predictions in '%s' are not of the %d images scored and were left out: %s",
            len(extra),
            pred_dir,
            len(ids),
            _listed(extra),
        )
    return [Pair(name, predictions[name], labels[name]) for name in ids]


def reader(
    pairs: Sequence[Pair], taxonomy: Taxonomy, image_dir: Path | None
) -> Callable[[str], tuple[Pixels | None, LabelMap, LabelMap]]:
    """Return a function from an id to image, truth and prediction.

    Args:
        pairs: what `find_pairs` found.
        taxonomy: what the values mean.
        image_dir: folder of the images; None, or one without the image, gives None for it.
    """
    by_id = {pair.id: pair for pair in pairs}
    paths = sorted(image_dir.rglob("*")) if image_dir else []
    images = {path.relative_to(image_dir or "").with_suffix("").as_posix(): path for path in paths}

    def read(name: str) -> tuple[Pixels | None, LabelMap, LabelMap]:
        pair = by_id[name]
        label = read_mask(pair.label, taxonomy)
        image = read_image(images[name]) if name in images else None
        if image is not None and image.shape[:2] != label.shape:
            image = None
        return image, label, read_mask(pair.prediction, taxonomy)

    return read


def _map(
    pairs: Sequence[Pair], taxonomy: Taxonomy, workers: int | None, progress: bool
) -> Iterator[ImageCounts | str]:
    """Yield the counts of every pair, or the sentence that says what is wrong with it."""
    # Threads: decoding a PNG lets go of the interpreter lock.
    with (
        Progress(console=Console(stderr=True), transient=True, disable=not progress) as bar,
        ThreadPoolExecutor(workers) as pool,
    ):
        try:
            done = pool.map(lambda pair: _count(pair, taxonomy), pairs)
            yield from bar.track(done, total=len(pairs), description="Scoring")
        finally:
            pool.shutdown(cancel_futures=True)


def _count(pair: Pair, taxonomy: Taxonomy) -> ImageCounts | str:
    try:
        prediction = read_mask(pair.prediction, taxonomy)
        label = read_mask(pair.label, taxonomy)
    except ParseNetError as error:
        return str(error)
    if prediction.shape != label.shape:
        return (
            f"The prediction '{pair.prediction}' must be as large as its label {label.shape}, "
            f"got {prediction.shape}. Sizes are (height, width); predict at native size."
        )
    try:
        counts = count(prediction, label, taxonomy.num_classes, taxonomy.void)
    except LabelError:
        is_class = np.arange(outside(taxonomy.num_classes) + 1) < taxonomy.num_classes
        wrong = _explain(pair.prediction, prediction, is_class, "Predict a class everywhere")
        is_class[taxonomy.void] = True
        return wrong or _explain(pair.label, label, is_class, f"{taxonomy.void} is void")
    return ImageCounts.of([pair.id], counts[None], taxonomy.num_classes)


def _explain(path: Path, values: LabelMap, allowed: Bool[np.ndarray, " v"], rule: str) -> str:
    """Name the first pixel with a value that is not allowed; nothing where there is none."""
    # The last entry is never allowed, and stands for whatever is above.
    wrong = ~allowed[np.minimum(values.astype(np.int64), len(allowed) - 1)]
    if not wrong.any():
        return ""
    row, column = np.unravel_index(int(wrong.argmax()), wrong.shape)
    last = int(allowed.argmin()) - 1
    return (
        f"'{path}' must hold classes 0..{last}, got {values[row, column]} at row {row}, column "
        f"{column} ({wrong.sum()} pixels in all are wrong). {rule}, or use another taxonomy."
    )


def _index(folder: Path, option: str) -> dict[str, Path]:
    """Map names to files, in order of the names; subfolders are part of a name."""
    if not folder.is_dir():
        raise DataNotFoundError(f"`{option}` must be a folder, got '{folder}'. Check its name.")
    paths = sorted(folder.rglob("*"))
    found = {
        path.relative_to(folder).with_suffix("").as_posix(): path
        for path in paths
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
    }
    if not found:
        raise DataNotFoundError(
            f"`{option}` must hold label maps ({', '.join(SUFFIXES)}), got none in '{folder}'. "
            "Check the folder."
        )
    return found


def _read_split(path: Path, labels: Mapping[str, Path]) -> list[str]:
    """Read names; lists that give two paths per line (DeepLab's) are understood."""
    if not path.is_file():
        raise DataNotFoundError(f"`split` must be a file, got '{path}'. Check its name.")
    lines = [line.strip() for line in path.read_text(encoding="utf-8").split("\n")]
    names = [x if x in labels else Path(x.split()[0]).stem for x in lines if x]
    if not names:
        raise DataNotFoundError(f"'{path}' must name at least one image, got none.")
    return list(dict.fromkeys(names))


def _refuse_missing(what: str, names: Sequence[str], folder: Path, hint: str) -> None:
    if names:
        raise DataNotFoundError(
            f"`{what}` must be complete, got {len(names)} missing in '{folder}': {_listed(names)}. "
            f"Names are compared without their ending.{hint}"
        )


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return ", ".join(f"'{name}'" for name in names[:MAX_NAMED]) + more
