"""Where weights come from, what each source expects, where names go, and what does not fit."""

import errno
import hashlib
import os
import socket
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torchvision.models import SqueezeNet1_0_Weights, VGG16_Weights

from parsenet.config import NetworkConfig
from parsenet.errors import ConfigError, WeightsError
from parsenet.models.build import TRUNKS
from parsenet.models.squeezenet import SqueezeNet
from parsenet.models.weights import fill, load_weights, preprocess_of, read_weights
from tests.fakes.server import fake_server
from tests.fakes.weights import caffe_squeezenet, caffe_vgg16, torchvision_state, write_hub_file

LIGHT = NetworkConfig(trunk="squeezenet", weights="imagenet1k_v1")
ASKED = NetworkConfig(trunk="squeezenet", weights="imagenet1k_v1", download=True)
SQUEEZENET_URL = SqueezeNet1_0_Weights.IMAGENET1K_V1.url
NEW = ("fc6.weight", "fc6.bias", "fc7.weight", "fc7.bias")


def from_file(path):
    return NetworkConfig(trunk="squeezenet", weights=str(path))


def message_of(call, error=WeightsError):
    with pytest.raises(error) as caught:
        call()
    return str(caught.value)


def values_of(trunk):
    return [value.unique().tolist() for value in trunk.state_dict().values()]


# Where names go.


def test_caffe_arrays_land_in_the_layers_of_their_names(trunk, tmp_path, caplog):
    np.savez(tmp_path / "a.npz", **caffe_squeezenet())

    with caplog.at_level("INFO", "parsenet"):
        report = load_weights(trunk, from_file(tmp_path / "a.npz"))

    assert values_of(trunk)[:50] == [[pytest.approx(i / 100)] for i in range(50)]
    assert set(report.loaded) == set(trunk.state_dict()) - set(NEW)
    assert (report.missing, report.unused) == (NEW, ("conv_final.weight", "conv_final.bias"))
    assert caplog.messages == [
        f"Weights '{tmp_path / 'a.npz'}': 50 parameters loaded; 4 kept random: {', '.join(NEW)}; "
        "2 not used: conv_final.weight, conv_final.bias."
    ]


@pytest.mark.parametrize(
    "name", ["vgg16_largefov", pytest.param("vgg16_fcn_reduced", marks=pytest.mark.slow)]
)
def test_torchvisions_vgg_fills_every_layer(name, torch_home, make_trunk):
    write_hub_file(torch_home, VGG16_Weights.IMAGENET1K_V1.url, torchvision_state("vgg16"))
    trunk = make_trunk(name)

    report = load_weights(trunk, NetworkConfig(trunk=name, weights="imagenet1k_v1"))

    assert (len(report.loaded), report.missing) == (30, ())
    assert report.unused == ("classifier.6.weight", "classifier.6.bias")
    assert values_of(trunk) == [[pytest.approx(i / 100)] for i in range(30)]


def test_features_weights_leave_fc6_and_fc7_random(torch_home, make_trunk):
    """IMAGENET1K_FEATURES has no classifier: torchvision fills it with nan."""
    state = torchvision_state("vgg16", classifier=float("nan"))
    write_hub_file(torch_home, VGG16_Weights.IMAGENET1K_FEATURES.url, state)
    trunk = make_trunk("vgg16_largefov")

    report = load_weights(trunk, NetworkConfig(weights="imagenet1k_features"))

    assert (len(report.loaded), report.missing) == (26, NEW)
    assert report.unused[0] == "classifier.0.weight (not finite)"
    assert all(value.isfinite().all() for value in trunk.state_dict().values())


@pytest.mark.parametrize(
    "name", ["vgg16_largefov", pytest.param("vgg16_fcn", marks=pytest.mark.slow)]
)
def test_caffes_full_vgg_fills_every_layer(name, make_trunk):
    report = fill(make_trunk(name), caffe_vgg16(), "vgg16.npz")

    assert (len(report.loaded), report.missing) == (30, ())
    assert report.unused == ("fc8.weight", "fc8.bias")


# What does not fit.


