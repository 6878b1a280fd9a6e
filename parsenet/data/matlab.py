"""Arrays in MATLAB files: read, or refused with a sentence naming the file."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
from jaxtyping import Integer, Shaped

from parsenet.errors import ConfigError, ImageError


def read_matlab(path: Path, key: str) -> Shaped[np.ndarray, "*dims"]:
    """Read one variable of a MATLAB file, version 7 or older.

    Args:
        path: the file.
        key: name of the variable.

    Raises:
        ImageError: the file is missing, empty, damaged, of version 7.3, or has no such variable.
        ConfigError: scipy is not installed.
    """
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


def read_segmentation(path: Path) -> Shaped[np.ndarray, "*dims"]:
    """Read the class map out of a record of SBD.

    Raises:
        ImageError: as `read_matlab`, or the record has no class map.
        ConfigError: scipy is not installed.
    """
    record = read_matlab(path, "GTcls")
    if record.dtype.names is None or "Segmentation" not in record.dtype.names or not record.size:
        raise ImageError(
            f"'{path}' must hold `GTcls.Segmentation`, got a record without. Is it a file of the "
            "folder `cls`?"
        )
    values: np.ndarray = record["Segmentation"].flat[0]
    return values


def whole_numbers(values: Shaped[np.ndarray, "*dims"], path: Path) -> Integer[np.ndarray, "h w"]:
    """Return a map of whole numbers; MATLAB stores them in any type, often as doubles.

    Args:
        values: what was read.
        path: its file, for the message.

    Raises:
        ImageError: the array has not two dimensions, or holds other things than whole numbers.
    """
    is_number = values.dtype.kind in "biuf"
    if values.ndim != 2 or not is_number or (values.dtype.kind == "f" and (values % 1 != 0).any()):
        raise ImageError(
            f"'{path}' must hold a map of whole numbers, got {values.dtype} of shape "
            f"{values.shape}. Is it from this data set?"
        )
    return values if values.dtype.kind in "iu" else values.astype(np.int32)
