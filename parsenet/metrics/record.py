"""What a score leaves behind: its protocol card, its scores, and the counts behind them.

From the counts of every image, two scores are compared and one is put into other dialects without
predicting again. The card tells what was counted and how, so that only like is compared with like.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import compress
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float64, Int64

from parsenet.errors import ConfigError, DataNotFoundError
from parsenet.files import write_bytes_atomically
from parsenet.metrics.counting import ImageCounts
from parsenet.metrics.scores import SCORES, Scores, known, scores, table
from parsenet.metrics.statistics import Comparison, Resampling, compare
from parsenet.taxonomy import Taxonomy


@dataclass(frozen=True)
class ProtocolCard:
    """How a score was made; every score of this package carries one."""

    dataset: str
    """Name of the taxonomy, such as `voc2012`."""
    split: str
    """Name of the list of images."""
    num_images: int
    """Images counted."""
    classes_counted: tuple[str, ...]
    """Classes that the means go over."""
    classes_absent: tuple[str, ...] = ()
    """Classes without ground truth, which the means leave out."""
    resolution: Literal["native", "resized"] = "native"
    """Size that pixels were counted at: that of the label file, or another."""
    void_rule: str = "void pixels left out of all counts"
    absent_rule: str = "classes without ground truth left out of the means"
    augmentation: str = "none"
    """Test-time augmentation; `none` is the whole image once, at one scale."""
    checkpoint: str | None = None
    """SHA-256 of the file that was scored; None where only its predictions are known."""

    def __str__(self) -> str:
        total = len(self.classes_counted) + len(self.classes_absent)
        absent = f" (without {', '.join(self.classes_absent)})" if self.classes_absent else ""
        hashed = f"sha256 {self.checkpoint[:12]}" if self.checkpoint else "not known"
        return (
            f"{self.dataset} {self.split}, {self.num_images:,} images, {self.resolution} size; "
            f"{self.void_rule}; {self.absent_rule}; means over {len(self.classes_counted)} of "
            f"{total} classes{absent}; test-time augmentation {self.augmentation}; checkpoint "
            f"{hashed}"
        )


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The counts of some images, and everything that follows from them."""

    images: ImageCounts
    """Counts per image."""
    names: tuple[str, ...]
    """Names of the classes."""
    card: ProtocolCard
    """What was scored and how."""
    checkpoint: str | None = None
    """Name of the file that was scored."""

    @classmethod
    def of(
        cls, images: ImageCounts, taxonomy: Taxonomy, split: str, checkpoint: Path | None = None
    ) -> Evaluation:
        """Make the card of what was counted on a split, by the checkpoint of that file."""
        pixels = images.total().sum(axis=1)
        counted, absent = (tuple(compress(taxonomy.names, x)) for x in (pixels > 0, pixels == 0))
        sha256 = hash_file(checkpoint) if checkpoint else None
        card = ProtocolCard(taxonomy.name, split, len(images), counted, absent, checkpoint=sha256)
        return cls(images, taxonomy.names, card, checkpoint.name if checkpoint else None)

    @classmethod
    def load(cls, path: Path) -> Evaluation:
        """Read what `write` wrote: `metrics.json`, or its folder, and the counts beside it.

        Raises:
            DataNotFoundError: one of the files is missing.
            ConfigError: the score has no card.
        """
        path = path / "metrics.json" if path.is_dir() else path
        if not path.is_file():
            raise DataNotFoundError(
                f"`{path}` must be a file, got none. Make it by `parsenet score --out DIR`."
            )
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            names = tuple(entry["name"] for entry in record["classes"])
            # JSON has lists; cards are compared, and hold tuples.
            fields: dict[str, Any] = record["card"]
            fields = {k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()}
            card = ProtocolCard(**fields)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ConfigError(
                f"'{path}' must hold scores with their card, got {type(error).__name__} for "
                f"{error}. Score again with this version."
            ) from error
        images = ImageCounts.load(path.with_name("counts.npz"))
        return cls(images, names, card, record.get("checkpoint"))

    @cached_property
    def counts(self) -> Int64[np.ndarray, "c c"]:
        """The confusion matrix of all images."""
        return self.images.total()

    @cached_property
    def scores(self) -> Scores:
        """The scores of all images together."""
        return scores(self.counts)

    @cached_property
    def per_image(self) -> Float64[np.ndarray, "n s"]:
        """The scores of every image by itself, in the order of `SCORES`; nan if all is void."""
        return table(self.images.areas())

    def worst(self, count: int = 8) -> list[tuple[str, float]]:
        """List ids and mean IoU of the images that are worst by themselves, worst first."""
        iou = self.per_image[:, 0]
        order = np.argsort(iou, kind="stable")[: min(count, np.isfinite(iou).sum())]
        return [(self.images.ids[index], float(iou[index])) for index in order]

    def to_dict(self) -> dict[str, Any]:
        """Return the contents of `metrics.json`; a score that does not exist is None."""
        return {
            "dataset": self.card.dataset,
            "split": self.card.split,
            "num_images": self.card.num_images,
            "protocol": str(self.card),
            "card": {k: list(v) if isinstance(v, tuple) else v for k, v in vars(self.card).items()},
            "checkpoint": self.checkpoint,
            **{name: known(getattr(self.scores, name)) for name in SCORES},
            "classes": self._classes(),
            "confusion": self.counts.tolist(),
        }

    def write(self, out_dir: Path) -> None:
        """Write `metrics.json`, tables for a spreadsheet, and the counts per image.

        The tables are `per_class.csv`, `per_image.csv` and `confusion.csv` (rows are true classes).
        """
        write_json(out_dir / "metrics.json", self.to_dict())
        self.images.save(out_dir / "counts.npz")
        images = {
            "id": self.images.ids,
            "pixels": self.images.areas()[1].sum(axis=1).astype(int).tolist(),
            "pixel_accuracy": self.per_image[:, 1].tolist(),
            "mean_iou": self.per_image[:, 0].tolist(),
        }
        columns = dict(zip(self.names, self.counts.T.tolist(), strict=True))
        write_table(out_dir / "per_class.csv", self._classes())
        write_table(out_dir / "per_image.csv", _rows(images))
        write_table(out_dir / "confusion.csv", _rows({"truth": self.names, **columns}))

    def _classes(self) -> list[dict[str, Any]]:
        result = self.scores
        return _rows({
            "name": self.names,
            "iou": result.class_iou,
            "accuracy": result.class_accuracy,
            "precision": result.class_precision,
            "recall": result.class_accuracy,
            "dice": result.class_dice,
            "pixels": result.class_pixels,
        })


