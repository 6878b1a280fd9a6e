import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck

from parsenet.models.upsample import BilinearUpsample, LearnedUpsample, bilinear_kernel, enlarge

STRIDES = pytest.mark.parametrize("stride", [4, 8, 16, 32])


def draw(*shape, dtype=torch.float32):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=dtype)


def test_kernel_of_four_is_right_by_hand():
    line = torch.tensor([0.25, 0.75, 0.75, 0.25])

    assert torch.equal(bilinear_kernel(4), torch.outer(line, line))


def test_kernel_of_sixteen_is_caffes():
    """PAPER 1a: k = 16 gives f = 8 and c = 15/16, w(x) = 1 - |x/8 - 15/16|."""
    line = torch.tensor([1 - abs(x / 8 - 15 / 16) for x in range(16)])

    torch.testing.assert_close(bilinear_kernel(16), torch.outer(line, line))


def test_enlarging_by_two_is_right_by_hand():
    x = torch.tensor([[[[0.0, 4.0]]]])

    assert enlarge(x, 2, (2, 4)).tolist() == [[[[0.0, 1.0, 3.0, 4.0]] * 2]]


@STRIDES
def test_enlarged_ramp_is_a_ramp_over_the_cells_pixels(stride):
    """Cell i is the value at pixel stride * i + (stride - 1) / 2."""
    centres = torch.arange(5, dtype=torch.float64) * stride + (stride - 1) / 2

    line = enlarge(centres.view(1, 1, 1, 5), stride, (stride, 5 * stride))[0, 0, 0]

    inside = torch.arange(stride // 2, 5 * stride - stride // 2)
    torch.testing.assert_close(line[inside], inside.double())


def test_learned_is_the_transposed_convolution_of_the_prototxt():
    deconv = LearnedUpsample(21, 8).deconv

    assert (deconv.kernel_size, deconv.stride, deconv.padding, deconv.output_padding) == (
        (16, 16), (8, 8), (4, 4), (0, 0),
    )  # fmt: skip
    assert (deconv.groups, tuple(deconv.weight.shape)) == (21, (21, 1, 16, 16))


@pytest.mark.parametrize("make", [lambda s: LearnedUpsample(3, s), BilinearUpsample])
@pytest.mark.parametrize("size", [(1, 1), (8, 16), (9, 15), (23, 17)])
def test_any_size_comes_out_exactly(make, size):
    cells = tuple(-(-length // 8) for length in size)

    assert make(8)(draw(2, 3, *cells), size).shape == (2, 3, *size)


def test_enlarge_commutes_with_a_one_by_one_convolution():
    """What the early head rests on."""
    x, weight = draw(2, 5, 3, 4, dtype=torch.float64), draw(3, 5, 1, 1, dtype=torch.float64)

    late = enlarge(F.conv2d(x, weight), 2, (5, 7))
    early = F.conv2d(enlarge(x, 2, (5, 7)), weight)

    torch.testing.assert_close(late, early, rtol=0, atol=1e-13)


def test_gradient_is_that_of_finite_differences():
    layer = LearnedUpsample(2, 4).double()
    x = draw(1, 2, 2, 3, dtype=torch.float64).requires_grad_()

    assert gradcheck(lambda x: layer(x, (7, 11)), x)


@pytest.mark.parametrize("num_classes", [1, 21])
@STRIDES
def test_learned_is_torchs_transposed_convolution(num_classes, stride):
    layer, x = LearnedUpsample(num_classes, stride).double(), draw(2, num_classes, 3, 4).double()
    with torch.no_grad():
        layer.deconv.weight.normal_()
        layer.deconv.bias.normal_()

    y = layer(x, (3 * stride, 4 * stride))

    torch.testing.assert_close(y, layer.deconv(x), rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", [BilinearUpsample, LearnedUpsample])
@pytest.mark.parametrize("size", [(1, 50), (31, 9), (33, 17)])
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_bands_of_rows_are_the_whole(kind, size, layout):
    torch.manual_seed(0)
    layer = BilinearUpsample(8) if kind is BilinearUpsample else LearnedUpsample(3, 8)
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter)
    cells = tuple(-(-length // 8) for length in size)
    x = draw(1, 3, *cells).to(memory_format=layout)

    for step in (1, 2, 5):
        bands = [layer.rows(x, size, start, start + step) for start in range(0, cells[0], step)]
        assert torch.equal(torch.cat(bands, 2), layer(x, size))
