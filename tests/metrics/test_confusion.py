import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix

from parsenet.errors import LabelError
from parsenet.metrics.confusion import ConfusionMatrix, ImageCounter
from parsenet.metrics.counting import count


def drawn(seed, num_classes=5, shape=(2, 9, 14)):
    """Random prediction and label with void, in uint8."""
    random = np.random.default_rng(seed)
    label = random.integers(0, num_classes, shape).astype(np.uint8)
    label[random.random(shape) < 0.2] = 255
    prediction = random.integers(0, num_classes, shape).astype(np.uint8)
    return torch.from_numpy(prediction), torch.from_numpy(label)


def counted(prediction, label, num_classes=5, void=255):
    matrix = ConfusionMatrix(num_classes, void)
    matrix.update(prediction, label)
    return matrix.to_numpy()


def test_counts_of_six_pixels_are_right_by_hand():
    label = torch.tensor([[0, 0, 1], [1, 2, 255]])
    prediction = torch.tensor([[0, 1, 1], [1, 0, 2]])

    counts = counted(prediction, label, num_classes=3)

    assert counts.tolist() == [[1, 1, 0], [0, 2, 0], [1, 0, 0]]


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int64])
def test_counts_equal_sklearn(dtype):
    prediction, label = drawn(seed=0)
    known = label != 255

    counts = counted(prediction.to(dtype), label.to(dtype))

    expected = confusion_matrix(label[known], prediction[known], labels=range(5))
    np.testing.assert_array_equal(counts, expected)


def test_counts_with_255_classes_do_not_overflow():
    prediction, label = drawn(seed=1, num_classes=255)
    label[label == 0] = 254
    prediction[:] = 254

    counts = counted(prediction, label, num_classes=255)

    assert counts[:, 254].sum() == (label != 255).sum()


@settings(deadline=None)
@given(st.integers(0, 1000))
def test_void_pixels_do_not_count(seed):
    prediction, label = drawn(seed)
    other = prediction.clone()
    other[label == 255] = (other[label == 255] + 1) % 5

    np.testing.assert_array_equal(counted(prediction, label), counted(other, label))


@settings(deadline=None)
@given(st.integers(0, 1000), st.integers(0, 9))
def test_splitting_a_data_set_changes_nothing(seed, row):
    prediction, label = drawn(seed)
    parts = ConfusionMatrix(5)

    parts.update(prediction[:, :row], label[:, :row])
    parts.update(prediction[:, row:], label[:, row:])

    np.testing.assert_array_equal(parts.to_numpy(), counted(prediction, label))


def test_sum_of_two_matrices_equals_one_matrix_over_both():
    one, other, both = (ConfusionMatrix(5) for _ in range(3))
    one.update(*drawn(seed=2))
    other.update(*drawn(seed=3))
    both.update(*drawn(seed=2))
    both.update(*drawn(seed=3))

    np.testing.assert_array_equal((one + other).to_numpy(), both.to_numpy())


def test_sum_leaves_its_parts_alone():
    one = ConfusionMatrix(5)
    one.update(*drawn(seed=2))
    before = one.to_numpy()

    (one + one).update(*drawn(seed=3))

    np.testing.assert_array_equal(one.to_numpy(), before)


def test_reset_forgets_everything():
    matrix = ConfusionMatrix(5)
    matrix.update(*drawn(seed=2))

    matrix.reset()

    assert matrix.to_numpy().sum() == 0


def test_void_other_than_255_is_left_out():
    counts = counted(torch.tensor([[0, 1]]), torch.tensor([[0, 11]]), num_classes=2, void=11)

    assert counts.tolist() == [[1, 0], [0, 0]]


def test_wrong_label_is_refused_with_its_value():
    message = (
        "`label` must be a class 0..4 or void 255, got 7 in 3 pixels. Fix the labels or the "
        "taxonomy."
    )

    with pytest.raises(LabelError, match=f"^{re.escape(message)}$"):
        counted(torch.zeros(2, 3, dtype=torch.uint8), torch.tensor([[7, 7, 7], [0, 1, 255]]))


@pytest.mark.parametrize("value", [-1, 256, 70000])
def test_label_beyond_8_bits_is_refused(value):
    message = (
        "`label` must be a class 0..4 or void 255, got a value outside 0..255 in 1 pixels. Fix "
        "the labels or the taxonomy."
    )

    with pytest.raises(LabelError, match=f"^{re.escape(message)}$"):
        counted(torch.zeros(1, 1, dtype=torch.int64), torch.tensor([[value]]))


def test_prediction_of_a_class_that_is_not_there_is_refused():
    message = "`prediction` must be in 0..4, got 0..5. Use a network of 5 classes."

    with pytest.raises(LabelError, match=f"^{re.escape(message)}$"):
        counted(torch.tensor([[0, 5]]), torch.tensor([[0, 0]]))


def test_prediction_of_another_size_is_refused():
    message = (
        "`label` must be as large as `prediction` (3, 4), got (6, 8). Upsample the prediction to "
        "the label's size."
    )

    with pytest.raises(LabelError, match=f"^{re.escape(message)}$"):
        counted(torch.zeros(3, 4, dtype=torch.uint8), torch.zeros(6, 8, dtype=torch.uint8))


def test_sum_with_other_classes_is_refused():
    message = "`other` must have the same classes and void, got 6 and 255, not 5 and 255."

    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        ConfusionMatrix(5) + ConfusionMatrix(6)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64])
