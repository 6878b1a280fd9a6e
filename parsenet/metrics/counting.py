"""Count pixels by (true class, predicted class): exact, and quick in numpy alone.

`count` gives the confusion matrix of one image. `ImageCounts` keeps those of many images apart: an
image shows few classes, so most of its C x C counts are zero, and only the others are kept, about
ten entries of a dozen bytes for a VOC image.
"""

from __future__ import annotations

import io
import zipfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64, Int64, Integer

from parsenet.errors import DataNotFoundError, LabelError
from parsenet.files import write_bytes_atomically
from parsenet.taxonomy import IGNORE_INDEX

_LOOSE = 64
"""Parts that are kept apart before they are joined."""

_COLUMNS = ("images", "truth", "prediction", "pixels")


def num_rows(num_classes: int) -> int:
    """Return how many label values are told apart while counting; the last row takes all others.

    A wrong label is so found in the counts, without a second look at the pixels. There are 256
    values up to 255 classes, then the next power of two: void is below it in either case.
    """
    return max(256, 1 << num_classes.bit_length()) + 1


def count(
    prediction: Integer[np.ndarray, "*shape"],
    label: Integer[np.ndarray, "*label_shape"],
    num_classes: int,
    void: int = IGNORE_INDEX,
) -> Int64[np.ndarray, "c c"]:
    """Count pixels by (true class, predicted class); void pixels count nowhere.

    Args:
        prediction: predicted classes 0..C-1, at void pixels too; uint8 is quickest.
        label: true classes 0..C-1, or void; uint8 is quickest.
        num_classes: number of classes C.
        void: label value of pixels that are left out.

    Returns:
        the counts; rows are true classes, columns predicted ones.

    Raises:
        LabelError: the two differ in size, or a value is not among those above.
    """
    refuse_other_size(prediction.shape, label.shape)
    if prediction.size:
        refuse_wrong_predictions(int(prediction.min()), int(prediction.max()), num_classes)
    rows = num_rows(num_classes)
    if label.size and not 0 <= label.min() <= label.max() < rows - 1:
        label = label.astype(np.int64)
        label[(label < 0) | (label >= rows)] = rows - 1
    # 16 bits hold every code of up to 255 classes (256 * 255 + 254), and less memory moves.
    code_type = np.dtype(np.uint16 if num_classes <= 255 else np.int64)
    code = label.astype(code_type)
    code *= code_type.type(num_classes)
    code += prediction.astype(code_type, copy=False)
    counts = _count_codes(code.ravel(), rows * num_classes).reshape(rows, num_classes)
    refuse_wrong_labels(counts, num_classes, void)
    return counts[:num_classes].copy()  # a view would keep all rows alive


def _count_codes(code: Integer[np.ndarray, " p"], num_codes: int) -> Int64[np.ndarray, " v"]:
    """Count how often each code comes, run by run: label maps change their value seldom."""
    changes = code[1:] != code[:-1]
    if not code.size or np.count_nonzero(changes) * 8 > code.size:
        return np.bincount(code, minlength=num_codes)
    ends = np.append(np.flatnonzero(changes), code.size - 1)
    lengths = np.diff(ends, prepend=-1)
    # The weights go through float64, which holds every whole number up to 2^53.
    return np.bincount(code[ends], lengths, num_codes).astype(np.int64)


def refuse_other_size(prediction: tuple[int, ...], label: tuple[int, ...]) -> None:
    """Refuse a label of another shape than its prediction."""
    if tuple(prediction) != tuple(label):
        raise LabelError(
            f"`label` must be as large as `prediction` {tuple(prediction)}, got {tuple(label)}. "
            "Upsample the prediction to the label's size."
        )


def refuse_wrong_predictions(smallest: int, largest: int, num_classes: int) -> None:
    """Refuse predictions that are not all among the classes, void not being one."""
    if smallest < 0 or largest >= num_classes:
        raise LabelError(
            f"`prediction` must be in 0..{num_classes - 1}, got {smallest}..{largest}. Use a "
            f"network of {num_classes} classes."
        )


def refuse_wrong_labels(rows: Int64[np.ndarray, "r c"], num_classes: int, void: int) -> None:
    """Refuse counts of label values that are neither a class nor void; name the most frequent."""
    per_value = rows.sum(axis=1)
    per_value[:num_classes] = 0
    per_value[void] = 0
    value, last = int(per_value.argmax()), len(rows) - 1
    if per_value[value]:
        shown = f"a value outside 0..{last - 1}" if value == last else str(value)
        raise LabelError(
            f"`label` must be a class 0..{num_classes - 1} or void {void}, got {shown} "
            f"in {per_value[value]} pixels. Fix the labels or the taxonomy."
        )


