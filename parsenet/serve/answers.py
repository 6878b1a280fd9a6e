"""What the server says about an image: areas by class, and the maps as PNG inside JSON."""

from __future__ import annotations

import time
from base64 import b64encode
from dataclasses import dataclass
from threading import Event
from typing import Any

import numpy as np
from jaxtyping import UInt8

from parsenet.inference.drawing import blend, measure_areas
from parsenet.inference.predictor import Prediction
from parsenet.serve.images import decode_image, encode_grey, encode_label, encode_photo
from parsenet.serve.limits import Limits, Refusal
from parsenet.serve.models import ServedModel, hex_colour
from parsenet.serve.turns import check_wanted
from parsenet.taxonomy import Taxonomy

FORMS = {"json": "application/json", "mask": "image/png", "overlay": "image/jpeg"}
"""What an answer can be, and its content type."""

_OPACITY = 0.5


@dataclass(frozen=True)
class Wish:
    """What a request asks for."""

    form: str = "json"
    """One of `FORMS`."""
    uncertainty: bool = False
    """Add the map of uncertainty."""
    image: bool = False
    """Add the image as it was read, for programs that cannot decode its format."""


def answer(
    data: bytes, model: ServedModel, wish: Wish, limits: Limits, stop: Event
) -> bytes | dict[str, Any]:
    """Label an uploaded image.

    Args:
        data: the uploaded file.
        model: what labels it.
        wish: what is wanted.
        limits: what is accepted.
        stop: looked at between the windows of a large image.

    Returns:
        a record for JSON, or the bytes of an image.

    Raises:
        Refusal: the upload is no image, is too large, or does not fit in memory; or nobody waits
            for the answer any more.
    """
    image = decode_image(data, limits)
    start = time.perf_counter()
    prediction = _predict(image, model, wish.uncertainty, stop)
    seconds = time.perf_counter() - start
    taxonomy = model.predictor.taxonomy
    if wish.form == "mask":
        return encode_label(prediction.label, taxonomy)
    if wish.form == "overlay":
        return encode_photo(blend(image, prediction.label, taxonomy, _OPACITY))
    height, width = prediction.label.shape
    return {
        "model": {"index": model.index, "name": model.name},
        "width": width,
        "height": height,
        "seconds": round(seconds, 3),
        "classes": areas(prediction.label, taxonomy),
        "label": b64encode(encode_label(prediction.label, taxonomy)).decode(),
        **_uncertainty(prediction),
        "image": b64encode(encode_photo(image)).decode() if wish.image else None,
    }


def areas(label: UInt8[np.ndarray, "h w"], taxonomy: Taxonomy) -> list[dict[str, Any]]:
    """Return name, colour, pixels and share (in [0, 1]) of each class that is there, largest first.

    Args:
        label: class indices.
        taxonomy: gives names and colours.
    """
    return [
        {
            "index": index,
            "name": taxonomy.names[index],
            "colour": hex_colour(taxonomy, index),
            "pixels": pixels,
            "share": pixels / label.size,
        }
        for index, pixels in measure_areas(label).items()
    ]


def _predict(
    image: UInt8[np.ndarray, "h w 3"], model: ServedModel, entropy: bool, stop: Event
) -> Prediction:
    check_wanted(stop)
    try:
        return model.predictor.predict(
            [image], entropy=entropy, progress=lambda done, total: check_wanted(stop)
        )[0]
    except (MemoryError, RuntimeError) as error:
        # Torch reports memory that it did not get as RuntimeError, in the words of each device.
        if isinstance(error, RuntimeError) and "memory" not in str(error).lower():
            raise
        raise Refusal(
            413,
            f"The image must fit into memory, got {image.shape[1]} x {image.shape[0]} pixels. "
            "Make it smaller.",
        ) from error


def _uncertainty(prediction: Prediction) -> dict[str, Any]:
    if prediction.entropy is None:
        return {"uncertainty": None, "mean_uncertainty": None}
    return {
        "uncertainty": b64encode(encode_grey(prediction.entropy)).decode(),
        "mean_uncertainty": float(prediction.entropy.mean(dtype=np.float64)),
    }
