"""L2Norm by the grid that Caffe tests its Normalize layer with: forward by hand, gradients."""

from itertools import product

import pytest
import torch
from torch.autograd import gradcheck

from parsenet.models.l2norm import EPS, L2Norm

FLAGS = ("across_spatial", "channel_shared", "fix_scale")
OPTIONS = [dict(zip(FLAGS, values, strict=True)) for values in product((False, True), repeat=3)]
GRID = pytest.mark.parametrize(
    "options", OPTIONS, ids=lambda options: "+".join(n for n in FLAGS if options[n]) or "none"
)


def draw(shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def layer_with_unequal_scales(num_channels, **options):
    layer = L2Norm(num_channels, **options).double()
    with torch.no_grad():
        layer.scale.copy_(8 + torch.arange(layer.scale.numel()))
    return layer


def test_three_four_becomes_six_eight():
    x = torch.tensor([3.0, 4.0]).view(1, 2, 1, 1)

    assert L2Norm(2)(x).flatten().tolist() == pytest.approx([6, 8])


def test_norm_across_spatial_counts_all_pixels_of_an_image():
    x = torch.tensor([[[[1.0, 3.0]], [[1.0, 5.0]]], [[[2.0, 0.0]], [[0.0, 0.0]]]])  # 6 and 2 long

    y = L2Norm(2, scale=6.0, across_spatial=True)(x)

    assert y.flatten().tolist() == pytest.approx([1, 3, 1, 5, 6, 0, 0, 0])


def test_epsilon_is_inside_the_root():
    x = torch.full((1, 1, 1, 1), EPS**0.5, dtype=torch.float64)

    y = L2Norm(1, scale=1.0).double()(x)

    assert y.item() == pytest.approx(0.5**0.5, rel=1e-12)


@GRID
def test_forward_is_the_formula(options):
    x, layer = draw((2, 3, 4, 5)), layer_with_unequal_scales(3, **options)

    y = layer(x)

    for n, row, column in product(range(2), range(4), range(5)):
        region = x[n] if options["across_spatial"] else x[n, :, row, column]
        length = (region.square().sum() + 1e-10).sqrt()
        torch.testing.assert_close(
            y[n, :, row, column], layer.scale * x[n, :, row, column] / length, rtol=1e-12, atol=0
        )


@GRID
def test_gradients_are_those_of_finite_differences(options):
    x, layer = (draw((2, 3, 2, 4)).requires_grad_(), layer_with_unequal_scales(3, **options))

    def apply(x, scale):
        return torch.func.functional_call(layer, {"scale": scale}, (x,))

    scale = layer.scale.detach().clone().requires_grad_(not options["fix_scale"])
    assert gradcheck(apply, (x, scale))


def caffe_gradient(x, dy, scale):
    """normalize_layer.cpp: the inner product is taken before the scale is applied."""
    length = (x.square().sum(1, keepdim=True) + 1e-10).sqrt()
    dot = (x * dy).sum(1, keepdim=True)
    return scale.view(1, -1, 1, 1) * (dy - x * dot / length**2) / length


@pytest.mark.parametrize(("scales", "equal"), [((9, 9, 9), True), ((8, 9, 13), False)])
def test_caffes_gradient_is_exact_only_for_equal_scales(scales, equal):
    x, dy, layer = (draw((1, 3, 2, 2)).requires_grad_(), draw((1, 3, 2, 2), 1), L2Norm(3).double())
    with torch.no_grad():
        layer.scale.copy_(torch.tensor(scales))

    layer(x).backward(dy)

    theirs = caffe_gradient(x.detach(), dy, layer.scale.detach())
    assert torch.allclose(x.grad, theirs, rtol=1e-7, atol=1e-7) == equal


@GRID
def test_zero_vector_stays_zero_and_has_a_finite_gradient(options):
    for dtype in (torch.float32, torch.float64, torch.bfloat16):
        x = torch.zeros(1, 3, 2, 2, dtype=dtype, requires_grad=True)

        y = L2Norm(3, **options).to(dtype)(x)
        y.sum().backward()

        assert y.count_nonzero() == 0
        # scale / sqrt(epsilon): steep, but a number.
        torch.testing.assert_close(x.grad, torch.full_like(x, 10 / EPS**0.5))


HALVES = pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float16, 1e-3), (torch.bfloat16, 8e-3)]
)


@HALVES
@pytest.mark.parametrize("across_spatial", [False, True])
def test_half_precision_does_not_overflow(dtype, tolerance, across_spatial):
    """5,000 squared is 400 times what float16 holds; VGG's conv4 has such features."""
    x = 5000 * draw((1, 512, 3, 4), dtype=torch.float32).clamp(-2, 2)
    layer = L2Norm(512, across_spatial=across_spatial)

    y = layer(x.to(dtype))

    assert y.dtype == dtype
    torch.testing.assert_close(y.float(), layer(x), rtol=2 * tolerance, atol=tolerance / 10)


@HALVES
def test_half_precision_keeps_small_features(dtype, tolerance):
    """1e-4 squared is below what float16 holds; the norm must not come out as the epsilon's."""
    x = torch.full((1, 4, 1, 1), 1e-4, dtype=dtype)

    y = L2Norm(4)(x).float()

    torch.testing.assert_close(y, torch.full_like(y, 5.0), rtol=3e-3 + tolerance, atol=0)
