"""The files that an image's results become: which there are, their names, what is in them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from parsenet.errors import ConfigError, suggest
from parsenet.inference.coco import CocoForm, encode_regions
from parsenet.inference.drawing import measure_areas
from parsenet.inference.frames import Frame
from parsenet.inference.predictor import Prediction
from parsenet.inference.sheet import write_thumbnail
from parsenet.inference.writers import (
    write_label,
    write_overlay,
    write_probabilities,
    write_share,
)
from parsenet.taxonomy import Taxonomy

KINDS = {
    "label": "NAME.png, class indices with the palette of the data set",
    "overlay": "overlay/NAME.jpg, the image under its labels with a legend",
    "probabilities": "probabilities/NAME.npz, of every class, as float16",
    "probability-maps": "probabilities/NAME/CLASS.png, grey, 255 for 1",
    "entropy": "entropy/NAME.png, grey, 255 where it is as good as guessing",
    "areas": "areas.csv and areas.json, pixels and share of each class",
    "coco": "coco.json, a COCO results file, and coco_images.json",
    "sheet": "sheet/01.png, ..., small overlays of all images",
    "video": "video/NAME.mp4, frames beside their overlays (of videos and cameras)",
}
"""What can be saved, and where it goes."""


@dataclass(frozen=True)
class SaveConfig:
    """Which files are written, and how they look."""

    kinds: tuple[str, ...] = ("label",)
    """Results of images, any of `KINDS`; `video` means nothing for them."""
    stream_kinds: tuple[str, ...] = ("video",)
    """Results of videos and cameras; all but `video` are of each frame."""
    opacity: float = 0.5
    """Of the colours in overlays: 0 shows the image alone, 1 the colours alone."""
    legend: bool = True
    """Add names and areas below overlays."""
    coco_form: CocoForm = "rle"
    """Regions of COCO results: `rle`, or `polygons` along the pixels' edges."""

    def __post_init__(self) -> None:
        for kind in (*self.kinds, *self.stream_kinds):
            if kind not in KINDS:
                raise ConfigError(
                    f"`save` must name known results, got '{kind}'. {suggest(kind, KINDS)}"
                )
        if not self.kinds or not self.stream_kinds:
            raise ConfigError("`save` must name at least one result, got none. Use `label`.")
        if not 0 <= self.opacity <= 1:
            raise ConfigError(
                f"`overlay` must be in [0, 1], got {self.opacity}. Half and half is 0.5."
            )

    def kinds_of(self, is_stream: bool) -> frozenset[str]:
        """Return what is saved of an image, or of a video or camera."""
        return frozenset(self.stream_kinds) if is_stream else frozenset(self.kinds) - {"video"}

    def wants(self, *kinds: str) -> bool:
        """Tell whether any of these kinds is saved of anything."""
        return bool({*self.kinds, *self.stream_kinds} & {*kinds})

    @property
    def needs_probabilities(self) -> bool:
        """Whether the network has to give the probability of every class."""
        return self.wants("probabilities", "probability-maps")


class ResultFolder:
    """The folder of a run's results.

    Args:
        path: the folder.
        taxonomy: gives names and colours.
        config: what is written.
    """

    def __init__(self, path: Path, taxonomy: Taxonomy, config: SaveConfig) -> None:
        self.path = path
        self.taxonomy = taxonomy
        self.config = config

    def files(self, kind: str, name: str) -> list[Path]:
        """Return the files of one kind that belong to one image."""
        if kind == "probability-maps":
            folder = self.path / "probabilities" / name
            classes = enumerate(self.taxonomy.names)
            return [folder / f"{index:03d}_{_plain(title)}.png" for index, title in classes]
        places = {
            "label": f"{name}.png",
            "overlay": f"overlay/{name}.jpg",
            "probabilities": f"probabilities/{name}.npz",
            "entropy": f"entropy/{name}.png",
            "sheet": f"thumbnails/{name}.jpg",
            "video": f"video/{name}.mp4",
        }
        return [self.path / places[kind]] if kind in places else []

    def key(self, kind: str) -> str | None:
        """Return what an entry of the journal must tell for a kind that is one file for all."""
        return {"areas": "areas", "coco": self.config.coco_form}.get(kind)

    def write(self, kind: str, frame: Frame, prediction: Prediction) -> None:
        """Write one kind of result of one image; kinds that are one file for all do nothing."""
        image, label = frame.image, prediction.label
        assert image is not None
        paths = self.files(kind, frame.name)
        if kind == "label":
            write_label(paths[0], label, self.taxonomy)
        elif kind == "overlay":
            write_overlay(
                paths[0], image, label, self.taxonomy, self.config.opacity, self.config.legend
            )
        elif kind == "sheet":
            write_thumbnail(paths[0], image, label, self.taxonomy, self.config.opacity)
        elif kind == "entropy" and prediction.entropy is not None:
            write_share(paths[0], prediction.entropy)
        elif kind == "probabilities" and prediction.probabilities is not None:
            write_probabilities(paths[0], prediction.probabilities, self.taxonomy)
        elif kind == "probability-maps" and prediction.probabilities is not None:
            for path, values in zip(paths, prediction.probabilities, strict=True):
                write_share(path, values)

    def describe(self, frame: Frame, prediction: Prediction) -> dict[str, Any]:
        """Return what the journal keeps of an image."""
        entry = {
            "name": frame.name,
            "source": str(frame.source.path),
            "file": frame.source.file,
            "size": list(prediction.label.shape),
            "areas": measure_areas(prediction.label),
        }
        if self.config.wants("coco"):
            form = self.config.coco_form
            entry[form] = encode_regions(
                prediction.label, prediction.probabilities, self.taxonomy, form
            )
        return entry


def _plain(name: str) -> str:
    """Write a class name as part of a file name."""
    return re.sub(r"[^\w-]+", "_", name)
