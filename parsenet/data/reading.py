"""Picture and label files to arrays: read right, or refused with a sentence naming the file."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from parsenet.errors import ImageError, LabelError
from parsenet.taxonomy import Taxonomy

_PLAIN_MODES = frozenset({"1", "L", "P", "RGB", "CMYK", "YCbCr", "LAB", "HSV"})
_ALPHA_MODES = frozenset({"LA", "La", "PA", "RGBA", "RGBa"})
_DEEP_MODES = frozenset({"I", "I;16", "I;16L", "I;16B", "I;16N"})

# Pillow stretches grey PNGs of 2 and 4 bits to 0..255; labels want the stored number back.
_GREY_STEPS = {"L;2": 85, "L;4": 17}


def read_image(path: Path) -> UInt8[np.ndarray, "h w 3"]:
    """Read a picture as RGB in [0, 255], turned the way its EXIF orientation says.

    Grey, palette and CMYK pictures become RGB, transparent ones are laid over white, 16-bit grey
    is scaled to 8 bits. Of an animation the first frame is read.

    Raises:
        ImageError: the file is missing, empty, truncated, no picture, or of an unknown kind.
    """
    with _opened(path) as picture:
        upright = ImageOps.exif_transpose(picture)
        return np.array(_to_rgb(upright, path))


def read_index_label(path: Path) -> UInt8[np.ndarray, "h w"]:
    """Read a label whose pixels are class indices; a palette only colours them and is left out.

    Raises:
        ImageError: the file cannot be read, or holds colours or lossy numbers.
        LabelError: a 16-bit pixel is above 255.
    """
    with _opened(path) as picture:
        return _indices(picture, path)


def read_mask(path: Path, taxonomy: Taxonomy) -> UInt8[np.ndarray, "h w"]:
    """Read a label stored as class indices or as the taxonomy's RGB colours.

    Raises:
        ImageError: the file cannot be read, or is partly transparent.
        LabelError: a colour is not in the palette, or a 16-bit pixel is above 255.
    """
    with _opened(path) as picture:
        if picture.mode not in {"RGB", "RGBA"}:
            return _indices(picture, path)
        _refuse_lossy(picture, path)
        mask = np.array(picture)
    if mask.shape[2] == 4 and (mask[..., 3] != 255).any():
        raise ImageError(
            f"The mask '{path}' must be opaque, got transparent pixels. Store it without alpha."
        )
    try:
        return taxonomy.index_colours(np.ascontiguousarray(mask[..., :3]))
    except LabelError as error:
        raise LabelError(f"In the mask '{path}', {error}") from None


@contextmanager
def _opened(path: Path) -> Iterator[ImageFile.ImageFile]:
    """Open a picture and turn every way Pillow can fail on it into one `ImageError`."""
    try:
        if path.stat().st_size == 0:
            raise ImageError(f"'{path}' must be a picture, got an empty file. Copy it again.")
        with Image.open(path) as picture:
            yield picture
    except FileNotFoundError:
        raise ImageError(f"The picture '{path}' must exist. Check the path.") from None
    except UnidentifiedImageError:
        raise ImageError(
            f"'{path}' must be a picture, got a file that Pillow does not know. Convert it to PNG "
            "or JPEG."
        ) from None
    except Image.DecompressionBombError as error:
        raise ImageError(f"'{path}' must be smaller. {error}") from None
    except (OSError, SyntaxError, ValueError, EOFError, struct.error) as error:
        # Truncated and damaged files end here; which of these is raised depends on the format.
        raise ImageError(
            f"'{path}' must be a whole picture, got '{error}'. Copy or export it again."
        ) from None


def _to_rgb(picture: Image.Image, path: Path) -> Image.Image:
    if picture.mode in _DEEP_MODES:
        return _deep_to_rgb(picture, path)
    if picture.mode in _ALPHA_MODES or "transparency" in picture.info:
        coloured = picture.convert("RGBA")
        white = Image.new("RGBA", coloured.size, "white")
        return Image.alpha_composite(white, coloured).convert("RGB")
    if picture.mode in _PLAIN_MODES:
        return picture.convert("RGB")
    raise ImageError(
        f"'{path}' must be grey, RGB, RGBA, CMYK, palette or 16-bit grey, got Pillow mode "
        f"'{picture.mode}'. Convert it to an 8-bit PNG."
    )


def _deep_to_rgb(picture: Image.Image, path: Path) -> Image.Image:
    values = np.array(picture).astype(np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise ImageError(
            f"'{path}' must hold 16-bit values, got {values.min()} to {values.max()}. Scale it to "
            "0..65535 or to 8 bits."
        )
    # 257 maps 65535 on 255 exactly; the 128 rounds.
    grey = ((values + 128) // 257).astype(np.uint8)
    return Image.fromarray(grey).convert("RGB")


def _indices(picture: ImageFile.ImageFile, path: Path) -> UInt8[np.ndarray, "h w"]:
    _refuse_lossy(picture, path)
    if picture.mode in _DEEP_MODES:
        return _narrow(np.array(picture), path)
    if picture.mode not in {"P", "L", "1"}:
        raise ImageError(
            f"The label '{path}' must hold one class index per pixel (PNG mode P, L, 1 or I;16), "
            f"got mode '{picture.mode}'. Convert it to indices."
        )
    step = _GREY_STEPS.get(_raw_mode(picture), 1)
    return np.array(picture).astype(np.uint8) // np.uint8(step)


def _raw_mode(picture: ImageFile.ImageFile) -> str:
    """Name how the pixels are stored, before Pillow widens them; '' when the file has no tiles."""
    args = picture.tile[0][3] if picture.tile else ""
    return args if isinstance(args, str) else ""


def _narrow(values: np.ndarray, path: Path) -> UInt8[np.ndarray, "h w"]:
    outside = (values < 0) | (values > 255)
    if outside.any():
        row, column = np.argwhere(outside)[0].tolist()
        raise LabelError(
            f"The label '{path}' must hold values of 0 to 255, got {values[row, column]} at row "
            f"{row}, column {column}. Map its values to class indices."
        )
    return values.astype(np.uint8)


def _refuse_lossy(picture: ImageFile.ImageFile, path: Path) -> None:
    if picture.format == "JPEG":
        raise ImageError(
            f"The label '{path}' must be stored without loss, got a JPEG. Its values are smeared: "
            "export it again as PNG."
        )
