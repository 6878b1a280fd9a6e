import math

import pytest
import torch
from torch.autograd import gradcheck

from parsenet.losses import CrossEntropy

REDUCTIONS = pytest.mark.parametrize("reduction", ["sum", "mean"])


def drawn(seed=0, shape=(2, 3, 4, 5), dtype=torch.float32):
    random = torch.Generator().manual_seed(seed)
    logits = torch.randn(shape, generator=random, dtype=dtype)
    label = torch.randint(0, shape[1], (shape[0], *shape[2:]), generator=random)
    label[:, 0] = 255
    return logits.requires_grad_(), label


@pytest.mark.parametrize("num_images", [1, 5])
def test_sum_of_even_scores_is_log_of_classes_per_pixel_of_an_image(num_images):
    label = torch.zeros(num_images, 2, 3, dtype=torch.int64)

    loss = CrossEntropy("sum")(torch.zeros(num_images, 4, 2, 3), label)

    assert loss.item() == pytest.approx(6 * math.log(4))


def test_mean_equals_sum_over_pixels_that_have_a_class():
    logits, label = drawn()
    num_pixels = (label != 255).sum()

    total = CrossEntropy("sum")(logits, label) * len(label)

    torch.testing.assert_close(CrossEntropy("mean")(logits, label), total / num_pixels)


@REDUCTIONS
def test_loss_equals_negative_log_probability_of_the_true_class(reduction):
    logits, label = drawn()
    picked = [
        -logits[n, :, y, x].softmax(0)[label[n, y, x]].log()
        for n, y, x in torch.argwhere(label != 255).tolist()
    ]
    divisor = len(label) if reduction == "sum" else len(picked)

    loss = CrossEntropy(reduction)(logits, label.byte())  # as labels travel

    torch.testing.assert_close(loss, torch.stack(picked).sum() / divisor)


@REDUCTIONS
def test_void_pixels_have_no_gradient_and_void_alone_costs_nothing(reduction):
    logits, label = drawn()
    CrossEntropy(reduction)(logits, label).backward()
    assert not logits.grad[:, :, 0].any()
    logits.grad = None

    loss = CrossEntropy(reduction)(logits, torch.full_like(label, 255))
    loss.backward()

    assert loss.item() == 0
    assert not logits.grad.any()


def test_void_other_than_255_is_left_out():
    logits, label = drawn()

    loss = CrossEntropy(void=11)(logits, label.where(label != 255, 11))

    torch.testing.assert_close(loss, CrossEntropy()(logits, label))


def test_sum_over_a_large_image_is_finite_in_half_precision():
    label = torch.zeros(1, 300, 300, dtype=torch.int64)

    loss = CrossEntropy("sum")(torch.zeros(1, 4, 300, 300, dtype=torch.float16), label)

    assert loss.item() == pytest.approx(90000 * math.log(4), rel=1e-4)


@REDUCTIONS
def test_gradient_agrees_with_finite_differences(reduction):
    logits, label = drawn(dtype=torch.float64)

    assert gradcheck(lambda x: CrossEntropy(reduction)(x, label), logits)
