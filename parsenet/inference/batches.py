"""Images of equal size together, as far as a look ahead finds them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from parsenet.inference.frames import AHEAD_PIXELS, Frame

_AHEAD = 4
"""Batches' worth of images that may wait for others of their size."""

_AUTO_PIXELS = 8 * 2**20
_AUTO_MOST = 32


def form_batches(
    frames: Iterable[Frame], size: int | None, device_type: str
) -> Iterator[list[Frame]]:
    """Group images by size; a group goes when it is full, or when it has waited too long.

    Which images go together depends on their order alone, never on how fast they were read: on
    some hardware an image's scores differ in the last digit with its company, and a run must
    give the same labels twice.

    Args:
        frames: with images, all of them.
        size: images in a batch, None to choose: one on a CPU, where more gain nothing, else as
            many as make 8 megapixels, up to 32.
        device_type: where the network runs, such as `cpu`.
    """
    groups: dict[tuple[int, ...], list[Frame]] = {}
    count = pixels = 0
    for frame in frames:
        assert frame.image is not None
        most = size or _choose_size(frame.pixels, device_type)
        group = groups.setdefault(frame.image.shape, [])
        group.append(frame)
        count, pixels = count + 1, pixels + frame.pixels
        while groups and (len(group) >= most or count > _AHEAD * most or pixels > AHEAD_PIXELS):
            # A full group goes first, otherwise the one that has waited longest.
            key = frame.image.shape if len(group) >= most else next(iter(groups))
            batch = groups.pop(key)
            count, pixels = count - len(batch), pixels - sum(x.pixels for x in batch)
            group = groups.get(frame.image.shape, [])
            yield batch
    yield from groups.values()


def _choose_size(pixels: int, device_type: str) -> int:
    return 1 if device_type == "cpu" else max(1, min(_AUTO_MOST, _AUTO_PIXELS // max(1, pixels)))
