"""Weights of others: files written by another implementation of their format, read back."""

import sys

import numpy as np
import pytest
import torch

from data_tools import convert_weights
from data_tools.convert_weights import HEAD, convert, main, read_caffemodel, write_checkpoint
from parsenet.config import NetworkConfig
from parsenet.errors import WeightsError
from parsenet.models.checkpoint import load_network
from parsenet.models.squeezenet import SqueezeNet
from parsenet.models.vgg import VGG16
from parsenet.models.weights import fill, load_weights, read_weights
from tests.fakes.caffemodel import write_caffemodel


def arrays(*shapes):
    random = np.random.default_rng(0)
    return [random.normal(size=shape).astype(np.float32) for shape in shapes]


@pytest.mark.parametrize(
    "form",
    [{}, {"old": True}, {"packed": False}, {"double": True}],
    ids=["layer", "layers", "unpacked", "double"],
)
def test_layers_are_read_as_protobuf_wrote_them(form, tmp_path):
    layers = {"conv1_1": arrays((4, 3, 3, 3), (4,)), "fc6": arrays((5, 12), (5,)), "relu1_1": []}
    path = write_caffemodel(tmp_path / "a.caffemodel", layers, **form)

    read = read_caffemodel(path)

    assert list(read) == ["conv1_1.weight", "conv1_1.bias", "fc6.weight", "fc6.bias"]
    for name, kinds in layers.items():
        for kind, array in zip(("weight", "bias"), kinds, strict=False):
            np.testing.assert_array_equal(read[f"{name}.{kind}"], array)


def test_converted_file_starts_a_trunk(tmp_path):
    layers = {"conv1": arrays((96, 3, 7, 7), (96,))}
    layers["fire2/squeeze1x1"] = arrays((16, 96, 1, 1), (16,))
    path = write_caffemodel(tmp_path / "a.caffemodel", layers)
    trunk = SqueezeNet(0.5)

    convert(path, tmp_path / "a.npz")
    report = load_weights(trunk, NetworkConfig(trunk="squeezenet", weights=str(tmp_path / "a.npz")))

    assert report.unused == ()
    assert np.array_equal(trunk.fire2.squeeze.weight.detach(), layers["fire2/squeeze1x1"][0])


def authors_layers():
    """Layers of the released model; stored once and expanded, as they are large."""
    with torch.device("meta"):
        trunk = VGG16("largefov", 1024, 0.5)
    names = {f"trunk.conv{b}.{2 * i}": f"conv{b}_{i + 1}" for b in range(1, 6) for i in range(3)}
    names |= {"trunk.fc6": "fc6", "trunk.fc7": "fc7"}
    shapes = {f"trunk.{key}": tuple(value.shape) for key, value in trunk.state_dict().items()}
    found = {
        f"{names[key.rpartition('.')[0]]}.{key.rpartition('.')[2]}": shape
        for key, shape in shapes.items()
    }
    found |= {name: (1024,) if "norm.weight" in name else (21, 1024, 1, 1) for name in HEAD} | {
        name: (21,) for name in HEAD if name.endswith("bias")
    }
    found["upscore21.weight"] = (21, 1, 16, 16)
    return {
        name: np.full(shape, number / 100, np.float32)
        for number, (name, shape) in enumerate(found.items())
    }


@pytest.mark.slow
def test_authors_model_becomes_a_whole_checkpoint(tmp_path):
    layers = authors_layers()

    write_checkpoint(tmp_path / "a.safetensors", layers, "a.caffemodel")

    loaded = load_network(tmp_path / "a.safetensors")
    state = loaded.network.state_dict()
    assert loaded.taxonomy.name == "voc2012"
    assert loaded.network.preprocess.name == "caffe"
    for theirs, ours in {**HEAD, "conv3_2.bias": "trunk.conv3.2.bias"}.items():
        assert np.array_equal(state[ours].numpy(), layers[theirs]), theirs
    assert len(state) == len(layers) == 38


