"""Confusion counts of every image, kept sparse: what every other figure can be made of later.

An image shows few classes, so most of its C x C counts are zero. Only the others are kept, about
ten entries of a dozen bytes for a VOC image.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from jaxtyping import Int32, Int64, Integer, Shaped, UInt

from parsenet.errors import DataNotFoundError, LabelError
from parsenet.files import write_bytes_atomically

FILE_NAME = "counts.npz"
"""Name of the file that lies beside `metrics.json`."""

_LOOSE = 64
"""Parts that are kept apart before they are joined."""

_FIELDS = ("images", "truth", "prediction", "pixels")


@dataclass(frozen=True, eq=False)
class ImageCounts:
    """Pixels by (image, true class, predicted class), void left out; only counts above zero.

    Entry k says that image `ids[images[k]]` has `pixels[k]` pixels of class `truth[k]` that were
    predicted as `prediction[k]`. Entries are sorted, and every combination comes once.
    """

    ids: tuple[str, ...]
    """One unique name per image, images without a counted pixel among them."""
    images: Int32[np.ndarray, " k"]
    """Position of the image in `ids`."""
    truth: UInt[np.ndarray, " k"]
    """True class."""
    prediction: UInt[np.ndarray, " k"]
    """Predicted class."""
    pixels: Int64[np.ndarray, " k"]
    """How many pixels."""
    num_classes: int
    """Number of classes C."""

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def of(
        cls, ids: Sequence[str], counts: Integer[np.ndarray, "n c c"], num_classes: int
    ) -> ImageCounts:
        """Take the entries above zero out of the confusion counts of some images.

        Args:
            ids: name of every image.
            counts: pixels by (image, true class, predicted class).
            num_classes: number of classes C.
        """
        images, truth, prediction = np.nonzero(counts)
        return cls(
            ids=tuple(ids),
            images=images.astype(np.int32),
            truth=truth.astype(_class_type(num_classes)),
            prediction=prediction.astype(_class_type(num_classes)),
            pixels=counts[images, truth, prediction].astype(np.int64),
            num_classes=num_classes,
        )

    @classmethod
    def join(cls, parts: Iterable[ImageCounts], num_classes: int) -> ImageCounts:
        """Put parts of a data set together, sorted by id: the order they came in leaves no trace.

        Args:
            parts: counts of disjoint images.
            num_classes: number of classes C of all of them.

        Raises:
            LabelError: an image comes twice, or the classes differ.
        """
        parts = list(parts)
        for part in parts:
            if part.num_classes != num_classes:
                raise LabelError(
                    f"`parts` must have {num_classes} classes, got {part.num_classes}. Join counts "
                    "of one data set."
                )
        ids = [name for part in parts for name in part.ids]
        starts = np.cumsum([0, *(len(part) for part in parts)])
        images = [part.images + start for part, start in zip(parts, starts, strict=False)]
        kind = _class_type(num_classes)
        whole = cls(
            ids=tuple(ids),
            images=_join([*images, np.empty(0)], np.int32),
            truth=_join([*(part.truth for part in parts), np.empty(0)], kind),
            prediction=_join([*(part.prediction for part in parts), np.empty(0)], kind),
            pixels=_join([*(part.pixels for part in parts), np.empty(0)], np.int64),
            num_classes=num_classes,
        )
        order = sorted(range(len(ids)), key=ids.__getitem__)
        for one, other in pairwise(order):
            if ids[one] == ids[other]:
                raise LabelError(
                    f"Every image must be counted once, got '{ids[one]}' twice. Give each a name "
                    "of its own."
                )
        return whole.subset(order)

    @classmethod
    def gather(cls, parts: list[ImageCounts], part: ImageCounts) -> list[ImageCounts]:
        """Add a part to others, and join them now and then.

        Tiny arrays that stay keep the memory between them from being used again: a list of 1,449
        of them held 300 MB that nothing was stored in.

        Args:
            parts: what was gathered.
            part: what comes next.
        """
        parts = [*parts, part]
        return parts if len(parts) < _LOOSE else [cls.join(parts, part.num_classes)]

    def subset(self, positions: Sequence[int] | Integer[np.ndarray, " m"]) -> ImageCounts:
        """Return the counts of some images, each at most once, in the order given.

        Args:
            positions: positions in `ids`.
        """
        chosen = np.asarray(positions, dtype=np.int64)
        place = np.full(len(self), -1, dtype=np.int64)
        place[chosen] = np.arange(len(chosen))
        moved = place[self.images]
        kept = np.flatnonzero(moved >= 0)
        # Stable: within an image the entries stay sorted by class.
        kept = kept[np.argsort(moved[kept], kind="stable")]
        return ImageCounts(
            ids=tuple(self.ids[index] for index in chosen.tolist()),
            images=moved[kept].astype(np.int32),
            truth=self.truth[kept],
            prediction=self.prediction[kept],
            pixels=self.pixels[kept],
            num_classes=self.num_classes,
        )

    def total(self) -> Int64[np.ndarray, "c c"]:
        """Add up all images: the data set's confusion matrix."""
        return self._fill(slice(None))

    def dense(self, position: int) -> Int64[np.ndarray, "c c"]:
        """Return the confusion matrix of one image.

        Args:
            position: position in `ids`.
        """
        first, last = np.searchsorted(self.images, [position, position + 1])
        return self._fill(slice(first, last))

    def class_sums(
        self,
    ) -> tuple[Int64[np.ndarray, "n c"], Int64[np.ndarray, "n c"], Int64[np.ndarray, "n c"]]:
        """Return (right, true, predicted) pixels by image and class."""
        is_right = self.truth == self.prediction
        sums = []
        for classes, weights in (
            (self.truth, self.pixels * is_right),
            (self.truth, self.pixels),
            (self.prediction, self.pixels),
        ):
            sums.append(np.zeros((len(self), self.num_classes), np.int64))
            np.add.at(sums[-1], (self.images, classes), weights)
        return sums[0], sums[1], sums[2]

    def save(self, path: Path) -> None:
        """Write a compressed `.npz`; `numpy.load` reads it without pickle.

        Args:
            path: file to write, by custom `counts.npz`.
        """
        content = io.BytesIO()
        np.savez_compressed(
            content,
            ids=np.array(self.ids, dtype=np.str_),
            num_classes=np.array(self.num_classes),
            **{name: getattr(self, name) for name in _FIELDS},
        )
        write_bytes_atomically(path, content.getvalue())

    @classmethod
    def load(cls, path: Path) -> ImageCounts:
        """Read what `save` wrote.

        Raises:
            DataNotFoundError: the file is missing, or is not such a file.
        """
        try:
            # Opened here: numpy leaves the file open when it is no archive.
            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
                arrays = {name: file[name] for name in _FIELDS}
                ids = tuple(file["ids"].tolist())
                return cls(ids=ids, num_classes=int(file["num_classes"]), **arrays)
        except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
            raise DataNotFoundError(
                f"'{path}' must hold counts per image, got {type(error).__name__}. Make it by "
                "`parsenet score` or `parsenet validate`."
            ) from error

    def _fill(self, entries: slice) -> Int64[np.ndarray, "c c"]:
        counts = np.zeros((self.num_classes, self.num_classes), np.int64)
        # `add.at` stays in int64; `bincount` with weights would go through float64.
        np.add.at(counts, (self.truth[entries], self.prediction[entries]), self.pixels[entries])
        return counts


def _class_type(num_classes: int) -> type[np.generic]:
    return np.uint8 if num_classes <= 256 else np.uint16


def _join(parts: list[np.ndarray], kind: type[np.generic]) -> Shaped[np.ndarray, " k"]:
    return np.concatenate(parts).astype(kind)
