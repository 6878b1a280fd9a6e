"""The card of a score: what was counted and how, so that only like is compared with like."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from parsenet.errors import ConfigError

VOID_RULE = "void pixels left out of all counts"
ABSENT_RULE = "classes without ground truth left out of the means"


@dataclass(frozen=True)
class Protocol:
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
    void_rule: str = VOID_RULE
    """What happens to void pixels."""
    absent_rule: str = ABSENT_RULE
    """What happens to classes without ground truth."""
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

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as JSON files hold them."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Protocol:
        """Rebuild a card from `to_dict`.

        Raises:
            ConfigError: a field is missing or unknown.
        """
        # JSON gives lists; equality and hashing want tuples.
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in record.items()
        }
        try:
            return cls(**values)
        except TypeError as error:
            raise ConfigError(
                f"`card` must hold the fields of a protocol card, got '{error}'. Score again with "
                "this version."
            ) from None


def differences(one: Protocol, other: Protocol) -> dict[str, tuple[object, object]]:
    """Tell in which fields two cards differ; their checkpoints may, that is what is compared.

    Args:
        one: a card.
        other: another.

    Returns:
        name of the field to its two values, nothing where the scores can be compared.
    """
    return {
        field.name: (getattr(one, field.name), getattr(other, field.name))
        for field in fields(Protocol)
        if field.name != "checkpoint" and getattr(one, field.name) != getattr(other, field.name)
    }


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file, as `sha256sum` prints it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
