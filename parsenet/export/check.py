"""Does an exported file say what its network says? Labels compared pixel by pixel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from rich.console import Console
from rich.progress import track
from torch import Tensor

from parsenet.data.labels import read_mask
from parsenet.data.reading import is_image, read_image
from parsenet.errors import DataNotFoundError
from parsenet.inference.predictor import Predictor
from parsenet.inference.segmenter import Box, Segmenter
from parsenet.metrics.counting import count
from parsenet.metrics.scores import scores

_SIZES = ((97, 131), (64, 200), (33, 49))
"""(height, width) that images are brought to: odd, even and flat, small."""
_MOST_PIXELS = 2**20
"""Larger images are shrunk: checking looks at whole images, and memory has an end."""
_EVERYWHERE = Box(-np.inf, np.inf, -np.inf, np.inf)

Images = UInt8[Tensor, "_ 3 _ _"]


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


def find_images(folder: Path, option: str, num: int | None = None) -> list[Path]:
    """List the images of a folder and its subfolders, `num` of them spread evenly.

    Raises:
        DataNotFoundError: there are none; the message calls the folder `option`.
    """
    found = sorted(path for path in folder.rglob("*") if is_image(path))
    if not found:
        raise DataNotFoundError(
            f"`{option}` must be a folder of images, got none in '{folder}'. Check its name."
        )
    num = min(num or len(found), len(found))
    return [found[i * len(found) // num] for i in range(num)]


def find_labelled(images: Path, labels: Path) -> list[tuple[Path, Path]]:
    """Match the images of a folder with true label maps of their names; others are left out.

    Raises:
        DataNotFoundError: there are no images, or none has a label map.
    """
    masks = {path.stem: path for path in sorted(labels.rglob("*")) if is_image(path)}
    found = find_images(images, "images")
    pairs = [(path, masks[path.stem]) for path in found if path.stem in masks]
    if not pairs:
        raise DataNotFoundError(
            f"`labels` must hold label maps named like the images in '{images}', got none in "
            f"'{labels}'. Check the folders."
        )
    return pairs


def read_small(path: Path) -> Images:
    """Read an image, shrunk to a megapixel where it has more."""
    image = torch.from_numpy(np.array(read_image(path))).permute(2, 0, 1)[None]
    height, width = image.shape[2:]
    share = min(1.0, (_MOST_PIXELS / (height * width)) ** 0.5)
    return _resize(image, (max(1, int(height * share)), max(1, int(width * share))))


def draw_images(num: int) -> list[Images]:
    """Draw soft blobs of random colours, 240 x 321, for want of photographs."""
    coarse = np.random.default_rng(0).integers(0, 256, (num, 1, 3, 24, 32), np.uint8)
    return [_resize(image, (240, 321)) for image in torch.from_numpy(coarse)]


def compare(reference: Segmenter, exported: Segmenter, images: Sequence[Images]) -> list[Agreement]:
    """Label images twice: at their own size and others, two at once, and as windows.

    Args:
        reference: the network.
        exported: the same, in another form.
        images: what to label.

    Returns:
        a line for each kind of image.
    """
    cases = {"own size": list(images)}
    cases |= {f"{h} x {w}": [_resize(image, (h, w)) for image in images] for h, w in _SIZES}
    first, one = list(cases.items())[1]
    other = [*one[1:], one[0]]
    cases[f"{first}, two at once"] = [torch.cat(pair) for pair in zip(one, other, strict=True)]
    found = [_compare(what, reference, exported, batches) for what, batches in cases.items()]
    if reference.has_context:
        # As a window of a larger image: the context is that of something else.
        what, contexts = f"{first}, context given", [image.flip(2) for image in other]
        found.append(_compare(what, reference, exported, one, contexts))
    return found


def _compare(
    what: str,
    reference: Segmenter,
    exported: Segmenter,
    batches: Sequence[Images],
    contexts: Sequence[Images] = (),
) -> Agreement:
    pixels, same, difference = 0, 0, 0.0
    for i, images in enumerate(batches):
        both = []
        for segmenter in (reference, exported):
            pool6 = None
            if contexts:
                total, number = segmenter.pool6_sum(contexts[i], _EVERYWHERE)
                pool6 = total / number
            both.append(torch.cat(list(segmenter.bands(images, pool6)), 2))
        expected, found = both
        pixels += expected[:, 0].numel()
        # Of nan, argmax would make the class 0.
        same += int(((expected.argmax(1) == found.argmax(1)) & found.isfinite().all(1)).sum())
        difference = float(np.maximum(difference, float((expected - found).abs().max())))
    return Agreement(what, pixels, same, difference)


def score_both(
    reference: Segmenter, exported: Segmenter, pairs: Sequence[tuple[Path, Path]]
) -> dict[str, float]:
    """Score both on images and their true label maps, at their own size.

    Returns:
        mean IoU of `checkpoint` and `file`, and the number of `images`.
    """
    taxonomy = reference.taxonomy
    counts = np.zeros((2, taxonomy.num_classes, taxonomy.num_classes), np.int64)
    for path, mask in track(pairs, "Scoring", console=Console(stderr=True), transient=True):
        image, truth = read_image(path), read_mask(mask, taxonomy)
        for i, segmenter in enumerate((reference, exported)):
            label = Predictor(segmenter, taxonomy)(image)
            counts[i] += count(label, truth, taxonomy.num_classes, taxonomy.void)
    before, after = (scores(matrix).mean_iou for matrix in counts)
    return {"images": float(len(pairs)), "checkpoint": before, "file": after}


def _resize(images: Images, size: tuple[int, int]) -> Images:
    """Bring images to (height, width)."""
    resized = [
        np.asarray(Image.fromarray(x).resize(size[::-1], Image.Resampling.BILINEAR))
        for x in images.permute(0, 2, 3, 1).numpy()
    ]
    return torch.from_numpy(np.stack(resized)).permute(0, 3, 1, 2)
