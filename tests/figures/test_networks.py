"""What a figure can be drawn of; receptive fields: the paper's, and what gradients really reach."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from parsenet.config import NetworkConfig
from parsenet.errors import WeightsError
from parsenet.figures.networks import Field, fields_of, open_subject, receptive_fields
from parsenet.models.build import TRUNKS, build_model
from parsenet.models.checkpoint import save_network
from parsenet.taxonomy import SHAPES


def test_trunk_is_built_as_training_would_start_it():
    subject = open_subject("tiny")

    assert subject.name == "tiny (random weights)"
    assert not subject.network.training
    assert set(subject.network.head.prepare.norm) == {"pool6", "fc7", "conv5", "conv4", "conv3"}


def test_checkpoint_is_what_it_says(tmp_path):
    config = NetworkConfig(trunk="tiny", features=("fc7", "conv3"))
    save_network(tmp_path / "a.safetensors", build_model(config, 5), config, SHAPES)

    subject = open_subject(str(tmp_path / "a.safetensors"))

    assert subject.name == f"{tmp_path.name}/a.safetensors"
    assert set(subject.network.head.prepare.norm) == {"fc7", "conv3"}
    assert fields_of(str(tmp_path / "a.safetensors")) == fields_of("tiny")


def test_neither_is_refused():
    with pytest.raises(WeightsError) as error:
        open_subject("vgg17")

    assert str(error.value) == (
        "`model` must be a checkpoint or a trunk (vgg16_largefov, vgg16_fcn, vgg16_fcn_reduced, "
        "squeezenet, tiny), got 'vgg17'. Check the path."
    )


@pytest.mark.parametrize(
    ("trunk", "sizes"),
    [
        # PAPER section 6: pool5 sees 212 at stride 32, fc6 adds six cells.
        ("vgg16_fcn", {"fc7": 404}),
        ("vgg16_fcn_reduced", {"fc7": 404}),
        (
            "vgg16_largefov",
            {"conv3": 40, "pool3": 44, "conv4": 92, "pool4": 108, "conv5": 204, "fc7": 412},
        ),
    ],
)
def test_fields_are_those_of_the_paper(trunk, sizes):
    found = {feature: field.size for feature, field in fields_of(trunk).items()}

    assert found | sizes == found


@torch.inference_mode()
def test_fc7_of_the_tiny_trunk_sees_62_pixels_around_its_cell_and_to_the_edge():
    # Its docstring: 31 to each side of the middle of its 8 pixels.
    field = fields_of("tiny")["fc7"]

    assert field == Field(-27, 34, 8)
    assert (field.span(0, 100), field.span(12, 100)) == ((0, 35), (69, 100))


@pytest.mark.parametrize("name", ["squeezenet", "tiny"])
def test_gradients_fill_the_field_and_never_leave_it(name, monkeypatch):
    trunk = TRUNKS[name](0.0).eval().double()
    with torch.no_grad():
        for parameter in trunk.parameters():  # positive all through: no ReLU closes
            parameter.uniform_(0.5, 1)
    fields = receptive_fields(trunk.train())
    assert trunk.training  # left as it was
    assert next(trunk.parameters()).device.type == "cpu"
    # A maximum passes one of its inputs at a time, a mean all of them.
    monkeypatch.setattr(
        nn.MaxPool2d,
        "forward",
        lambda self, x: F.avg_pool2d(x, self.kernel_size, self.stride, self.padding),
    )
    height = 8 * 24  # rows are looked at
    image = torch.rand(1, 3, height, 40, dtype=torch.double).requires_grad_()

    for feature, x in trunk.eval()(image).items():
        row, column = x.shape[2] // 2, x.shape[3] // 2
        (gradient,) = torch.autograd.grad(x[0, :, row, column].sum(), image, retain_graph=True)
        rows = gradient.abs().sum((0, 1, 3)).nonzero().flatten()
        first, end = fields[feature].span(row, height)
        assert (first, end) == (int(rows[0]), int(rows[-1]) + 1), feature
