"""Image files of the kinds that users have: EXIF-turned, CMYK, 16-bit, transparent, damaged."""

import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

ORIENTATION_TAG = 0x0112


def gradient(size: tuple[int, int] = (12, 20)) -> np.ndarray:
    """Draw a smooth RGB image that no turn or mirror leaves as it is."""
    rows, columns = np.mgrid[: size[0], : size[1]].astype(float)
    red, green = 255 * rows / size[0], 255 * columns / size[1]
    return np.stack([red, green, np.full(size, 90.0)], -1).astype(np.uint8)


def write_exif_turned(path: Path, upright: np.ndarray, orientation: int) -> None:
    """Store an image turned, with the EXIF tag that says how to turn it back."""
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: upright.transpose(1, 0, 2)[::-1, ::-1],
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = orientation
    Image.fromarray(np.ascontiguousarray(stored)).save(path, exif=exif)


def write_grey_png(path: Path, values: np.ndarray, bits: int) -> None:
    """Write a grey PNG of 2, 4, 8 or 16 bits, byte by byte: Pillow writes only some of them."""
    height, width = values.shape
    planes = (values[..., None].astype(np.int64) >> np.arange(bits - 1, -1, -1)) & 1
    rows = np.packbits(planes.reshape(height, width * bits).astype(np.uint8), axis=1)
    raw = b"".join(b"\0" + row.tobytes() for row in rows)
    header = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(raw)), (b"IEND", b""))
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
            for kind, data in chunks
        )
    )


def write_truncated(path: Path, image: np.ndarray) -> None:
    """Write the first half of an image file; the suffix says which kind."""
    Image.fromarray(image).save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