@dataclass(frozen=True, eq=False)
class ImageCounts:
    """Pixels by (image, true class, predicted class), void left out; only counts above zero."""

    ids: tuple[str, ...]
    """One unique name per image, images without a counted pixel among them."""
    entries: Int64[np.ndarray, "k 4"]
    """Position in `ids`, true class, predicted class, pixels; sorted, each combination once."""
    num_classes: int
    """Number of classes C."""

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def of(
        cls, ids: Sequence[str], counts: Integer[np.ndarray, "n c c"], num_classes: int
    ) -> ImageCounts:
        """Take the entries above zero out of the confusion matrices of some images."""
        found = np.nonzero(counts)
        entries = np.stack([*found, counts[found]], axis=1).astype(np.int64)
        return cls(tuple(ids), entries, num_classes)

    @classmethod
    def join(cls, parts: Iterable[ImageCounts], num_classes: int) -> ImageCounts:
        """Put parts of a data set together, sorted by id: the order they came in leaves no trace.

        Raises:
            LabelError: an image comes twice.
        """
        parts = list(parts)
        ids = [name for part in parts for name in part.ids]
        twice = [name for name, times in Counter(ids).items() if times > 1]
        if twice:
            raise LabelError(
                f"Every image must be counted once, got '{min(twice)}' twice. Give each a name of "
                "its own."
            )
        starts = np.cumsum([0, *map(len, parts)])[: len(parts)]
        entries = np.concatenate([np.zeros((0, 4), np.int64), *(part.entries for part in parts)])
        entries[:, 0] += np.repeat(starts, [len(part.entries) for part in parts])
        whole = cls(tuple(ids), entries, num_classes)
        return whole.subset(sorted(range(len(ids)), key=ids.__getitem__))

    @classmethod
    def gather(cls, parts: list[ImageCounts], part: ImageCounts) -> list[ImageCounts]:
        """Add a part to others, and join them now and then.

        Tiny arrays that stay keep the memory between them from being used again: a list of 1,449
        of them held 300 MB that nothing was stored in.
        """
        parts = [*parts, part]
        return parts if len(parts) < _LOOSE else [cls.join(parts, part.num_classes)]

    def subset(self, positions: Sequence[int] | Integer[np.ndarray, " m"]) -> ImageCounts:
        """Return the counts of some images, each at most once, in the order of `positions`."""
        chosen = np.asarray(positions, dtype=np.int64)
        place = np.full(len(self), -1)
        place[chosen] = np.arange(len(chosen))
        moved = place[self.entries[:, 0]]
        # Stable: within an image the entries stay sorted by class.
        order = np.argsort(moved, kind="stable")[np.count_nonzero(moved < 0) :]
        entries = self.entries[order]
        entries[:, 0] = moved[order]
        return ImageCounts(tuple(self.ids[i] for i in chosen.tolist()), entries, self.num_classes)

    def total(self) -> Int64[np.ndarray, "c c"]:
        """Add up all images: the data set's confusion matrix."""
        counts = np.zeros((self.num_classes, self.num_classes), np.int64)
        _, truth, prediction, pixels = self.entries.T
        # `add.at` stays in int64; `bincount` with weights would go through float64.
        np.add.at(counts, (truth, prediction), pixels)
        return counts

    def areas(self) -> Float64[np.ndarray, "3 n c"]:
        """Return right, true and predicted pixels by image and class, exact below 2^53.

        All scores in use need no more of a confusion matrix: a third of a table, small enough to
        be resampled thousands of times.
        """
        image, truth, prediction, pixels = self.entries.T
        sums = np.zeros((3, len(self), self.num_classes), np.int64)
        np.add.at(sums[0], (image, truth), pixels * (truth == prediction))
        np.add.at(sums[1], (image, truth), pixels)
        np.add.at(sums[2], (image, prediction), pixels)
        return sums.astype(np.float64)

    def save(self, path: Path) -> None:
        """Write a compressed `.npz`, by custom `counts.npz`; `numpy.load` reads it, no pickle."""
        content = io.BytesIO()
        columns = dict(zip(_COLUMNS, self.entries.T, strict=True))
        ids, num_classes = np.array(self.ids, dtype=np.str_), np.array(self.num_classes)
        np.savez_compressed(content, ids=ids, num_classes=num_classes, **columns)
        write_bytes_atomically(path, content.getvalue())

    @classmethod
    def load(cls, path: Path) -> ImageCounts:
        """Read what `save` wrote, and refuse any other file."""
        try:
            # Opened here: numpy leaves the file open when it is no archive.
            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
                entries = np.stack([file[name].astype(np.int64) for name in _COLUMNS], axis=1)
                return cls(tuple(file["ids"].tolist()), entries, int(file["num_classes"]))
        except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
            raise DataNotFoundError(
                f"'{path}' must hold counts per image, got {type(error).__name__}. Make it by "
                "`parsenet score` or `parsenet validate`."
            ) from error
