"""What the server accepts, and how it says no."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from parsenet.errors import ConfigError, ParseNetError


@dataclass(frozen=True)
class Limits:
    """What a single request may cost; anything beyond is refused with a sentence."""

    megabytes: int = 32
    """Size of an uploaded file, in MiB; counted while it arrives."""
    megapixels: int = 50
    """Size of the image in it, in millions of pixels; read from its header, before decoding."""
    queue: int = 4
    """Requests that may wait while one is answered; further ones get 503."""
    upload_seconds: float = 60.0
    """Time that an upload may take."""
    answer_seconds: float = 600.0
    """Time that a request may wait and be worked on once it is there."""

    def __post_init__(self) -> None:
        # 178 megapixels is where Pillow refuses an image by itself.
        for name, low, high in (("megabytes", 1, 1024), ("megapixels", 1, 178), ("queue", 0, 64)):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigError(f"`{name}` must be in {low}..{high}, got {value}.")

    @property
    def num_bytes(self) -> int:
        """Bytes of the largest upload."""
        return self.megabytes * 2**20


class Refusal(ParseNetError):
    """A request that is answered with a sentence and a status other than 200.

    Args:
        status: HTTP status.
        message: the sentence.
        headers: what the answer carries besides.
    """

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers or {}
