"""One sample, read once: everything that the checks need to know, without its pixels."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Integer

from parsenet.doctor.looks import Look, look_at
from parsenet.doctor.splits import Reading, Split
from parsenet.doctor.stored import Header, read_header, read_stored
from parsenet.errors import ParseNetError
from parsenet.taxonomy import VOID_COLOUR, Colour, Taxonomy

MAX_VALUES = 300
"""Different values that are kept of a label; depth maps and photographs have thousands."""

_MAX_WRONG = 20

Trouble = Literal["", "unreadable", "lossy", "coloured", "range", "refused"]


class Wrong(NamedTuple):
    """A value that no class has, and where it is found first."""

    value: int
    row: int
    column: int
    pixels: int


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What was learnt of an image."""

    error: str = ""
    size: tuple[int, int] | None = None
    """(height, width), turned as EXIF says."""
    header: Header | None = None
    digest: bytes = b""
    look: Look | None = None


@dataclass(frozen=True, slots=True)
class LabelFacts:
    """What was learnt of a label."""

    trouble: Trouble = ""
    error: str = ""
    size: tuple[int, int] | None = None
    header: Header | None = None
    values: dict[int, int] = field(default_factory=dict)
    """Pixels by stored value (or colour code), the most frequent ones."""
    classes: dict[int, int] = field(default_factory=dict)
    """Pixels by class index; empty where the label cannot be read as one."""
    void: int = 0
    wrong: tuple[Wrong, ...] = ()
    num_wrong: int = 0
    """Different wrong values; only the first are in `wrong`."""
    palette: dict[int, Colour] = field(default_factory=dict)
    """Colours of the stored values that occur, for palette PNGs."""
    digest: bytes = b""


class Examined(NamedTuple):
    """A sample after its reading."""

    image: ImageFacts
    label: LabelFacts


def examine(split: Split, index: int, fast: bool) -> Examined:
    """Read a sample; nothing that is wrong with it raises.

    Args:
        split: where it belongs.
        index: its position there.
        fast: leave the pixels of the image alone.
    """
    return Examined(_examine_image(split, index, fast), _examine_label(split, index))


def _examine_image(split: Split, index: int, fast: bool) -> ImageFacts:
    path = split.pairs[index].image
    header = read_header(path) if path is not None else None
    if fast and header is not None and path is not None:
        return ImageFacts(size=_upright(header), header=_slim(header), digest=_digest(path))
    try:
        image = split.reading.image(index)
    except Exception as error:  # whatever a file can cause costs this file only
        return ImageFacts(_sentence(error, path), header=_slim(header), digest=_digest(path))
    size = image.shape[0], image.shape[1]
    return ImageFacts("", size, _slim(header), _digest(path), look_at(image))


def _examine_label(split: Split, index: int) -> LabelFacts:
    path, reading = split.pairs[index].label, split.reading
    header = read_header(path) if path is not None else None
    try:
        label = reading.label(index)
    except Exception as error:
        return _explain(_sentence(error, path), path, header, reading)
    counts = count_values(label)
    taxonomy = reading.taxonomy
    known = {*range(taxonomy.num_classes), taxonomy.void}
    stored = None
    if path is not None and header is not None and (header.is_coloured or not reading.is_plain):
        stored = read_stored(path)
    values = counts if stored is None else count_values(stored)
    wrong = [value for value in counts if value not in known]
    return LabelFacts(
        "range" if wrong else "",
        size=(label.shape[0], label.shape[1]),
        header=_slim(header),
        values=_most_frequent(values),
        classes={value: n for value, n in counts.items() if value in known - {taxonomy.void}},
        void=counts.get(taxonomy.void, 0),
        wrong=_locate(label, wrong, counts),
        num_wrong=len(wrong),
        palette=_palette(header, values),
        digest=hashlib.blake2b(np.ascontiguousarray(label).data, digest_size=16).digest(),
    )


def _explain(error: str, path: Path | None, header: Header | None, reading: Reading) -> LabelFacts:
    """Find out why the loader refuses a label."""
    stored = read_stored(path) if path is not None and header is not None else None
    if path is None or header is None:
        return LabelFacts("refused" if path is None or _is_no_image(path) else "unreadable", error)
    if stored is None:
        return LabelFacts("unreadable", error, header=_slim(header))
    values = count_values(stored)
    known = _known_colours(reading.taxonomy) if header.is_coloured else reading.known
    wrong = [] if known is None else [value for value in values if value not in known]
    trouble: Trouble = "refused"
    if header.format == "JPEG":
        trouble = "lossy"
    elif header.is_coloured:
        trouble = "coloured"
    elif wrong:
        trouble = "range"
    return LabelFacts(
        trouble,
        error,
        (stored.shape[0], stored.shape[1]),
        _slim(header),
        _most_frequent(values),
        wrong=_locate(stored, wrong, values),
        num_wrong=len(wrong),
        palette=_palette(header, values),
    )


def count_values(values: Integer[np.ndarray, "h w"]) -> dict[int, int]:
    """Count the pixels of each value."""
    if values.dtype in (np.uint8, np.uint16):
        counts = np.bincount(values.ravel())
        return {int(value): int(counts[value]) for value in np.flatnonzero(counts)}
    found, numbers = np.unique(values, return_counts=True)
    return dict(zip(found.tolist(), numbers.tolist(), strict=True))


def _locate(
    values: Integer[np.ndarray, "h w"], wrong: Iterable[int], counts: dict[int, int]
) -> tuple[Wrong, ...]:
    located = []
    for value in sorted(wrong, key=lambda one: -counts[one])[:_MAX_WRONG]:
        row, column = np.unravel_index(int((values == value).argmax()), values.shape)
        located.append(Wrong(value, int(row), int(column), counts[value]))
    return tuple(located)


def _most_frequent(counts: dict[int, int]) -> dict[int, int]:
    if len(counts) <= MAX_VALUES:
        return counts
    return dict(sorted(counts.items(), key=lambda entry: -entry[1])[:MAX_VALUES])


def _palette(header: Header | None, values: Iterable[int]) -> dict[int, Colour]:
    colours = header.palette if header is not None else ()
    return {value: colours[value] for value in values if 0 <= value < len(colours)}


def _slim(header: Header | None) -> Header | None:
    """Drop the palette: ten thousand of them would fill the memory."""
    return header and header._replace(palette=())


def _known_colours(taxonomy: Taxonomy) -> frozenset[int]:
    colours = (*taxonomy.palette, VOID_COLOUR)
    return frozenset((r << 16) + (g << 8) + b for r, g, b in colours)


def _upright(header: Header) -> tuple[int, int]:
    height, width = header.size
    return (width, height) if header.orientation >= 5 else (height, width)


def _digest(path: Path | None) -> bytes:
    """Return a hash of a file's bytes; b'' where there is nothing to read."""
    try:
        if path is None:
            return b""
        with path.open("rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).digest()
    except OSError:
        return b""


def _is_no_image(path: Path) -> bool:
    """Tell whether a label is of another kind than images, such as a MATLAB file."""
    return path.suffix.lower() not in {".png", ".bmp", ".gif", ".tif", ".tiff", ".jpg", ".jpeg"}


def _sentence(error: Exception, path: Path | None) -> str:
    if isinstance(error, ParseNetError):
        return str(error)
    return f"'{path}' failed with {type(error).__name__}: {error}"
