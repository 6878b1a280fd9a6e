"""What a scored set of images leaves behind: its card, its scores, and the counts behind them."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64

from parsenet.files import write_bytes_atomically
from parsenet.metrics.per_image import FILE_NAME, ImageCounts
from parsenet.metrics.protocol import Protocol
from parsenet.metrics.scores import Scores, image_scores, scores
from parsenet.taxonomy import Taxonomy


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The counts of some images, and everything that follows from them."""

    images: ImageCounts
    """Counts per image."""
    taxonomy: Taxonomy
    """What the classes are."""
    split: str
    """Name of the list of images."""
    checkpoint: str | None = None
    """Name of the file that was scored."""
    checkpoint_hash: str | None = None
    """Its SHA-256."""

    @cached_property
    def counts(self) -> Int64[np.ndarray, "c c"]:
        """The confusion matrix of all images."""
        return self.images.total()

    @cached_property
    def scores(self) -> Scores:
        """The scores of all images together."""
        return scores(self.counts)

    @cached_property
    def card(self) -> Protocol:
        """The card that belongs to the scores."""
        present = [pixels > 0 for pixels in self.scores.class_pixels]
        names = self.taxonomy.names
        return Protocol(
            dataset=self.taxonomy.name,
            split=self.split,
            num_images=len(self.images),
            classes_counted=tuple(n for n, there in zip(names, present, strict=True) if there),
            classes_absent=tuple(n for n, there in zip(names, present, strict=True) if not there),
            checkpoint=self.checkpoint_hash,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the contents of `metrics.json`; a score that does not exist is None."""
        return {
            "dataset": self.card.dataset,
            "split": self.card.split,
            "num_images": self.card.num_images,
            "protocol": str(self.card),
            "card": self.card.to_dict(),
            "checkpoint": self.checkpoint,
            "pixel_accuracy": _finite(self.scores.pixel_accuracy),
            "mean_accuracy": _finite(self.scores.mean_accuracy),
            "mean_iou": _finite(self.scores.mean_iou),
            "frequency_weighted_iou": _finite(self.scores.frequency_weighted_iou),
            "classes": self._classes(),
            "confusion": self.counts.tolist(),
        }

    def write(self, out_dir: Path) -> None:
        """Write `metrics.json`, tables for a spreadsheet, and the counts per image.

        The tables are `per_class.csv`, `per_image.csv` and `confusion.csv` (rows are true classes).

        Args:
            out_dir: folder; made if it is missing.
        """
        names = self.taxonomy.names
        content = (json.dumps(self.to_dict(), indent=1) + "\n").encode()
        write_bytes_atomically(out_dir / "metrics.json", content)
        self.images.save(out_dir / FILE_NAME)
        _write_table(out_dir / "per_class.csv", self._classes())
        _write_table(out_dir / "per_image.csv", self._images())
        rows = zip(names, self.counts.tolist(), strict=True)
        confusion = [{"truth": name, **dict(zip(names, row, strict=True))} for name, row in rows]
        _write_table(out_dir / "confusion.csv", confusion)

    def worst(self, count: int = 8) -> list[tuple[str, float]]:
        """List the images with the lowest mean IoU of their own, worst first.

        Args:
            count: how many at most.

        Returns:
            ids and mean IoU over the classes in the image's ground truth.
        """
        known = [
            (name, value)
            for name, value in zip(self.images.ids, image_scores(self.images).mean_iou, strict=True)
            if math.isfinite(value)
        ]
        return sorted(known, key=lambda pair: pair[1])[:count]

    def _classes(self) -> list[dict[str, Any]]:
        result = self.scores
        columns = {
            "name": self.taxonomy.names,
            "iou": map(_finite, result.class_iou),
            "accuracy": map(_finite, result.class_accuracy),
            "precision": map(_finite, result.class_precision),
            "recall": map(_finite, result.class_accuracy),
            "dice": map(_finite, result.class_dice),
            "pixels": result.class_pixels,
        }
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]

    def _images(self) -> list[dict[str, Any]]:
        each = image_scores(self.images)
        pixels = self.images.class_sums()[1].sum(axis=1).tolist()
        rows = zip(self.images.ids, pixels, each.pixel_accuracy, each.mean_iou, strict=True)
        return [
            {
                "id": name,
                "pixels": number,
                "pixel_accuracy": _finite(accuracy),
                "mean_iou": _finite(iou),
            }
            for name, number, accuracy, iou in rows
        ]


def _write_table(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    text = io.StringIO()
    if rows:
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    write_bytes_atomically(path, text.getvalue().encode())


def _finite(value: float) -> float | None:
    """JSON has no nan."""
    return value if math.isfinite(value) else None