@pytest.mark.parametrize(
    ("name", "weights", "message"),
    [
        (
            "squeezenet",
            {"conv1.bias": torch.ones(96), "conv1.weight": torch.zeros(64, 3, 3, 3)},
            "'conv1.weight' of 'a.pth' must have shape (96, 3, 7, 7), got (64, 3, 3, 3). Choose "
            "the `trunk` that these weights belong to.",
        ),
        *[
            (
                "vgg16_largefov",  # VGG-16 for small images has a smaller classifier
                {"classifier.0.weight": torch.zeros(()).expand(shape)},
                f"'classifier.0.weight' of 'a.pth' must have shape (1024, 512, 3, 3), got {shape}. "
                "Choose the `trunk` that these weights belong to.",
            )
            for shape in ((512, 512), (4096, 512), (25088, 4096), (10,), ())
        ],
        (
            "squeezenet",
            {"layer1.0.conv1.weight": torch.zeros(1), "bn1.bias": torch.zeros(1)},
            "'a.pth' must hold parameters of this trunk, got 2 unknown names such as "
            "'layer1.0.conv1.weight'. Choose the `trunk` that these weights belong to.",
        ),
        (
            "squeezenet",
            {"conv1.bias": torch.tensor([torch.inf] + [0.0] * 95)},
            "'a.pth' must hold finite numbers, got nan or infinity in 'conv1.bias'. Get the file "
            "anew, or take a checkpoint from before the training diverged.",
        ),
    ],
)
def test_weights_that_do_not_fit_are_refused_and_leave_the_trunk_alone(
    name, weights, message, make_trunk
):
    trunk, before = make_trunk(name), make_trunk(name).state_dict().values()

    assert message_of(lambda: fill(trunk, weights, "a.pth")) == message
    assert all(map(torch.equal, trunk.state_dict().values(), before))


# torchvision's, from its cache or a server on this machine.


def test_weights_that_are_not_cached_are_not_downloaded(trunk, torch_home):
    cached = torch_home / "hub" / "checkpoints" / "squeezenet1_0-b66bff10.pth"

    assert message_of(lambda: load_weights(trunk, LIGHT)) == (
        f"`weights` 'imagenet1k_v1' must be in torch's cache, got no '{cached}'. Add "
        f"`--model.network.download true` (`parsenet figures`: `--download`) to fetch "
        f"{SQUEEZENET_URL}, or copy that file there."
    )


@pytest.fixture
def server(monkeypatch):
    """A web server that holds nothing yet."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with fake_server() as running:
        yield running


def publish(server, monkeypatch, digest=None):
    """Put SqueezeNet's weights on the server, under a name with their hash; return the URL."""
    content = BytesIO()
    torch.save(torchvision_state("squeezenet1_0"), content)
    digest = digest or hashlib.sha256(content.getvalue()).hexdigest()[:8]
    url = server.serve(f"squeezenet1_0-{digest}.pth", content.getvalue())
    monkeypatch.setattr(SqueezeNet1_0_Weights.IMAGENET1K_V1.value, "url", url)
    return url


def test_weights_are_downloaded_when_asked_for_and_found_the_next_time(server, monkeypatch, trunk):
    publish(server, monkeypatch)

    assert len(load_weights(trunk, ASKED).loaded) == 50
    server.files.clear()
    assert load_weights(trunk, LIGHT).unused == ("classifier.1.weight", "classifier.1.bias")


def test_download_with_another_hash_is_refused(server, monkeypatch, trunk, torch_home):
    url = publish(server, monkeypatch, digest="00000000")

    message = message_of(lambda: load_weights(trunk, ASKED))

    assert message.startswith(
        f"`weights` 'imagenet1k_v1' could not be downloaded from {url}: invalid hash value"
    )
    assert not list((torch_home / "hub" / "checkpoints").iterdir())


def test_download_without_a_connection_says_how_to_go_on(monkeypatch, trunk, torch_home):
    with socket.create_server(("127.0.0.1", 0)) as closed_again:
        url = f"http://127.0.0.1:{closed_again.getsockname()[1]}/squeezenet1_0-12345678.pth"
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(SqueezeNet1_0_Weights.IMAGENET1K_V1.value, "url", url)
    cached = torch_home / "hub" / "checkpoints" / "squeezenet1_0-12345678.pth"

    assert message_of(lambda: load_weights(trunk, ASKED)) == (
        f"`weights` 'imagenet1k_v1' could not be downloaded from {url}: "
        f"<urlopen error [Errno {errno.ECONNREFUSED}] {os.strerror(errno.ECONNREFUSED)}>. "
        f"Fetch it on a machine with a connection and copy it to '{cached}'."
    )


