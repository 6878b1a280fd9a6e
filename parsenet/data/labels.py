"""Label files to arrays: PNGs of numbers or colours, and MATLAB's maps."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import TypeAlias

import numpy as np
from jaxtyping import Integer, Shaped, UInt, UInt8
from PIL import ImageFile

from parsenet.data.reading import DEEP_MODES, opened
from parsenet.errors import ConfigError, ImageError, LabelError
from parsenet.taxonomy import Recoding, Taxonomy

LabelMap: TypeAlias = UInt[np.ndarray, "h w"]
"""Class indices and void; uint8, or uint16 where there are more than 255 classes."""

# Pillow stretches grey PNGs of 2 and 4 bits to 0..255; labels want the stored number back.
GREY_STEPS = {"L;2": 85, "L;4": 17}


def read_index_label(path: Path) -> UInt8[np.ndarray, "h w"]:
    """Read a label whose pixels are class indices; a palette only colours them and is left out.

    Raises:
        ImageError: the file cannot be read, or holds colours or lossy numbers.
        LabelError: a 16-bit pixel is above 255.
    """
    return _narrow(read_stored_label(path), path, "uint8")


def read_stored_label(path: Path) -> Integer[np.ndarray, "h w"]:
    """Read a label whose pixels are any numbers of up to 16 bits, as they are stored.

    Raises:
        ImageError: the file cannot be read, or holds colours or lossy numbers.
    """
    plain = _read_plain_png(path)
    if plain is not None:
        return plain
    with opened(path) as image:
        return _indices(image, path)


def read_mask(path: Path, taxonomy: Taxonomy, recoding: Recoding | None = None) -> LabelMap:
    """Read a label stored as numbers or as RGB colours.

    Args:
        path: the file.
        taxonomy: the classes; without a recoding, stored values are their indices and stored
            colours are their palette's.
        recoding: what other values and colours stand for.

    Raises:
        ImageError: the file cannot be read, or is partly transparent.
        LabelError: a value or colour is not known, or a 16-bit pixel is above 255.
    """
    stored: Integer[np.ndarray, "h w"] | None = _read_plain_png(path)
    if stored is None:
        with opened(path) as image:
            if image.mode in {"RGB", "RGBA"}:
                return _read_colours(image, path, taxonomy, recoding)
            stored = _indices(image, path)
    if recoding is not None:
        return recoding(stored, str(path))
    return _narrow(stored, path, taxonomy.label_type)


def _read_colours(
    image: ImageFile.ImageFile, path: Path, taxonomy: Taxonomy, recoding: Recoding | None
) -> LabelMap:
    _refuse_lossy(image, path)
    mask = np.array(image)
    if mask.shape[2] == 4 and (mask[..., 3] != 255).any():
        raise ImageError(
            f"The mask '{path}' must be opaque, got transparent pixels. Store it without alpha."
        )
    try:
        return (recoding.from_colours if recoding else taxonomy.index_colours)(mask[..., :3])
    except LabelError as error:
        raise LabelError(f"In the mask '{path}', {error}") from None


def _indices(image: ImageFile.ImageFile, path: Path) -> Integer[np.ndarray, "h w"]:
    _refuse_lossy(image, path)
    if image.mode in DEEP_MODES:
        return np.array(image)
    if image.mode not in {"P", "L", "1"}:
        raise ImageError(
            f"The label '{path}' must hold one class index per pixel (PNG mode P, L, 1 or I;16), "
            f"got mode '{image.mode}'. Convert it to indices."
        )
    step = GREY_STEPS.get(raw_mode(image), 1)
    return np.array(image).astype(np.uint8) // np.uint8(step)


def raw_mode(image: ImageFile.ImageFile) -> str:
    """Name how the pixels are stored, before Pillow widens them; '' when the file has no tiles."""
    args = image.tile[0][3] if image.tile else ""
    return args if isinstance(args, str) else ""


def _narrow(values: Integer[np.ndarray, "h w"], path: Path, kind: str) -> LabelMap:
    if values.dtype != kind:
        highest = np.iinfo(kind).max
        outside = (values < 0) | (values > highest)
        if outside.any():
            row, column = np.argwhere(outside)[0].tolist()
            raise LabelError(
                f"The label '{path}' must hold values of 0 to {highest}, got {values[row, column]} "
                f"at row {row}, column {column}. Map its values to class indices."
            )
    narrow: LabelMap = values.astype(kind, copy=False)
    return narrow


def _refuse_lossy(image: ImageFile.ImageFile, path: Path) -> None:
    if image.format == "JPEG":
        raise ImageError(
            f"The label '{path}' must be stored without loss, got a JPEG. Its values are smeared: "
            "export it again as PNG."
        )


def _read_plain_png(path: Path) -> UInt8[np.ndarray, "h w"] | None:
    try:
        return decode_plain_png(path.read_bytes())
    except OSError:
        return None  # opening it says what is wrong


def decode_plain_png(data: bytes) -> UInt8[np.ndarray, "h w"] | None:
    """Decode a PNG of one byte per pixel, rows neither interlaced nor filtered.

    Labels are such files as a rule, for filters help photographs only. Decoding is then
    decompressing; the general way takes nearly twice as long (`benchmarks/data.py`).

    Args:
        data: the whole file.

    Returns:
        the stored numbers (palette indices or grey levels), or None for any other file, broken
        ones included: Pillow reads it, or knows what is wrong.

    Source: PNG specification, third edition, sections 5, 9 and 10.
    """
    if data[:8] != b"\x89PNG\r\n\x1a\n" or data[12:16] != b"IHDR" or len(data) < 33:
        return None
    width, height, bits, kind, *ways = struct.unpack_from(">IIBBBBB", data, 16)
    packed = _join_data(data)
    if (bits, *ways) != (8, 0, 0, 0) or kind not in (0, 3) or packed is None:  # grey, palette
        return None
    num_bytes = height * (width + 1)  # a byte before each row names its filter
    try:
        raw = zlib.decompressobj().decompress(packed, num_bytes)
    except zlib.error:
        return None
    if len(raw) != num_bytes:
        return None
    rows = np.frombuffer(raw, np.uint8).reshape(height, width + 1)
    return None if rows[:, 0].any() else rows[:, 1:].copy()


def _join_data(data: bytes) -> bytes | None:
    """Join the compressed parts; None where a part is broken or missing."""
    at = 8
    parts: list[bytes] = []
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        name, end = data[at + 4 : at + 8], at + 8 + length
        if name == b"IEND":
            return b"".join(parts)
        if name == b"IDAT":
            if data[end : end + 4] != struct.pack(">I", zlib.crc32(data[at + 4 : end])):
                return None
            parts.append(data[at + 8 : end])
        at = end + 4
    return None


def read_matlab_label(path: Path, key: str, field: str = "") -> Integer[np.ndarray, "h w"]:
    """Read a map of whole numbers from a MATLAB file, which stores them in any type.

    Args:
        path: the file.
        key: name of the variable.
        field: name of the map in it, where the variable is a record (SBD's `GTcls`).

    Raises:
        ImageError: the file is missing, empty, damaged or of version 7.3, or holds no such map.
        ConfigError: scipy is not installed.
    """
    values = _load_matlab(path, key)
    if field:
        if values.dtype.names is None or field not in values.dtype.names or not values.size:
            raise ImageError(
                f"'{path}' must hold `{key}.{field}`, got a record without. Is it a file of the "
                "folder `cls`?"
            )
        values = values[field].flat[0]
    is_number = values.dtype.kind in "biuf"
    if values.ndim != 2 or not is_number or (values.dtype.kind == "f" and (values % 1 != 0).any()):
        raise ImageError(
            f"'{path}' must hold a map of whole numbers, got {values.dtype} of shape "
            f"{values.shape}. Is it from this data set?"
        )
    return values if values.dtype.kind in "iu" else values.astype(np.int32)


def _load_matlab(path: Path, key: str) -> Shaped[np.ndarray, "*dims"]:
    """Read one variable of a MATLAB file, version 7 or older."""
    try:
        # Only data sets with such labels need it.
        from scipy.io import loadmat
        from scipy.io.matlab import MatReadError
    except ModuleNotFoundError:
        raise ConfigError(
            f"`scipy` must be installed to read '{path.name}', got no such package. "
            "Run `pip install 'parsenet[train]'`."
        ) from None
    try:
        with path.open("rb") as file:  # loadmat would try `path` with `.mat` behind it
            found = loadmat(file, variable_names=[key])
    except FileNotFoundError:
        raise ImageError(f"The label '{path}' must exist. Check the path.") from None
    except NotImplementedError:
        raise ImageError(
            f"'{path}' must be a MATLAB file of version 7 or older, got version 7.3. Save it in "
            "MATLAB with `save -v7`."
        ) from None
    except (
        MatReadError, OSError, ValueError, TypeError, KeyError, IndexError, EOFError, MemoryError,
        zlib.error, struct.error,
    ) as error:  # fmt: skip
        # Which of these a truncated file raises depends on where it ends.
        raise ImageError(
            f"'{path}' must be a whole MATLAB file, got '{error}'. Copy or extract it again."
        ) from None
    if key not in found:
        raise ImageError(
            f"'{path}' must hold the variable '{key}', got a file without. Is it from this data "
            "set?"
        )
    values: np.ndarray = found[key]
    return values
