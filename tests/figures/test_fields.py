"""Theoretical receptive fields: the paper's numbers, and what gradients really reach."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from parsenet.figures.networks import Field, receptive_fields
from parsenet.models.build import TRUNKS


def on_meta(name):
    with torch.device("meta"):
        return TRUNKS[name](0.5)


@pytest.mark.parametrize("name", ["vgg16_fcn", "vgg16_fcn_reduced"])
def test_fc7_of_fcn_sees_404_pixels(name):
    # PAPER section 6: pool5 sees 212 at stride 32, fc6 adds six cells.
    assert receptive_fields(on_meta(name))["fc7"].size == 404


def test_fields_of_the_released_network_are_those_of_the_paper():
    fields = receptive_fields(on_meta("vgg16_largefov"))

    sizes = {feature: field.size for feature, field in fields.items()}
    assert sizes == {
        "conv3": 40, "pool3": 44, "conv4": 92, "pool4": 108, "conv5": 204, "fc7": 412
    }  # fmt: skip
    assert {feature: field.stride for feature, field in fields.items()}["fc7"] == 8


def test_fc7_of_the_tiny_trunk_sees_62_pixels_around_its_cell():
    # Its docstring: 31 to each side of the middle of its 8 pixels.
    assert receptive_fields(on_meta("tiny"))["fc7"] == Field(-27, 34, 8)
    with torch.inference_mode():
        assert receptive_fields(on_meta("tiny"))["fc7"] == Field(-27, 34, 8)


def mean_pool(layer, x):
    return F.avg_pool2d(x, layer.kernel_size, layer.stride, layer.padding)


@pytest.mark.parametrize("name", ["squeezenet", "tiny"])
def test_gradients_fill_the_field_and_never_leave_it(name, monkeypatch):
    trunk = TRUNKS[name](0.0).eval().double()
    with torch.no_grad():
        for parameter in trunk.parameters():  # positive all through: no ReLU closes
            parameter.uniform_(0.5, 1)
    fields = receptive_fields(trunk)
    # A maximum passes one of its inputs at a time, a mean all of them.
    monkeypatch.setattr(
        nn.MaxPool2d,
        "forward",
        lambda self, x: F.avg_pool2d(x, self.kernel_size, self.stride, self.padding),
    )
    height = 8 * 24  # rows are looked at
    image = torch.rand(1, 3, height, 40, dtype=torch.double).requires_grad_()

    for feature, x in trunk(image).items():
        row, column = x.shape[2] // 2, x.shape[3] // 2
        (gradient,) = torch.autograd.grad(x[0, :, row, column].sum(), image, retain_graph=True)
        rows = gradient.abs().sum((0, 1, 3)).nonzero().flatten()
        first, end = fields[feature].span(row, height)
        assert (first, end) == (int(rows[0]), int(rows[-1]) + 1), feature


def test_span_ends_at_the_image():
    assert Field(-27, 34, 8).span(0, 100) == (0, 35)
    assert Field(-27, 34, 8).span(12, 100) == (69, 100)


def test_trunk_is_left_as_it_was():
    trunk = TRUNKS["tiny"](0.5).train()

    receptive_fields(trunk)

    assert trunk.training
    assert trunk.conv1.weight.device.type == "cpu"