def test_model_without_a_layer_becomes_no_checkpoint(tmp_path):
    path = write_caffemodel(tmp_path / "a.caffemodel", {"conv1_1": arrays((64, 3, 3, 3), (64,))})

    with pytest.raises(WeightsError) as error:
        convert(path, tmp_path / "a.safetensors", checkpoint=True)

    assert str(error.value).startswith(
        "'a.caffemodel' must hold every layer of the authors' VOC 2012 model for `--checkpoint`, "
        "got none of fc7_norm.weight, pool6_1x1_norm.weight, "
    )
    assert not (tmp_path / "a.safetensors").exists()


def test_file_of_ssd_pytorch_is_renamed(tmp_path):
    state = {"0.weight": torch.ones(64, 3, 3, 3), "0.bias": torch.zeros(64)}
    state |= {
        "31.weight": torch.full((1,), 2.0).expand(1024, 512, 3, 3),
        "33.bias": torch.ones(1024),
    }
    torch.save(state, tmp_path / "vgg16_reducedfc.pth")

    convert(tmp_path / "vgg16_reducedfc.pth", tmp_path / "a.safetensors")

    renamed = read_weights(tmp_path / "a.safetensors").tensors
    assert set(renamed) == {"conv1_1.weight", "conv1_1.bias", "fc6.weight", "fc7.bias"}
    with torch.device("meta"):
        trunk = VGG16("largefov", 1024, 0.5)
    trunk = trunk.to_empty(device="cpu")
    assert fill(trunk, renamed, "a").unused == ()
    assert float(trunk.fc6.weight.detach().mean()) == 2


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "'{}' must hold layers with weights, got none. Get the file anew."),
        (
            b"\xa2\x06\xff",
            "'{}' must be a .caffemodel, got 'an end in the middle of a number'. "
            "Get the file anew.",
        ),
        (
            b"\xa2\x06\x7fabc",
            "'{}' must be a .caffemodel, got 'an end in the middle of a field'. Get the file anew.",
        ),
        (
            b"<html>",
            "'{}' must be a .caffemodel, got 'a field of type 4 at byte 1'. Get the file anew.",
        ),
    ],
    ids=["empty", "cut number", "cut field", "page"],
)
def test_damaged_file_is_refused(content, reason, tmp_path):
    path = tmp_path / "a.caffemodel"
    path.write_bytes(content)

    with pytest.raises(WeightsError) as error:
        read_caffemodel(path)

    assert str(error.value) == reason.format(path)


def test_blob_that_does_not_fill_its_shape_is_refused(tmp_path):
    path = write_caffemodel(tmp_path / "a.caffemodel", {"a": arrays((2, 3))})
    path.write_bytes(
        path.read_bytes().replace(b"\x3a\x04\x0a\x02\x02\x03", b"\x3a\x04\x0a\x02\x02\x04")
    )

    with pytest.raises(WeightsError) as error:
        read_caffemodel(path)

    assert "got 'a blob of shape (2, 4) with 6 numbers'" in str(error.value)


def test_tool_says_whose_file_it_is(tmp_path, monkeypatch, capsys):
    path = write_caffemodel(tmp_path / "a.caffemodel", {"a": arrays((2, 3), (2,))})
    words = ["convert_weights.py", str(path), "--out", str(tmp_path / "a.npz")]
    monkeypatch.setattr(sys, "argv", words)

    assert main() == 0
    sha1 = capsys.readouterr().out.split("SHA-1 ")[1][:40]
    monkeypatch.setitem(convert_weights.AUTHORS, sha1, "the authors' own")
    assert main() == 0

    assert capsys.readouterr().out == (
        f"a.caffemodel: SHA-1 {sha1}, the authors' own.\n"
        f"a.weight: 2 x 3\na.bias: 2\n{tmp_path / 'a.npz'}\n"
    )


def test_wrong_ending_is_refused(tmp_path, monkeypatch, capsys):
    words = ["convert_weights.py", "a.caffemodel", "--out", "a.pth"]
    monkeypatch.setattr(sys, "argv", words)

    assert main() == 2

    assert capsys.readouterr().err == "error: `--out` must end in .npz here, got 'a.pth'.\n"
