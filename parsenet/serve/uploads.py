"""Requests to bytes: raw or as a form, counted while they arrive, never written to disk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from parsenet.serve.limits import Limits, Refusal

_FORM_BYTES = 2**16
"""What the frame of a form may add to the file in it."""
_MAX_FIELDS = 8
_KINDS = frozenset({
    "",
    "application/octet-stream",
    "application/x-www-form-urlencoded",  # what `curl --data-binary` says unless told otherwise
    "multipart/form-data",
})


async def read_upload(request: Request, limits: Limits) -> bytes:
    """Read the image of a request: its body, or the file of a `multipart/form-data` form.

    Args:
        request: its body has not been read.
        limits: bytes, and seconds that they may take.

    Raises:
        Refusal: it is too large, too slow, broken off, or a form without a file.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not kind.startswith("image/") and kind not in _KINDS:
        raise Refusal(
            415,
            f"The content type must be an image's or multipart/form-data, got '{kind[:80]}'. Send "
            "the image's bytes with `Content-Type: image/jpeg`.",
        )
    try:
        async with asyncio.timeout(limits.upload_seconds):
            if kind == "multipart/form-data":
                return await _read_form(request, limits)
            return b"".join([chunk async for chunk in _counted(request, limits, 0)])
    except TimeoutError:
        raise Refusal(
            408,
            f"The upload must take at most {limits.upload_seconds:g} seconds, got no end in that "
            "time. Send a smaller file.",
        ) from None
    except ClientDisconnect:
        raise Refusal(
            499, "The upload must be whole, got a closed connection. Send it again."
        ) from None


async def _counted(request: Request, limits: Limits, extra: int) -> AsyncGenerator[bytes, None]:
    """Yield the body and stop at the limit, whatever the length that the header claims."""
    largest = limits.num_bytes + extra
    claimed = request.headers.get("content-length", "")
    if claimed.isdecimal() and int(claimed) > largest:
        raise _too_large(limits)
    total = 0
    async for chunk in request.stream():
        total += len(chunk)
        if total > largest:
            raise _too_large(limits)
        yield chunk


async def _read_form(request: Request, limits: Limits) -> bytes:
    stream = _counted(request, limits, _FORM_BYTES)
    parser = MultiPartParser(
        request.headers, stream, max_files=1, max_fields=_MAX_FIELDS, max_part_size=1024
    )
    parser.spool_max_size = limits.num_bytes + _FORM_BYTES + 1  # never spilled into a file
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise Refusal(400, f"The form must be valid multipart data, got: {error.message}") from None
    try:
        for value in form.values():
            if isinstance(value, UploadFile):
                data = await value.read()
                if len(data) > limits.num_bytes:
                    raise _too_large(limits)
                return data
    finally:
        await form.close()
    raise Refusal(400, "The form must hold a file, got none. With curl use `-F image=@photo.jpg`.")


def _too_large(limits: Limits) -> Refusal:
    return Refusal(
        413,
        f"The upload must have at most {limits.megabytes} MiB, got more. Make it smaller, or start "
        "the server with a larger `--megabytes`.",
        {"Connection": "close"},
    )