def compare_scored(
    one: Evaluation, other: Evaluation, how: Resampling, anyway: bool = False
) -> Comparison:
    """Compare two checkpoints scored by the same protocol, or `anyway` although the cards differ.

    Raises:
        ConfigError: the cards differ.
        LabelError: the images or their ground truth differ.
    """
    first, last = asdict(one.card), asdict(other.card)
    unlike = [name for name in first if name != "checkpoint" and first[name] != last[name]]
    if unlike and not anyway:
        named = "; ".join(
            f"`{name}` {_shown(first[name], last[name])} and {_shown(last[name], first[name])}"
            for name in unlike
        )
        raise ConfigError(
            f"Both scores must have the same card, got {named}. Score both alike, or add "
            "`--anyway`."
        )
    return compare(one.images, other.images, how)


def _shown(value: object, other: object) -> str:
    """Write a field of a card; of lists of classes, how many and which the other lacks."""
    if not isinstance(value, tuple) or not isinstance(other, tuple):
        return str(value)
    more = [name for name in value if name not in other]
    return f"{len(value)} classes" + (f" ({', '.join(more)} among them)" if more else "")


def _rows(columns: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Turn columns into rows; a score that does not exist is None."""
    plain = [[known(x) if isinstance(x, float) else x for x in part] for part in columns.values()]
    return [dict(zip(columns, row, strict=True)) for row in zip(*plain, strict=True)]


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file atomically."""
    write_bytes_atomically(path, (json.dumps(content, indent=1) + "\n").encode())


def write_table(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write a CSV file atomically; its head is the names of the first row."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_bytes_atomically(path, text.getvalue().encode())


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file, as `sha256sum` prints it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
