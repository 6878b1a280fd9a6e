"""Counting tensors: on the CPU, and the way of a GPU, whose steps run on CPU tensors as well."""

import re

import numpy as np
import pytest
import torch

from parsenet.errors import LabelError
from parsenet.metrics.confusion import ConfusionMatrix, ImageCounter
from parsenet.metrics.counting import count
from tests.metrics.test_counting import REFUSED

gpu = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA"),
]


KINDS = [pytest.param(kind, marks=gpu) for kind in (ConfusionMatrix, ImageCounter)]


def drawn(seed, shape=(2, 9, 14), num_classes=5, void=255, dtype=torch.uint8):
    """Random prediction and label with void."""
    random = np.random.default_rng(seed)
    label = random.integers(0, num_classes, shape)
    label[random.random(shape) < 0.2] = void
    prediction = random.integers(0, num_classes, shape)
    return torch.from_numpy(prediction).to(dtype), torch.from_numpy(label).to(dtype)


def counted(prediction, label, num_classes=5, void=255):
    matrix = ConfusionMatrix(num_classes, void)
    matrix.update(prediction, label)
    return matrix.to_numpy()


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int64])
@pytest.mark.parametrize("shape", [(9, 14), (2, 9, 14), (2, 3, 9, 14)])
def test_matrix_is_that_of_the_pixels(dtype, shape):
    prediction, label = drawn(0, shape, dtype=dtype)

    np.testing.assert_array_equal(
        counted(prediction, label), count(prediction.numpy(), label.numpy(), 5)
    )


@pytest.mark.parametrize("num_updates", [1, 63, 64, 65, 150])
def test_many_updates_equal_one(num_updates):
    prediction, label = drawn(1, (num_updates, 3, 4))
    parts = ConfusionMatrix(5)

    for maps in zip(prediction, label, strict=True):
        parts.update(*maps)

    for _ in range(2):  # reading changes nothing
        np.testing.assert_array_equal(parts.to_numpy(), counted(prediction, label))


@pytest.mark.parametrize(("num_classes", "void"), [(5, 255), (255, 255), (2, 11), (459, 511)])
@pytest.mark.parametrize("num_images", [1, 150])
def test_images_are_counted_one_by_one_on_every_device(num_classes, void, num_images):
    prediction, label = drawn(7, (num_images, 3, 4), num_classes, void, torch.int64)
    names = [f"{index:03d}" for index in range(num_images)][::-1]
    expected = [
        count(*(part.numpy() for part in maps), num_classes, void)
        for maps in zip(prediction, label, strict=True)
    ]
    on_cpu, as_on_gpu = ImageCounter(num_classes, void), ImageCounter(num_classes, void)

    on_cpu.update(prediction, label, names)
    with torch.inference_mode():
        for found, truth, name in zip(prediction, label, names, strict=True):
            as_on_gpu._count_on_device(found, truth, name)

    for images in (on_cpu.to_counts(), as_on_gpu.to_counts()):
        assert images.ids == tuple(sorted(names))
        for index, name in enumerate(names):
            image = images.subset([images.ids.index(name)])
            np.testing.assert_array_equal(image.total(), expected[index])


@pytest.mark.parametrize("device", ["cpu", "as on a gpu", pytest.param("cuda", marks=gpu)])
@pytest.mark.parametrize(("prediction", "label", "num_classes", "message"), REFUSED)
def test_every_device_refuses_what_count_refuses(prediction, label, num_classes, message, device):
    counter = ImageCounter(num_classes, 511 if num_classes > 255 else 255)

    def run():
        if device == "as on a gpu":
            counter._count_on_device(torch.tensor([prediction]), torch.tensor([label]), "a")
        else:
            maps = (torch.tensor([[part]], device=device) for part in (prediction, label))
            counter.update(*maps, ["a"])
        counter.to_counts()

    with pytest.raises(LabelError, match=f"^{re.escape(message)}$"):
        run()


def test_wrong_value_of_a_gpu_is_refused_whenever_the_counts_are_read():
    counter = ImageCounter(5)
    counter._count_on_device(torch.tensor([[0, 0]]), torch.tensor([[0, 9]]), "a")

    for _ in range(2):
        with pytest.raises(LabelError, match=r"^`label` must be a class 0\.\.4 or void 255, got 9"):
            counter.to_counts()


@pytest.mark.parametrize("kind", KINDS)
def test_counting_on_cuda_is_that_of_the_cpu_and_does_not_synchronise_within_a_block(kind):
    prediction, label = (tensor.cuda() for tensor in drawn(5))
    counter = kind(5)

    def update(index):
        names = [[f"c{index}", f"d{index}"]] if kind is ImageCounter else []
        counter.update(prediction, label, *names)

    update(0)
    torch.cuda.set_sync_debug_mode("error")
    try:
        with torch.inference_mode():
            for index in range(1, 31):
                update(index)
    finally:
        torch.cuda.set_sync_debug_mode("default")

    total = counter.to_numpy() if kind is ConfusionMatrix else counter.to_counts().total()
    np.testing.assert_array_equal(total, 31 * counted(prediction.cpu(), label.cpu()))
