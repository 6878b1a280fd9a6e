import re

import numpy as np
import pytest
import torch
from PIL import Image

from parsenet.errors import ConfigError, ImageError
from parsenet.inference import predictor as module
from parsenet.inference.predictor import Predictor
from parsenet.models.checkpoint import save_network
from parsenet.taxonomy import SHAPES, Taxonomy
from tests.fakes.segmenter import COLOURS, ColourSegmenter, red_predictor
from tests.inference.conftest import NETWORK


def drawn(size, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


def test_label_is_the_class_of_the_largest_score(predictor):
    image = drawn((45, 62))
    with torch.no_grad():
        logits = predictor.segmenter.network(torch.from_numpy(image).permute(2, 0, 1)[None].float())
    expected = logits.argmax(dim=1)[0].numpy()

    label = predictor(image)

    # On a CPU with bfloat16 units the scores are rounded.
    assert (label == expected).mean() > (0.999 if predictor.precision == "32-true" else 0.97)


def test_path_text_pillow_image_and_pixels_give_the_same_label(predictor, write_image):
    path = write_image("a.png")
    with Image.open(path) as image:
        given = [path, str(path), image, np.array(image)]
        labels = [predictor(each) for each in given]
        together = predictor.batch(given)

    assert all((label == labels[0]).all() for label in labels)
    assert all((label == labels[0]).mean() > 0.98 for label in together)


def test_loaded_predictor_gives_the_same_label_and_knows_its_classes(predictor, tmp_path):
    save_network(tmp_path / "model.safetensors", predictor.segmenter.network, NETWORK, SHAPES)

    loaded = Predictor.load(str(tmp_path / "model.safetensors"), "cpu")

    np.testing.assert_array_equal(loaded(drawn((21, 34))), predictor(drawn((21, 34))))
    assert (loaded.name, loaded.taxonomy) == ("model.safetensors", SHAPES)
    assert loaded.record["taxonomy"]["name"] == "shapes"


def test_batch_gives_the_labels_of_its_images_in_their_order(predictor):
    images = [drawn(size, seed) for seed, size in enumerate([(9, 7), (8, 8), (9, 7), (1, 1)])]

    labels = predictor.batch(images)

    for image, label in zip(images, labels, strict=True):
        assert label.shape == image.shape[:2]
        assert (label == predictor(image)).mean() > 0.98  # other sums in a batch


def test_probabilities_are_those_of_the_scores():
    image = drawn((20, 9))
    scores = image.astype(float).transpose(2, 0, 1) / 32

    seen = Predictor(ColourSegmenter(), COLOURS).predict([image], probabilities=True)[0]

    expected = np.exp(scores) / np.exp(scores).sum(0)
    assert seen.probabilities.dtype == np.float16
    np.testing.assert_allclose(seen.probabilities, expected, atol=1e-3)


def test_entropy_is_nought_where_sure_and_one_where_torn():
    image = np.array([[[255, 0, 0], [7, 7, 7], [200, 200, 0]]], np.uint8)

    entropy = Predictor(ColourSegmenter(), COLOURS).predict([image], entropy=True)[0].entropy

    assert entropy.dtype == np.float32
    np.testing.assert_allclose(entropy, [[0.0, 1.0, np.log(2) / np.log(3)]], atol=0.03)


@pytest.mark.parametrize(
    ("num_classes", "kind"), [(21, np.uint8), (256, np.uint8), (459, np.uint16)]
)
def test_label_has_as_many_bits_as_its_classes_need(num_classes, kind):
    names = tuple(map(str, range(num_classes)))
    taxonomy = Taxonomy.from_dict({"names": names})
    image = np.array([[[255, 0, 0], [0, 0, 0], [128, 0, 0]]], np.uint8)

    label = red_predictor(taxonomy)(image)

    assert (label.dtype, label[0, 1]) == (kind, 0)
    assert label[0].tolist() == [255 * num_classes // 256, 0, 128 * num_classes // 256]


def test_probabilities_beyond_memory_are_refused(predictor, monkeypatch):
    monkeypatch.setattr(module, "free_memory", lambda: 2**30 // 10)
    image = np.broadcast_to(np.zeros(3, np.uint8), (40_000, 30_000, 3))
    message = (
        "`probabilities` must fit into the free memory of 0.1 GiB, got 11.2 GiB for 40000 x 30000 "
        "pixels and 5 classes. Leave them out, or cut the image."
    )

    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        predictor.predict([image], probabilities=True)


MODES = (
    "be of Pillow mode RGB, L, P, 1 or CMYK, got {}. Give the file's path, which lays transparency "
    "over white and scales 16 bits, or convert it."
)


@pytest.mark.parametrize(
    ("image", "rule"),
    [
        (Image.new("RGBA", (4, 3)), MODES.format("RGBA")),
        (Image.new("I;16", (4, 3)), MODES.format("I;16")),
        (
            np.zeros((0, 4, 3), np.uint8),
            "be an array of uint8 RGB values (height, width, 3), got uint8 (0, 4, 3). Scale to "
            "[0, 255] and repeat a grey channel.",
        ),
    ],
)
def test_image_that_would_lose_something_is_refused(predictor, image, rule):
    with pytest.raises(ImageError, match=f"^{re.escape(f'`image` must {rule}')}$"):
        predictor(image)
