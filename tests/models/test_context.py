import torch
from torch.autograd import gradcheck

from parsenet.models.parsenet import GlobalContext


def test_every_channel_becomes_its_mean():
    x = torch.tensor([[[[1.0, 2.0, 6.0]], [[-1.0, 0.0, 4.0]]]])

    assert GlobalContext()(x).tolist() == [[[[3.0]], [[1.0]]]]


def test_images_of_a_batch_are_pooled_apart():
    x = torch.randn(3, 4, 5, 7)

    torch.testing.assert_close(GlobalContext()(x)[1:2], GlobalContext()(x[1:2]))


def test_one_by_one_map_is_left_alone():
    x = torch.randn(2, 3, 1, 1)

    assert torch.equal(GlobalContext()(x), x)


def test_place_does_not_matter():
    x = torch.randn(1, 3, 4, 5, dtype=torch.float64)

    torch.testing.assert_close(GlobalContext()(x.roll((1, 2), (2, 3))), GlobalContext()(x))


def test_every_pixel_gets_an_equal_share_of_the_gradient():
    x = torch.randn(1, 2, 3, 5, requires_grad=True)

    GlobalContext()(x).sum().backward()

    torch.testing.assert_close(x.grad, torch.full_like(x, 1 / 15))


def test_gradient_is_that_of_finite_differences():
    assert gradcheck(GlobalContext(), torch.randn(2, 3, 2, 4, dtype=torch.float64).requires_grad_())


def test_float16_mean_does_not_overflow():
    x = torch.full((1, 1, 64, 64), 1000.0, dtype=torch.float16)  # sums to 4 million

    assert GlobalContext()(x).item() == 1000