# Local files.


def write(path, state):
    if path.suffix == ".npz":
        np.savez(path, **{name: value.numpy() for name, value in state.items()})
    elif path.suffix == ".safetensors":
        save_file(state, path)
    elif path.suffix == ".ckpt":
        state = {f"network.trunk.{name}": value for name, value in state.items()}
        torch.save({"state_dict": state, "epoch": 3}, path)
    else:
        torch.save(state, path, _use_new_zipfile_serialization=path.suffix == ".pt")


SUFFIXES = pytest.mark.parametrize("suffix", [".npz", ".pth", ".pt", ".ckpt", ".safetensors"])


@SUFFIXES
def test_every_kind_of_file_loads(suffix, trunk, tmp_path):
    source, path = SqueezeNet(0.5).state_dict(), tmp_path / f"weights{suffix}"
    write(path, source)

    report = load_weights(trunk, from_file(path))

    assert (report.missing, report.unused) == ((), ())
    assert all(torch.equal(value, source[name]) for name, value in trunk.state_dict().items())


@SUFFIXES
@pytest.mark.parametrize("content", [b"", b"not weights", b"PK\x03\x04half a zip", None])
def test_damaged_file_is_refused(suffix, content, tmp_path):
    path = tmp_path / f"weights{suffix}"
    write(path, {"conv1.bias": torch.zeros(999)})
    path.write_bytes(path.read_bytes()[:-1000] if content is None else content)

    message = message_of(lambda: read_weights(path))

    assert message.startswith(f"'{path}' could not be read as weights: ")
    assert message.endswith(" Get the file anew.")


class Payload:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (Path(self.path),)


@pytest.mark.parametrize("suffix", [".npz", ".pth", ".pt", ".ckpt"])
def test_pickled_object_is_refused_and_not_run(suffix, tmp_path):
    harm, path = tmp_path / "harm", tmp_path / f"weights{suffix}"
    if suffix == ".npz":
        np.savez(path, conv1=np.array([Payload(harm)], dtype=object))
    else:
        write(path, {"conv1.bias": Payload(harm)})

    message = message_of(lambda: read_weights(path))

    assert message.startswith(f"'{path}' could not be read as weights: ")
    assert not harm.exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere.pth", "The weights file '{path}' must exist. Check its path."),
        ("weights.h5", "`weights` must end in .npz, .pth, .pt, .ckpt or .safetensors, got "
         "'weights.h5'."),
    ],
)  # fmt: skip
def test_what_is_no_weights_file_is_refused(name, message, tmp_path):
    (tmp_path / "weights.h5").touch()

    assert message_of(lambda: read_weights(tmp_path / name)) == message.format(path=tmp_path / name)


# Which preprocessing goes with which weights.


@pytest.mark.parametrize(
    ("config", "preprocess"),
    [
        (NetworkConfig(trunk="squeezenet"), "caffe"),
        (NetworkConfig(trunk="squeezenet", weights="a.npz"), "caffe"),
        (LIGHT, "torchvision"),
        (NetworkConfig(weights="imagenet1k_features"), "torchvision_features"),
    ],
)
def test_source_says_its_preprocessing(config, preprocess):
    with torch.device("meta"):
        assert preprocess_of(config, TRUNKS[config.trunk](0.5)) == preprocess


def test_silent_file_needs_the_preprocessing(trunk, tmp_path):
    path = tmp_path / "weights.pth"
    write(path, trunk.state_dict())

    assert message_of(lambda: preprocess_of(from_file(path), trunk), ConfigError) == (
        f"`preprocess` must be given with weights that do not say what they expect, got '{path}'. "
        "Use `torchvision` for a file of torchvision's, `caffe` for one converted from Caffe."
    )


@pytest.mark.parametrize(
    ("given", "remedy"),
    [
        ("imagenet1k_v2", "Did you mean `imagenet1k_v1`?"),
        ("nowhere.pth", "Known: `imagenet1k_v1`."),
    ],
)
def test_unknown_weights_are_named_with_the_known_ones(given, remedy, trunk):
    assert message_of(lambda: preprocess_of(from_file(given), trunk)) == (
        f"`weights` must be a file that exists or a known name, got '{given}'. {remedy}"
    )
