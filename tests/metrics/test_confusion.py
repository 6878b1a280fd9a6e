"""Counting tensors: on the CPU, and the way of a GPU, whose kernels run on CPU tensors as well."""

import re

import numpy as np
import pytest
import torch

from parsenet.errors import LabelError
from parsenet.metrics.confusion import ConfusionMatrix, ImageCounter, _scatter
from parsenet.metrics.counting import count

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")


def drawn(seed, num_classes=5, shape=(2, 9, 14), dtype=torch.uint8):
    """Random prediction and label with void."""
    random = np.random.default_rng(seed)
    label = random.integers(0, num_classes, shape)
    label[random.random(shape) < 0.2] = 255 if num_classes < 256 else 511
    prediction = random.integers(0, num_classes, shape)
    return torch.from_numpy(prediction).to(dtype), torch.from_numpy(label).to(dtype)


def counted(prediction, label, num_classes=5, void=255):
    matrix = ConfusionMatrix(num_classes, void)
    matrix.update(prediction, label)
    return matrix.to_numpy()


def equal(one, other):
    return one.ids == other.ids and np.array_equal(one.entries, other.entries)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int64])
@pytest.mark.parametrize("shape", [(9, 14), (2, 9, 14), (2, 3, 9, 14)])
def test_matrix_is_that_of_the_pixels(dtype, shape):
    prediction, label = drawn(0, shape=shape)

    counts = counted(prediction.to(dtype), label.to(dtype))

    np.testing.assert_array_equal(counts, count(prediction.numpy(), label.numpy(), 5))


@pytest.mark.parametrize("num_updates", [1, 63, 64, 65, 150])
def test_many_updates_equal_one(num_updates):
    prediction, label = drawn(1, shape=(num_updates, 3, 4))
    parts = ConfusionMatrix(5)

    for image, truth in zip(prediction, label, strict=True):
        parts.update(image, truth)

    np.testing.assert_array_equal(parts.to_numpy(), counted(prediction, label))
    np.testing.assert_array_equal(parts.to_numpy(), counted(prediction, label))


def test_sum_of_two_matrices_equals_one_over_both_and_leaves_them_alone():
    one, other, both = (ConfusionMatrix(5) for _ in range(3))
    one.update(*drawn(seed=2))
    other.update(*drawn(seed=3))
    both.update(*drawn(seed=2))
    both.update(*drawn(seed=3))
    before = one.to_numpy()

    total = one + other
    np.testing.assert_array_equal(total.to_numpy(), both.to_numpy())
    total.update(*drawn(seed=3))

    np.testing.assert_array_equal(one.to_numpy(), before)


def test_reset_forgets_everything():
    matrix = ConfusionMatrix(5)
    matrix.update(*drawn(seed=2))
    matrix.to_numpy()
    matrix.update(*drawn(seed=3))

    matrix.reset()

    assert matrix.to_numpy().sum() == 0


def test_void_other_than_255_is_left_out():
    counts = counted(torch.tensor([[0, 1]]), torch.tensor([[0, 11]]), num_classes=2, void=11)

    assert counts.tolist() == [[1, 0], [0, 0]]


def test_sum_with_other_classes_is_refused():
    message = "`other` must have the same classes and void, got 6 and 255, not 5 and 255."

    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        ConfusionMatrix(5) + ConfusionMatrix(6)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64])
def test_images_are_counted_one_by_one_and_sorted_by_name(dtype):
    prediction, label = drawn(seed=6)
    counter = ImageCounter(5)

    counter.update(prediction.to(dtype), label.to(dtype), ["b", "a"])

    images = counter.to_counts()
    assert images.ids == ("a", "b")
    for index, source in ((0, 1), (1, 0)):
        expected = count(prediction[source].numpy(), label[source].numpy(), 5)
        np.testing.assert_array_equal(images.subset([index]).total(), expected)


