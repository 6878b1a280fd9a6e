"""Label files to arrays: PNGs of numbers or colours, and MATLAB's maps."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

import numpy as np
from jaxtyping import Integer, Shaped, UInt
from PIL import ImageFile

from parsenet.data.reading import DEEP_MODES, opened
from parsenet.errors import ImageError, LabelError
from parsenet.taxonomy import Recoding, Taxonomy

LabelMap: TypeAlias = UInt[np.ndarray, "h w"]
"""Class indices and void; uint8, or uint16 where there are more than 255 classes."""

# Pillow stretches grey PNGs of 2 and 4 bits to 0..255; labels want the stored number back.
_GREY_STEPS = {"L;2": 85, "L;4": 17}


def read_stored_label(path: Path) -> Integer[np.ndarray, "h w"]:
    """Read a label whose pixels are any numbers of up to 16 bits, as they are stored.

    A palette only colours them and is left out.

    Raises:
        ImageError: the file cannot be read, or holds colours or lossy numbers.
    """
    with opened(path) as image:
        return _read_indices(image, path)


def read_mask(path: Path, taxonomy: Taxonomy, recoding: Recoding | None = None) -> LabelMap:
    """Read a label stored as numbers or as RGB colours.

    Args:
        path: the file.
        taxonomy: the classes; without a recoding, stored values are their indices and stored
            colours are their palette's.
        recoding: what other values and colours stand for.

    Raises:
        ImageError: the file cannot be read, or is partly transparent.
        LabelError: a value or colour is not known, or a pixel has too many bits.
    """
    with opened(path) as image:
        if image.mode in {"RGB", "RGBA"}:
            return _read_colours(image, path, taxonomy, recoding)
        stored = _read_indices(image, path)
    if recoding is not None:
        return recoding(stored, str(path))
    if stored.dtype != taxonomy.label_type:
        highest = np.iinfo(taxonomy.label_type).max
        outside = (stored < 0) | (stored > highest)
        if outside.any():
            row, column = np.argwhere(outside)[0].tolist()
            raise LabelError(
                f"The label '{path}' must hold values of 0 to {highest}, got {stored[row, column]} "
                f"at row {row}, column {column}. Map its values to class indices."
            )
    label: LabelMap = stored.astype(taxonomy.label_type, copy=False)
    return label


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


def _read_indices(image: ImageFile.ImageFile, path: Path) -> Integer[np.ndarray, "h w"]:
    _refuse_lossy(image, path)
    if image.mode in DEEP_MODES:
        return np.array(image)
    if image.mode not in {"P", "L", "1"}:
        raise ImageError(
            f"The label '{path}' must hold one class index per pixel (PNG mode P, L, 1 or I;16), "
            f"got mode '{image.mode}'. Convert it to indices."
        )
    # How pixels are stored, before Pillow widens them.
    step = _GREY_STEPS.get(str(image.tile[0][3]), 1) if image.tile else 1
    stored = np.array(image).astype(np.uint8, copy=False)
    return stored if step == 1 else stored // np.uint8(step)


def _refuse_lossy(image: ImageFile.ImageFile, path: Path) -> None:
    if image.format == "JPEG":
        raise ImageError(
            f"The label '{path}' must be stored without loss, got a JPEG. Its values are smeared: "
            "export it again as PNG."
        )


def read_matlab_label(path: Path, key: str, field: str = "") -> Integer[np.ndarray, "h w"]:
    """Read a map of whole numbers from a MATLAB file, which stores them in any type.

    Args:
        path: the file.
        key: name of the variable.
        field: name of the map in it, where the variable is a record (SBD's `GTcls`).

    Raises:
        ImageError: the file is missing, empty, damaged or of version 7.3, or holds no such map.
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
    from scipy.io import loadmat  # slow to import, and for data sets with such labels alone

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
    except Exception as error:  # which one depends on where a truncated file ends
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
