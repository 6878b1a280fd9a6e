"""Uploaded bytes to pixels, and label maps to bytes; nothing touches the disk."""

from __future__ import annotations

import io
import warnings
import zlib
from functools import cache

import numpy as np
from jaxtyping import Float32, UInt8
from PIL import Image, UnidentifiedImageError

from parsenet.data.reading import upright_rgb
from parsenet.errors import ImageError
from parsenet.serve.limits import Limits, Refusal
from parsenet.taxonomy import Taxonomy

# What images come in. Left out is what Pillow hands to other programs (EPS to Ghostscript) and
# what nobody photographs, so that odd decoders never see an upload.
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF")
_JPEG_QUALITY = 90


@cache
def formats() -> tuple[str, ...]:
    """Return the formats that an upload may have, by Pillow's names; older ones lack AVIF."""
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


def decode_image(data: bytes, limits: Limits) -> UInt8[np.ndarray, "h w 3"]:
    """Decode an upload as RGB in [0, 255], upright; of an animation the first frame.

    Args:
        data: the file.
        limits: how many pixels it may have; the header tells, before anything is decoded.

    Raises:
        Refusal: it is no image, of another format, damaged, or too large.
    """
    if not data:
        raise Refusal(400, "The image must not be empty, got 0 bytes. Send the file's bytes.")
    try:
        with warnings.catch_warnings():
            # Our own limit is stricter than the size at which Pillow warns.
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=formats()) as image:
                _check_size(image.size, limits)
                return upright_rgb(image, "upload")
    except UnidentifiedImageError:
        raise Refusal(
            415, f"The upload must be an image ({', '.join(formats())}), got something else."
        ) from None
    except Image.DecompressionBombError:
        raise Refusal(413, _too_large("far more", limits)) from None
    except ImageError as error:
        raise Refusal(415, str(error)) from None
    except Refusal:
        raise
    # Damaged files make decoders fail in every way there is.
    except Exception as error:
        raise Refusal(
            400, f"The image must be whole, got '{error}'. Copy or export it again."
        ) from None


def _check_size(size: tuple[int, int], limits: Limits) -> None:
    num_pixels = size[0] * size[1]
    if num_pixels > limits.megapixels * 10**6:
        raise Refusal(413, _too_large(f"{size[0]} x {size[1]}", limits))


def _too_large(got: str, limits: Limits) -> str:
    return (
        f"The image must have at most {limits.megapixels} million pixels, got {got}. Make it "
        "smaller, or start the server with a larger `--megapixels`."
    )


def encode_label(label: UInt8[np.ndarray, "h w"], taxonomy: Taxonomy) -> bytes:
    """Encode a label map as a palette PNG: 8 bits per pixel, the class indices."""
    image = Image.fromarray(label)
    image.putpalette(taxonomy.pillow_palette())
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_type=zlib.Z_RLE)  # labels are runs of equal values
    return buffer.getvalue()


def encode_grey(values: Float32[np.ndarray, "h w"]) -> bytes:
    """Encode numbers in [0, 1] as a grey PNG of 8 bits; 255 is 1."""
    return _encode(Image.fromarray(np.rint(values.clip(0, 1) * 255).astype(np.uint8)), "PNG")


def encode_photo(image: UInt8[np.ndarray, "h w 3"]) -> bytes:
    """Encode an image, RGB in [0, 255], as JPEG."""
    return _encode(Image.fromarray(image), "JPEG")


def _encode(image: Image.Image, kind: str) -> bytes:
    buffer = io.BytesIO()
    if kind == "JPEG":
        image.save(buffer, kind, quality=_JPEG_QUALITY)
    else:
        image.save(buffer, kind)
    return buffer.getvalue()
