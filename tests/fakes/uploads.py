"""Uploads as bytes: whole images of every format, and the broken ones that come in."""

import io
import struct
import zlib

import numpy as np
from PIL import Image


def image_bytes(kind="PNG", size=(21, 34), seed=0, mode="RGB"):
    """Encode a random image of (height, width)."""
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(buffer, kind)
    return buffer.getvalue()


def png_chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_bomb(width, height, whole=False):
    """A few kilobytes that claim, and if `whole` hold, an image of any size."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    packer = zlib.compressobj(9)
    rows = height if whole else 1
    row = bytes(min(width, 10_000) + 1)
    packed = b"".join(packer.compress(row) for _ in range(rows)) + packer.flush()
    return (
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", header)
        + png_chunk(b"IDAT", packed)
        + png_chunk(b"IEND", b"")
    )


def text_bomb():
    """A PNG whose compressed comment unfolds to 80 MB."""
    packed = zlib.compress(bytes(80_000_000), 9)
    whole = image_bytes()
    return whole[:33] + png_chunk(b"zTXt", b"comment\0\0" + packed) + whole[33:]


def broken_exif():
    """A JPEG whose EXIF block is rubbish from the tag count on."""
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    Image.new("RGB", (20, 10)).save(buffer, "JPEG", exif=exif)
    data = bytearray(buffer.getvalue())
    at = data.index(b"Exif\0\0") + 14
    data[at : at + 2] = b"\xff\xff"
    return bytes(data)


def broken_uploads():
    """List (name, bytes) of uploads that must be refused, none of which may end the server."""
    uploads = []
    for kind in ("PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP"):
        whole = image_bytes(kind)
        uploads += [(f"half a {kind}", whole[: len(whole) // 2])]
        uploads += [(f"only the start of a {kind}", whole[:12])]
    bmp = struct.pack("<IHHIIiiHHIIiiII", 70, 0, 0, 54, 40, -5, 5, 1, 24, 0, 16, 0, 0, 0, 0)
    return [
        *uploads,
        ("nothing", b""),
        ("one byte", b"\xff"),
        ("text", b"hello, I am an image"),
        ("a web page", b"<!doctype html><script>alert(1)</script>"),
        ("an SVG", b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'),
        ("a PDF", b"%PDF-1.7\n" + bytes(100)),
        ("PostScript", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n"),
        ("a zip", b"PK\x03\x04" + bytes(60)),
        ("a claim of four gigapixels", png_bomb(65_000, 65_000)),
        ("a claim of two billion columns", png_bomb(2**31 - 1, 1)),
        ("a claim of no columns", png_bomb(0, 5)),
        ("a GIF of 65,535 x 65,535", b"GIF89a\xff\xff\xff\xff\x00\x00\x00;"),
        ("a BMP with a negative width", b"BM" + bmp),
        ("a PPM that lies about its size", b"P6 4000 4000 255\nabc"),
    ]
