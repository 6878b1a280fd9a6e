"""Pixels of the plainest PNG, the one that labels are stored in, in half the time of Pillow."""

from __future__ import annotations

import struct
import zlib

import numpy as np
from jaxtyping import UInt8

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, _PALETTE = 0, 3


def decode_plain_png(data: bytes) -> UInt8[np.ndarray, "h w"] | None:
    """Decode a PNG of one byte per pixel, rows neither interlaced nor filtered.

    Labels are such files as a rule, for filters help photographs only. Decoding is then
    decompressing; the general way takes more than twice as long (`benchmarks/data.py`).

    Args:
        data: the whole file.

    Returns:
        the stored numbers (palette indices or grey levels), or None for any other file, broken
        ones included: Pillow reads it, or knows what is wrong.

    Source: PNG specification, third edition, sections 5, 9 and 10.
    """
    if data[:8] != _SIGNATURE or data[12:16] != b"IHDR" or len(data) < 33:
        return None
    width, height, bits, kind, compression, filtering, interlace = struct.unpack_from(
        ">IIBBBBB", data, 16
    )
    plain = (bits, compression, filtering, interlace) == (8, 0, 0, 0)
    if not plain or kind not in (_GREY, _PALETTE):
        return None
    packed = _join_data(data)
    if packed is None:
        return None
    num_bytes = height * (width + 1)  # a byte before each row names its filter
    unpacker = zlib.decompressobj()
    try:
        raw = unpacker.decompress(packed, num_bytes)
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
