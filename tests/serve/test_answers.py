import io
from base64 import b64decode
from threading import Event

import numpy as np
import pytest
import torch
from PIL import Image

from parsenet.config import InferenceConfig
from parsenet.inference.drawing import blend
from parsenet.inference.predictor import Predictor
from parsenet.serve.answers import Wish, answer, areas
from parsenet.serve.images import decode_image, encode_photo
from parsenet.serve.limits import Limits, Refusal
from parsenet.serve.models import ServedModel
from parsenet.taxonomy import SHAPES
from tests.fakes.uploads import image_bytes

DATA = image_bytes(size=(21, 34))


def ask(model, wish=None, stop=None):
    return answer(DATA, model, wish or Wish(), Limits(), stop or Event())


def pixels(content):
    with Image.open(io.BytesIO(content)) as image:
        return np.array(image)


def expected_label(model):
    return model.predictor(decode_image(DATA, Limits()))


def test_areas_are_counted_and_sorted():
    label = np.array([[2, 2, 2, 0], [2, 1, 1, 0]], np.uint8)

    assert areas(label, SHAPES) == [
        {"index": 2, "name": "moon", "colour": "#5a78f0", "pixels": 4, "share": 0.5},
        {"index": 0, "name": "background", "colour": "#000000", "pixels": 2, "share": 0.25},
        {"index": 1, "name": "ball", "colour": "#e6503c", "pixels": 2, "share": 0.25},
    ]


def test_label_is_that_of_the_predictor(models):
    record = ask(models[0])

    np.testing.assert_array_equal(pixels(b64decode(record["label"])), expected_label(models[0]))
    assert (record["width"], record["height"]) == (34, 21)
    assert record["classes"] == areas(expected_label(models[0]), SHAPES)


def test_two_models_give_two_labels(models):
    assert ask(models[0])["label"] != ask(models[1])["label"]


def test_maps_that_nobody_asked_for_are_left_out(models):
    record = ask(models[0])

    assert [record[key] for key in ("uncertainty", "mean_uncertainty", "image")] == [None] * 3


def test_uncertainty_is_entropy_in_eight_bits(models):
    image = decode_image(DATA, Limits())
    entropy = models[0].predictor.predict([image], entropy=True)[0].entropy

    record = ask(models[0], Wish(uncertainty=True))

    np.testing.assert_allclose(
        pixels(b64decode(record["uncertainty"])) / 255, entropy, atol=1 / 255
    )
    assert record["mean_uncertainty"] == pytest.approx(float(entropy.mean()), abs=1e-6)


def test_image_comes_back_as_it_was_read(models):
    record = ask(models[0], Wish(image=True))

    assert pixels(b64decode(record["image"])).shape == (21, 34, 3)


def test_mask_is_the_label_alone(models):
    np.testing.assert_array_equal(pixels(ask(models[0], Wish("mask"))), expected_label(models[0]))


def test_overlay_is_the_blend_of_the_command(models):
    image = decode_image(DATA, Limits())
    expected = blend(image, expected_label(models[0]), SHAPES, 0.5)

    assert ask(models[0], Wish("overlay")) == encode_photo(expected)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_image_that_does_not_fit_into_memory_is_refused(error, models, monkeypatch):
    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(models[0].predictor, "predict", fail)

    with pytest.raises(Refusal) as caught:
        ask(models[0])

    assert (caught.value.status, str(caught.value)) == (
        413,
        "The image must fit into memory, got 34 x 21 pixels. Make it smaller.",
    )


def test_other_errors_of_the_network_are_ours(models, monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(models[0].predictor, "predict", fail)

    with pytest.raises(RuntimeError, match=r"^shapes do not match$"):
        ask(models[0])


def test_nobody_is_answered_who_does_not_wait(models):
    stop = Event()
    stop.set()

    with pytest.raises(Refusal) as caught:
        ask(models[0], stop=stop)

    assert caught.value.status == 499


def test_large_image_is_given_up_between_windows(checkpoints):
    class AfterTwoWindows(Event):
        looks = 0

        def is_set(self):
            self.looks += 1
            return self.looks > 3  # once before the first window

    config = InferenceConfig(window=32, overlap=8)
    predictor = Predictor.load(checkpoints[0], "cpu", "32-true", config)
    model = ServedModel(0, "windows", predictor)
    stop = AfterTwoWindows()

    with pytest.raises(Refusal) as caught:
        answer(image_bytes(size=(100, 100)), model, Wish(), Limits(), stop)

    assert (caught.value.status, stop.looks) == (499, 4)
