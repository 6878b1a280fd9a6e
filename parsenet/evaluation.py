"""Score a folder of predicted label maps against a folder of true ones, without a network.

Nothing is scored in part: an image that is missing or does not fit ends the run, with its name.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float64
from rich.console import Console
from rich.progress import track

from parsenet.data.labels import read_mask
from parsenet.errors import DataNotFoundError, LabelError, ParseNetError
from parsenet.metrics.boundary import RATIO, WIDTHS, contour_areas
from parsenet.metrics.counting import ImageCounts, count
from parsenet.metrics.record import Evaluation
from parsenet.metrics.scores import SCORES, known, table
from parsenet.taxonomy import Taxonomy

SUFFIXES = (".png", ".tif", ".tiff", ".bmp")
"""Endings, in lower case, of files that hold label maps."""

MAX_NAMED = 20
"""So many wrong files are named; a wrong folder has thousands."""

MaskPairs: TypeAlias = Mapping[str, tuple[Path, Path]]
"""By name, subfolders being part of it and the ending not: prediction and true label map."""

_log = logging.getLogger(__name__)


def find_pairs(pred_dir: Path, gt_dir: Path, split: Path | None = None) -> MaskPairs:
    """Match predictions and labels by name, and warn of predictions that are not asked for.

    Asked for are the names in the file `split`, one per line, or all label maps.

    Raises:
        DataNotFoundError: a folder, the split's file, or a label map is missing.
    """
    predictions, labels = _index(pred_dir, "pred"), _index(gt_dir, "gt")
    ids = _read_split(split, labels) if split else list(labels)
    hint = "" if split else " To score fewer images, list them in a file and give `--split FILE`."
    for what, found, folder, way_out in (
        ("labels", labels, gt_dir, ""),
        ("predictions", predictions, pred_dir, hint),
    ):
        missing = [name for name in ids if name not in found]
        if missing:
            raise DataNotFoundError(
                f"`{what}` must be complete, got {len(missing)} missing in '{folder}': "
                f"{_listed(missing)}. Names are compared without their ending.{way_out}"
            )
    extra = sorted(set(predictions) - set(ids))
    if extra:
        _log.warning(
            f"{len(extra)} predictions in '{pred_dir}' are not of the {len(ids)} images scored "
            f"and were left out: {_listed(extra)}"
        )
    return {name: (predictions[name], labels[name]) for name in ids}


def score_pairs(pairs: MaskPairs, taxonomy: Taxonomy, split: str) -> Evaluation:
    """Count the pixels of images, with a bar on standard error where that is a terminal.

    The card names the list of images `split`.

    Raises:
        LabelError: label maps cannot be read, differ in size, or hold wrong values.
    """
    parts: list[ImageCounts] = []
    wrong: list[str] = []
    console = Console(stderr=True)
    bar = {"console": console, "transient": True, "disable": not console.is_terminal}
    # Threads: decoding a PNG lets go of the interpreter lock.
    with ThreadPoolExecutor() as pool:
        done = pool.map(lambda name: _count(name, *pairs[name], taxonomy), pairs)
        try:
            for answer in track(done, "Scoring", len(pairs), **bar):  # type: ignore[arg-type]
                if isinstance(answer, str):
                    wrong.append(answer)
                else:
                    parts = ImageCounts.gather(parts, answer)
        finally:
            pool.shutdown(cancel_futures=True)
    if wrong:
        more = [f"and {len(wrong) - MAX_NAMED} more."] if len(wrong) > MAX_NAMED else []
        raise LabelError(
            f"All {len(pairs)} predictions must fit their labels, got {len(wrong)} that do not:\n"
            + "\n".join(wrong[:MAX_NAMED] + more)
        )
    return Evaluation.of(ImageCounts.join(parts, taxonomy.num_classes), taxonomy, split)


def score_contours(pairs: MaskPairs, taxonomy: Taxonomy) -> dict[str, Any]:
    """Score the pixels near the contours; counts are summed over the images, then divided.

    Returns:
        what `boundary.json` holds: boundary IoU with its mean, and mean IoU in each trimap band.
    """

    def measure(pair: tuple[Path, Path]) -> Float64[np.ndarray, "3 r c"]:
        prediction, label = (read_mask(path, taxonomy) for path in pair)
        return contour_areas(prediction, label, taxonomy.num_classes, taxonomy.void)

    with ThreadPoolExecutor() as pool:
        strips, *bands = table(np.asarray(sum(pool.map(measure, pairs.values()))))
    return {
        "boundary_ratio": RATIO,
        "boundary_mean_iou": known(strips[0]),
        "boundary_iou": dict(zip(taxonomy.names, map(known, strips[len(SCORES) :]), strict=True)),
        "trimap_mean_iou": {str(w): known(row[0]) for w, row in zip(WIDTHS, bands, strict=True)},
    }


def _count(
    name: str, prediction_path: Path, label_path: Path, taxonomy: Taxonomy
) -> ImageCounts | str:
    """Return the counts of an image, or the sentence that says what is wrong with it."""
    try:
        prediction = read_mask(prediction_path, taxonomy)
        label = read_mask(label_path, taxonomy)
    except ParseNetError as error:
        return str(error)
    if prediction.shape != label.shape:
        return (
            f"The prediction '{prediction_path}' must be as large as its label {label.shape}, "
            f"got {prediction.shape}. Sizes are (height, width); predict at native size."
        )
    num_classes, void = taxonomy.num_classes, taxonomy.void
    for path, values, wrong, rule in (
        (prediction_path, prediction, prediction >= num_classes, "Predict a class everywhere"),
        (label_path, label, (label >= num_classes) & (label != void), f"{void} is void"),
    ):
        if wrong.any():
            row, column = np.argwhere(wrong)[0]
            return (
                f"'{path}' must hold classes 0..{num_classes - 1}, got {values[row, column]} at "
                f"row {row}, column {column} ({wrong.sum()} pixels in all are wrong). {rule}, or "
                "use another taxonomy."
            )
    counts = count(prediction, label, num_classes, void)
    return ImageCounts.of([name], counts[None], num_classes)


def _index(folder: Path, option: str) -> dict[str, Path]:
    """Map names to files, in order of the names; subfolders are part of a name."""
    if not folder.is_dir():
        raise DataNotFoundError(f"`{option}` must be a folder, got '{folder}'. Check its name.")
    found = {
        path.relative_to(folder).with_suffix("").as_posix(): path
        for path in sorted(folder.rglob("*"))
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


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return ", ".join(f"'{name}'" for name in names[:MAX_NAMED]) + more
