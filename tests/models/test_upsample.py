import pytest
import torch
from torch.autograd import gradcheck

from parsenet.models.upsample import BilinearUpsample, LearnedUpsample, bilinear_kernel, enlarge

STRIDES = pytest.mark.parametrize("stride", [4, 8, 16, 32])


def draw(*shape, dtype=torch.float32):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=dtype)


def test_kernel_of_four_is_right_by_hand():
    line = torch.tensor([0.25, 0.75, 0.75, 0.25])

    assert torch.equal(bilinear_kernel(4), torch.outer(line, line))


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


def test_gradient_is_that_of_finite_differences():
    layer = LearnedUpsample(2, 4).double()
    x = draw(1, 2, 2, 3, dtype=torch.float64).requires_grad_()

    assert gradcheck(lambda x: layer(x, (7, 11)), x)


@pytest.mark.parametrize("num_classes", [1, 21])
@STRIDES
def test_learned_is_torchs_transposed_convolution(num_classes, stride):
    layer, x = (LearnedUpsample(num_classes, stride).double(), draw(2, num_classes, 3, 4).double())
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