def test_counting_the_way_of_a_gpu_gives_the_same_counts(dtype):
    prediction, label = drawn(seed=4)
    matrix = ConfusionMatrix(5)

    with torch.inference_mode():
        matrix._count_on_device(prediction.to(dtype), label.to(dtype))
    matrix._count_on_device(prediction.to(dtype), label.to(dtype))

    np.testing.assert_array_equal(matrix.to_numpy(), 2 * counted(prediction, label))


@pytest.mark.parametrize(
    ("value", "shown"), [(9, "9"), (-1, "a value outside 0..255"), (300, "a value outside 0..255")]
)
def test_wrong_label_counted_the_way_of_a_gpu_is_refused_when_read(value, shown):
    matrix = ConfusionMatrix(5)
    matrix._count_on_device(torch.tensor([[0, 0]]), torch.tensor([[0, value]]))
    message = (
        f"`label` must be a class 0..4 or void 255, got {shown} in 1 pixels. Fix the labels or "
        "the taxonomy."
    )

    with pytest.raises(LabelError, match=f"^{re.escape(message)}$"):
        matrix.to_numpy()


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64])
def test_images_are_counted_one_by_one_and_sorted_by_name(dtype):
    prediction, label = drawn(seed=6)
    counter = ImageCounter(5)

    counter.update(prediction.to(dtype), label.to(dtype), ["b", "a"])

    images = counter.to_counts()
    assert images.ids == ("a", "b")
    for index, source in ((0, 1), (1, 0)):
        expected = count(prediction[source].numpy(), label[source].numpy(), 5)
        np.testing.assert_array_equal(images.dense(index), expected)


def test_images_of_a_gpu_are_fetched_in_blocks_and_none_is_lost():
    prediction, label = drawn(seed=7, shape=(150, 3, 4))
    names = [f"{index:03d}" for index in range(150)]
    counter, expected = ImageCounter(5), ImageCounter(5)
    expected.update(prediction, label, names)

    with torch.inference_mode():
        for image, truth, name in zip(prediction, label, names, strict=True):
            counter._count_on_device(image, truth, name)

    images = counter.to_counts()
    assert images.ids == tuple(names)
    for index in range(150):
        np.testing.assert_array_equal(images.dense(index), expected.to_counts().dense(index))


def test_counter_forgets_everything():
    counter = ImageCounter(5)
    counter.update(*drawn(seed=2), ["a", "b"])
    counter._count_on_device(*(tensor[0] for tensor in drawn(seed=2)), "c")

    counter.reset()

    assert len(counter.to_counts()) == 0


def test_counter_refuses_a_wrong_label_of_a_gpu_when_it_is_fetched():
    counter = ImageCounter(5)
    counter._count_on_device(torch.tensor([[0, 0]]), torch.tensor([[0, 9]]), "a")

    with pytest.raises(LabelError, match=r"^`label` must be a class 0\.\.4 or void 255, got 9 in"):
        counter.to_counts()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_counts_on_cuda_equal_counts_on_cpu():
    prediction, label = drawn(seed=4)

    with torch.inference_mode():
        on_gpu = counted(prediction.cuda(), label.cuda())

    np.testing.assert_array_equal(on_gpu, counted(prediction, label))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_counting_on_cuda_never_synchronises():
    prediction, label = (tensor.cuda() for tensor in drawn(seed=5))
    matrix = ConfusionMatrix(5)
    matrix.update(prediction, label)

    torch.cuda.set_sync_debug_mode("error")
    try:
        matrix.update(prediction, label)
    finally:
        torch.cuda.set_sync_debug_mode("default")

    assert matrix.to_numpy().sum() == 2 * (label != 255).sum().item()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_wrong_label_on_cuda_is_refused_when_the_counts_are_read():
    matrix = ConfusionMatrix(5)
    matrix.update(torch.tensor([[0, 0]]).cuda(), torch.tensor([[0, 9]]).cuda())

    with pytest.raises(LabelError, match=r"^`label` must be a class 0\.\.4 or void 255, got 9 in"):
        matrix.to_numpy()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_counting_images_on_cuda_does_not_synchronise_within_a_block():
    prediction, label = (tensor.cuda() for tensor in drawn(seed=5))
    counter, expected = ImageCounter(5), ImageCounter(5)
    counter.update(prediction, label, ["a", "b"])

    torch.cuda.set_sync_debug_mode("error")
    try:
        for index in range(30):
            counter.update(prediction, label, [f"c{index}", f"d{index}"])
    finally:
        torch.cuda.set_sync_debug_mode("default")

    expected.update(prediction.cpu(), label.cpu(), ["a", "b"])
    np.testing.assert_array_equal(counter.to_counts().total(), 31 * expected.to_counts().total())


def test_more_classes_than_eight_bits_hold_are_counted_the_way_of_a_gpu_too():
    generator = torch.Generator().manual_seed(8)
    label = torch.randint(0, 459, (2, 9, 14), generator=generator)
    prediction = torch.randint(0, 459, (2, 9, 14), generator=generator)
    label[:, 0] = 511
    matrix, counter = ConfusionMatrix(459, 511), ConfusionMatrix(459, 511)

    matrix._count_on_device(prediction, label)
    counter.update(prediction, label)

    np.testing.assert_array_equal(matrix.to_numpy(), counter.to_numpy())
    assert matrix.to_numpy().sum() == 2 * 8 * 14


def test_counts_per_image_keep_classes_above_255():
    label, prediction = torch.tensor([[[458, 511]]]), torch.tensor([[[300, 0]]])
    counter = ImageCounter(459, 511)

    counter.update(prediction, label, ["a"])

    images = counter.to_counts()
    assert (images.truth.tolist(), images.prediction.tolist()) == ([458], [300])