@pytest.mark.parametrize(("num_classes", "void"), [(5, 255), (255, 255), (459, 511)])
@pytest.mark.parametrize("num_images", [1, 64, 150])
def test_counting_the_way_of_a_gpu_gives_the_same_counts(num_classes, void, num_images):
    prediction, label = drawn(7, num_classes, (num_images, 3, 4), torch.int64)
    names = [f"{index:03d}" for index in range(num_images)]
    counter, expected = ImageCounter(num_classes, void), ImageCounter(num_classes, void)
    expected.update(prediction, label, names)

    with torch.inference_mode():
        for image, truth, name in zip(prediction, label, names, strict=True):
            counter._count_on_device(image, truth, name)

    assert equal(counter.to_counts(), expected.to_counts())


@pytest.mark.parametrize("value", [5, 200, 255, -1])
def test_wrong_prediction_is_in_no_class_of_a_scattered_row(value):
    """Class 5 of row 0 would be class 0 of row 1: its place must stay empty."""
    prediction, label = torch.tensor([[2, value]]), torch.tensor([[0, 0]])

    rows, limits = _scatter(prediction, label, 5)

    assert limits.tolist() == [min(2, value), max(2, value)]
    assert rows[1:].sum() == 0


WRONG = [
    ([5, 2], [0, 0], "`prediction` must be in 0..4, got 2..5. Use a network of 5 classes."),
    ([255, 2], [255, 0], "`prediction` must be in 0..4, got 2..255. Use a network of 5 classes."),
    ([-1, 2], [0, 0], "`prediction` must be in 0..4, got -1..2. Use a network of 5 classes."),
    (
        [0, 0],
        [0, 9],
        "`label` must be a class 0..4 or void 255, got 9 in 1 pixels. Fix the labels or the "
        "taxonomy.",
    ),
    *(
        (
            [0, 0],
            [0, value],
            "`label` must be a class 0..4 or void 255, got a value outside 0..255 in 1 pixels. "
            "Fix the labels or the taxonomy.",
        )
        for value in (-1, 256, 300)
    ),
    (
        [0, 0],
        [0, 0, 0],
        "`label` must be as large as `prediction` (1, 2), got (1, 3). Upsample the prediction to "
        "the label's size.",
    ),
]


@pytest.mark.parametrize("device", ["cpu", "way of a gpu", pytest.param("cuda", marks=needs_cuda)])
@pytest.mark.parametrize(("prediction", "label", "message"), WRONG)
def test_every_device_refuses_the_same_with_the_same_words(prediction, label, message, device):
    counter = ImageCounter(5)

    def run():
        if device == "way of a gpu":
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


def test_counter_forgets_everything():
    counter = ImageCounter(5)
    counter.update(*drawn(seed=2), ["a", "b"])
    counter._count_on_device(*(tensor[0] for tensor in drawn(seed=2)), "c")

    counter.reset()

    assert len(counter.to_counts()) == 0


@pytest.mark.gpu
@needs_cuda
def test_counts_on_cuda_equal_counts_on_cpu():
    prediction, label = drawn(seed=4)

    with torch.inference_mode():
        on_gpu = counted(prediction.cuda(), label.cuda())

    np.testing.assert_array_equal(on_gpu, counted(prediction, label))


@pytest.mark.gpu
@needs_cuda
@pytest.mark.parametrize("kind", [ConfusionMatrix, ImageCounter])
def test_counting_on_cuda_does_not_synchronise_within_a_block(kind):
    prediction, label = (tensor.cuda() for tensor in drawn(seed=5))
    counter = kind(5)

    def update(index):
        names = [[f"c{index}", f"d{index}"]] if kind is ImageCounter else []
        counter.update(prediction, label, *names)

    update(0)
    torch.cuda.set_sync_debug_mode("error")
    try:
        for index in range(1, 31):
            update(index)
    finally:
        torch.cuda.set_sync_debug_mode("default")

    total = counter.to_numpy() if kind is ConfusionMatrix else counter.to_counts().total()
    np.testing.assert_array_equal(total, 31 * counted(prediction.cpu(), label.cpu()))
