import re

import numpy as np
import pytest
import torch
from PIL import Image

from parsenet.errors import ImageError
from parsenet.inference.predictor import Predictor
from parsenet.models.checkpoint import save_network
from parsenet.taxonomy import SHAPES
from tests.inference.conftest import NETWORK


def drawn(size, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (33, 64)])
def test_label_is_as_large_as_the_picture(predictor, size):
    assert predictor(drawn(size)).shape == size


def test_label_is_the_class_of_the_largest_score(predictor):
    image = drawn((45, 62))
    with torch.no_grad():
        logits = predictor.network(torch.from_numpy(image).permute(2, 0, 1)[None].float())
    expected = logits.argmax(dim=1)[0].numpy()

    label = predictor(image)

    # On a CPU with bfloat16 units the scores are rounded.
    assert (label == expected).mean() > (0.999 if predictor.precision == "32-true" else 0.97)


def test_random_network_of_these_tests_sees_more_than_one_class(predictor):
    assert len(np.unique(predictor(drawn((45, 62))))) > 1


def test_file_gives_the_label_of_its_pixels(predictor, write_picture):
    path = write_picture("a.png")
    with Image.open(path) as picture:
        pixels = np.array(picture)

    np.testing.assert_array_equal(predictor(path), predictor(pixels))


def test_file_name_as_text_is_a_file(predictor, write_picture):
    path = write_picture("a.png")

    np.testing.assert_array_equal(predictor(str(path)), predictor(path))


def test_pillow_picture_gives_the_label_of_its_pixels(predictor):
    image = drawn((21, 34))

    np.testing.assert_array_equal(predictor(Image.fromarray(image)), predictor(image))


def test_grey_pillow_picture_is_read_as_three_equal_channels(predictor):
    grey = drawn((21, 34))[..., 0]

    label = predictor(Image.fromarray(grey))

    np.testing.assert_array_equal(label, predictor(np.stack([grey] * 3, axis=-1)))


def test_mirrored_view_of_an_array_is_taken_as_it_looks(predictor):
    image = drawn((21, 34))

    np.testing.assert_array_equal(predictor(image[:, ::-1]), predictor(image[:, ::-1].copy()))


def test_picture_is_left_alone(predictor):
    image = drawn((21, 34))

    predictor(image)

    np.testing.assert_array_equal(image, drawn((21, 34)))


def test_second_call_gives_the_same_label(predictor):
    np.testing.assert_array_equal(predictor(drawn((21, 34))), predictor(drawn((21, 34))))


def test_loaded_predictor_gives_the_same_label(predictor, tmp_path):
    save_network(tmp_path / "model.safetensors", predictor.network, NETWORK, SHAPES)

    loaded = Predictor.load(tmp_path / "model.safetensors", "cpu")

    np.testing.assert_array_equal(loaded(drawn((21, 34))), predictor(drawn((21, 34))))


def test_loaded_predictor_knows_its_classes(predictor, tmp_path):
    save_network(tmp_path / "model.safetensors", predictor.network, NETWORK, SHAPES)

    assert Predictor.load(str(tmp_path / "model.safetensors"), "cpu").taxonomy == SHAPES


@pytest.mark.parametrize("mode", ["RGBA", "I;16", "LA"])
def test_pillow_picture_that_would_lose_something_is_refused(predictor, mode):
    message = (
        f"`image` must be of Pillow mode RGB, L, P, 1 or CMYK, got {mode}. Give the file's path, "
        "which lays transparency over white and scales 16 bits, or convert it."
    )

    with pytest.raises(ImageError, match=f"^{re.escape(message)}$"):
        predictor(Image.new(mode, (4, 3)))


def test_empty_array_is_refused(predictor):
    message = (
        "`image` must be an array of uint8 RGB values (height, width, 3), got uint8 (0, 4, 3). "
        "Scale to [0, 255] and repeat a grey channel."
    )

    with pytest.raises(ImageError, match=f"^{re.escape(message)}$"):
        predictor(np.zeros((0, 4, 3), np.uint8))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_label_on_cuda_equals_label_on_cpu(predictor, tmp_path):
    save_network(tmp_path / "model.safetensors", predictor.network, NETWORK, SHAPES)
    on_gpu = Predictor.load(tmp_path / "model.safetensors", "cuda")

    agreement = (on_gpu(drawn((45, 62))) == predictor(drawn((45, 62)))).mean()

    assert agreement > 0.97  # bfloat16 rounds the scores
