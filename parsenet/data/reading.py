"""Image and label files to arrays: read right, or refused with a sentence naming the file."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import numpy as np
from jaxtyping import Integer, UInt8
from PIL import ExifTags, Image, ImageFile, ImageOps, UnidentifiedImageError

from parsenet.data.huge import HUGE, copy_pixels, decode_huge
from parsenet.data.labels import LabelMap
from parsenet.data.png import decode_plain_png
from parsenet.errors import ImageError, LabelError
from parsenet.taxonomy import Recoding, Taxonomy

_PLAIN_MODES = frozenset({"1", "L", "P", "RGB", "CMYK", "YCbCr", "LAB", "HSV"})
_ALPHA_MODES = frozenset({"LA", "La", "PA", "RGBA", "RGBa"})
_DEEP_MODES = frozenset({"I", "I;16", "I;16L", "I;16B", "I;16N"})

MAX_PIXELS = 178_956_970
"""Pixels above which an image is taken for a decompression bomb: where Pillow itself refuses."""
IMAGE_SUFFIXES = (
    ".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp",
)  # fmt: skip
"""Endings, in lower case, of files that are taken for images."""

# Pillow stretches grey PNGs of 2 and 4 bits to 0..255; labels want the stored number back.
GREY_STEPS = {"L;2": 85, "L;4": 17}


def is_image(path: Path) -> bool:
    """Tell by its name whether a file is an image; hidden ones (macOS's `._a.jpg`) are none."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


def read_image(path: Path) -> UInt8[np.ndarray, "h w 3"]:
    """Read an image as RGB in [0, 255], turned the way its EXIF orientation says.

    Grey, palette and CMYK images become RGB, transparent ones are laid over white, 16-bit grey
    is scaled to 8 bits. Of an animation the first frame is read.

    Raises:
        ImageError: the file is missing, empty, truncated, no image, or of an unknown kind.
    """
    return next(read_frames(path))


def read_frames(
    path: Path | str, stream: BytesIO | None = None, max_pixels: int = MAX_PIXELS
) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    """Read one frame of an animation (or page of a TIFF) after another, each as `read_image` does.

    Pillow's own limit, `Image.MAX_IMAGE_PIXELS`, holds as well; `lift_pillow_limit` lifts it.

    Args:
        path: file to read; with a stream only what messages call it.
        stream: encoded image that is in memory already.
        max_pixels: larger images are refused before they are decoded.

    Raises:
        ImageError: as `read_image`, or the image is too large.
    """
    with _opened(path, stream) as image:
        width, height = image.size
        if width * height > max_pixels:
            raise ImageError(
                f"'{path}' must have at most {max_pixels} pixels, got {width} x {height}. If it is "
                f"no decompression bomb, allow it: `--max-pixels {width * height}`."
            )
        num_frames = getattr(image, "n_frames", 1)
        if num_frames == 1 and stream is None and width * height > HUGE:
            pixels = decode_huge(image, Path(path))
            if pixels is not None:
                yield pixels
                return
        for index in range(num_frames):
            image.seek(index)
            yield upright_rgb(image, path)


def upright_rgb(image: Image.Image, name: Path | str) -> UInt8[np.ndarray, "h w 3"]:
    """Convert an opened image the way `read_image` does.

    Args:
        image: as Pillow opened it, wherever its bytes came from.
        name: what messages call it.

    Raises:
        ImageError: it is of an unknown kind.
    """
    image.load()  # some formats tell the orientation behind the pixels
    # `exif_transpose` and `convert` copy even where they change nothing.
    if image.getexif().get(ExifTags.Base.Orientation, 1) != 1:
        image = ImageOps.exif_transpose(image)
    return copy_pixels(_to_rgb(image, name))


def read_size(path: Path | str, stream: BytesIO | None = None) -> tuple[int, int]:
    """Return (height, width) of an image as `read_image` gives it, without decoding it.

    Args:
        path: file to read; with a stream only what messages call it.
        stream: encoded image that is in memory already.

    Raises:
        ImageError: the file is missing, empty, no image, or of an unknown kind.
    """
    with _opened(path, stream) as image:
        width, height = image.size
        # A PNG's own `getexif` decodes it, for the orientation may stand behind the pixels.
        exif = Image.Image.getexif(image)
        is_turned = exif.get(ExifTags.Base.Orientation, 1) >= 5
        return (width, height) if is_turned else (height, width)


@contextmanager
def lift_pillow_limit() -> Iterator[None]:
    """Let only `max_pixels` decide what is too large; Pillow's limit holds for all threads."""
    limit = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def read_index_label(path: Path) -> UInt8[np.ndarray, "h w"]:
    """Read a label whose pixels are class indices; a palette only colours them and is left out.

    Raises:
        ImageError: the file cannot be read, or holds colours or lossy numbers.
        LabelError: a 16-bit pixel is above 255.
    """
    plain = _read_plain_png(path)
    if plain is not None:
        return plain
    with _opened(path) as image:
        return _narrow(_indices(image, path), path, "uint8")


def read_stored_label(path: Path) -> Integer[np.ndarray, "h w"]:
    """Read a label whose pixels are any numbers of up to 16 bits, as they are stored.

    Raises:
        ImageError: the file cannot be read, or holds colours or lossy numbers.
    """
    with _opened(path) as image:
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
    if stored is not None:
        return _name_classes(stored, path, taxonomy, recoding)
    with _opened(path) as image:
        if image.mode not in {"RGB", "RGBA"}:
            return _name_classes(_indices(image, path), path, taxonomy, recoding)
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


def _name_classes(
    stored: Integer[np.ndarray, "h w"], path: Path, taxonomy: Taxonomy, recoding: Recoding | None
) -> LabelMap:
    if recoding is not None:
        return recoding(stored, str(path))
    return _narrow(stored, path, taxonomy.label_type)


@contextmanager
def _opened(path: Path | str, stream: BytesIO | None = None) -> Iterator[ImageFile.ImageFile]:
    """Open an image and turn every way Pillow can fail on it into one `ImageError`."""
    try:
        if stream is None and Path(path).stat().st_size == 0:
            raise ImageError(f"'{path}' must be an image, got an empty file. Copy it again.")
        with Image.open(stream or path) as image:
            yield image
    except FileNotFoundError:
        raise ImageError(f"The image '{path}' must exist. Check the path.") from None
    except UnidentifiedImageError:
        raise ImageError(
            f"'{path}' must be an image, got a file that Pillow does not know. Convert it to PNG "
            "or JPEG."
        ) from None
    except Image.DecompressionBombError as error:
        raise ImageError(f"'{path}' must be smaller. {error}") from None
    except (OSError, SyntaxError, ValueError, EOFError, struct.error) as error:
        # Truncated and damaged files end here; which of these is raised depends on the format.
        raise ImageError(
            f"'{path}' must be a whole image, got '{error}'. Copy or export it again."
        ) from None


def _read_plain_png(path: Path) -> UInt8[np.ndarray, "h w"] | None:
    try:
        return decode_plain_png(path.read_bytes())
    except OSError:
        return None  # opening it says what is wrong


def _to_rgb(image: Image.Image, path: Path | str) -> Image.Image:
    if image.mode in _DEEP_MODES:
        return _deep_to_rgb(image, path)
    if image.mode in _ALPHA_MODES or "transparency" in image.info:
        coloured = image.convert("RGBA")
        white = Image.new("RGBA", coloured.size, "white")
        return Image.alpha_composite(white, coloured).convert("RGB")
    if image.mode in _PLAIN_MODES:
        return image if image.mode == "RGB" else image.convert("RGB")
    raise ImageError(
        f"'{path}' must be grey, RGB, RGBA, CMYK, palette or 16-bit grey, got Pillow mode "
        f"'{image.mode}'. Convert it to an 8-bit PNG."
    )


def _deep_to_rgb(image: Image.Image, path: Path | str) -> Image.Image:
    values = np.array(image).astype(np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise ImageError(
            f"'{path}' must hold 16-bit values, got {values.min()} to {values.max()}. Scale it to "
            "0..65535 or to 8 bits."
        )
    # 257 maps 65535 on 255 exactly; the 128 rounds.
    grey = ((values + 128) // 257).astype(np.uint8)
    return Image.fromarray(grey).convert("RGB")


def _indices(image: ImageFile.ImageFile, path: Path) -> Integer[np.ndarray, "h w"]:
    _refuse_lossy(image, path)
    if image.mode in _DEEP_MODES:
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
