"""Writing files whole or not at all."""

import uuid
from pathlib import Path


def write_bytes_atomically(path: Path, data: bytes) -> None:
    """Write a file so that nobody ever sees half of it; missing folders are made.

    The bytes go to a hidden name in the same folder, which then takes the file's place in one
    step. An interruption, Ctrl-C included, leaves the old file or none.

    Args:
        path: file to write; an existing one is replaced.
        data: what it will hold.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        part.write_bytes(data)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
