"""Does an exported file say what its network says? Labels compared pixel by pixel."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8
from rich.console import Console
from rich.progress import Progress
from torch import Tensor

from parsenet.errors import ExportError
from parsenet.export.images import Pixels, resize
from parsenet.inference.segmenter import Box, Segmenter

LEAST_SHARE = 0.9999
"""Pixels whose labels must be equal; the others are ties that rounding decides."""

_SIZES = ((97, 131), (64, 200), (33, 49))
"""(height, width) that images are brought to: odd, even and flat, small."""

_EVERYWHERE = Box(-np.inf, np.inf, -np.inf, np.inf)


@dataclass(frozen=True)
class Agreement:
    """What became of some images' labels."""

    what: str
    """Which images, such as `97 x 131`."""
    pixels: int
    """Pixels compared."""
    same: int
    """Those with equal labels."""
    difference: float
    """Largest difference of a class score."""

    @property
    def share(self) -> float:
        """Share of pixels with equal labels."""
        return self.same / self.pixels


def compare(reference: Segmenter, exported: Segmenter, images: Sequence[Pixels]) -> list[Agreement]:
    """Label images twice: at their own size and others, two at once, and as windows.

    Args:
        reference: the network.
        exported: the same, in another form.
        images: what to label.

    Returns:
        a line for each kind of image.
    """
    cases = list(_cases(images))
    found = []
    with Progress(console=Console(stderr=True), transient=True) as bar:
        for what, batches in bar.track(cases, description="Checking"):
            found.append(_compare(what, reference, exported, batches, None))
        if reference.has_context:
            # As a window of a larger image: the context is that of something else.
            what, batches = cases[1]
            found.append(_compare(f"{what}, context given", reference, exported, batches, batches))
    return found


def refuse_disagreement(agreements: Sequence[Agreement], name: str) -> None:
    """Refuse a file that gives other labels.

    Raises:
        ExportError: fewer than 99.99 % of the pixels of one kind of image have equal labels.
    """
    worst = min(agreements, key=lambda agreement: agreement.share)
    if worst.share < LEAST_SHARE:
        raise ExportError(
            f"'{name}' must label at least {100 * LEAST_SHARE:.2f} % of pixels as the checkpoint "
            f"does, got {100 * worst.share:.3f} % ({worst.what}). It was not written; try another "
            "`format`."
        )


def _cases(images: Sequence[Pixels]) -> Iterator[tuple[str, list[UInt8[Tensor, "n 3 h w"]]]]:
    yield "own size", [_batch([image]) for image in images]
    for size in _SIZES:
        name = f"{size[0]} x {size[1]}"
        yield name, [_batch([resize(image, size)]) for image in images]
    pairs = zip(images, [*images[1:], images[0]], strict=True)
    yield (
        f"{_SIZES[0][0]} x {_SIZES[0][1]}, two at once",
        [_batch([resize(image, _SIZES[0]) for image in pair]) for pair in pairs],
    )


def _batch(images: Sequence[Pixels]) -> UInt8[Tensor, "n 3 h w"]:
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)


def _compare(
    what: str,
    reference: Segmenter,
    exported: Segmenter,
    batches: Sequence[UInt8[Tensor, "_ 3 _ _"]],
    contexts: Sequence[UInt8[Tensor, "_ 3 _ _"]] | None,
) -> Agreement:
    pixels = same = 0
    difference = 0.0
    for i, images in enumerate(batches):
        context = None if contexts is None else contexts[i - 1].flip(2)
        expected, found = (_score(x, images, context) for x in (reference, exported))
        pixels += expected[:, 0].numel()
        # Of nan, argmax would make the class 0.
        same += int(((expected.argmax(1) == found.argmax(1)) & found.isfinite().all(1)).sum())
        difference = float(np.maximum(difference, float((expected - found).abs().max())))
    return Agreement(what, pixels, same, difference)


def _score(
    segmenter: Segmenter, images: UInt8[Tensor, "n 3 h w"], context: Tensor | None
) -> Float[Tensor, "n k h w"]:
    pool6 = None
    if context is not None:
        total, number = segmenter.pool6_sum(context.to(segmenter.device), _EVERYWHERE)
        pool6 = total / number
    return torch.cat(list(segmenter.bands(images.to(segmenter.device), pool6)), 2).cpu()
