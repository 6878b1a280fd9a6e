"""Where weights come from: the cache, a download, local files; and what each one expects."""

import errno
import hashlib
import os
import pickle
import socket
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torchvision.models import SqueezeNet1_0_Weights

from parsenet.config import NetworkConfig
from parsenet.errors import ConfigError, WeightsError
from parsenet.models.build import TRUNKS
from parsenet.models.checkpoint import save_network
from parsenet.models.squeezenet import SqueezeNet
from parsenet.models.weights import load_weights, preprocess_of, read_weights
from tests.fakes.weights import torchvision_state, write_hub_file

LIGHT = NetworkConfig(trunk="squeezenet", weights="imagenet1k_v1")
SQUEEZENET_URL = SqueezeNet1_0_Weights.IMAGENET1K_V1.url
FRESH = ("fc6.weight", "fc6.bias", "fc7.weight", "fc7.bias")


def from_file(path, **options):
    return NetworkConfig(trunk="squeezenet", weights=str(path), **options)


def message_of(call, error=WeightsError):
    with pytest.raises(error) as caught:
        call()
    return str(caught.value)


def test_weights_that_are_not_cached_are_not_downloaded(trunk, torch_home):
    cached = torch_home / "hub" / "checkpoints" / "squeezenet1_0-b66bff10.pth"

    assert message_of(lambda: load_weights(trunk, LIGHT)) == (
        f"`weights` 'imagenet1k_v1' must be in torch's cache, got no '{cached}'. Add "
        f"`--model.network.download true` (`parsenet figures`: `--download`) to fetch "
        f"{SQUEEZENET_URL}, or copy that file there."
    )


def test_damaged_cached_file_is_refused(trunk, torch_home):
    path = write_hub_file(torch_home, SQUEEZENET_URL, torchvision_state("squeezenet1_0"))
    path.write_bytes(path.read_bytes()[:1000])

    message = message_of(lambda: load_weights(trunk, LIGHT))

    assert message.startswith(f"'{path}' could not be read as weights: ")
    assert message.endswith(" Get the file anew.")


class Payload:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (Path(self.path),)


@pytest.mark.parametrize("where", ["cache", "path"])
def test_pickled_object_is_refused_and_not_run(where, trunk, torch_home, tmp_path):
    harm, content = tmp_path / "harm", torchvision_state("squeezenet1_0")
    path = write_hub_file(torch_home, SQUEEZENET_URL, content | {"x": Payload(tmp_path / "harm")})
    config = LIGHT if where == "cache" else from_file(path)

    message = message_of(lambda: load_weights(trunk, config))

    assert message.startswith(f"'{path}' could not be read as weights: ")
    assert not harm.exists()


# Downloading, from a server on this machine.


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Serve a folder on loopback; return it and its address."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield folder, f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def publish(server, monkeypatch, digest=None):
    """Put SqueezeNet's weights on the server, under a name with their hash; return the URL."""
    folder, address = server
    torch.save(torchvision_state("squeezenet1_0"), folder / "weights")
    digest = digest or hashlib.sha256((folder / "weights").read_bytes()).hexdigest()[:8]
    url = f"{address}/squeezenet1_0-{digest}.pth"
    (folder / "weights").rename(folder / url.rpartition("/")[2])
    monkeypatch.setattr(SqueezeNet1_0_Weights.IMAGENET1K_V1.value, "url", url)
    return url


ASKED = NetworkConfig(trunk="squeezenet", weights="imagenet1k_v1", download=True)


def test_weights_are_downloaded_when_asked_for(server, monkeypatch, trunk, torch_home):
    url = publish(server, monkeypatch)

    report = load_weights(trunk, ASKED)

    assert len(report.loaded) == 50
    assert (torch_home / "hub" / "checkpoints" / url.rpartition("/")[2]).is_file()


def test_downloaded_weights_are_found_the_next_time(server, monkeypatch, trunk):
    publish(server, monkeypatch)
    load_weights(trunk, ASKED)
    next(server[0].glob("*.pth")).unlink()

    assert len(load_weights(trunk, LIGHT).loaded) == 50


def test_download_with_another_hash_is_refused(server, monkeypatch, trunk, torch_home):
    url = publish(server, monkeypatch, digest="00000000")
    cached = torch_home / "hub" / "checkpoints" / "squeezenet1_0-00000000.pth"

    message = message_of(lambda: load_weights(trunk, ASKED))

    assert message.startswith(
        f"`weights` 'imagenet1k_v1' could not be downloaded from {url}: invalid hash value"
    )
    assert not cached.exists()


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


def write_pth(path, state):
    torch.save(state, path)


def write_checkpoint(path, state):
    torch.save(
        {"state_dict": {f"network.trunk.{k}": v for k, v in state.items()}, "epoch": 3}, path
    )


def write_npz(path, state):
    np.savez(path, **{name: value.numpy() for name, value in state.items()})


@pytest.mark.parametrize(
    ("suffix", "write"),
    [
        (".npz", write_npz),
        (".pth", write_pth),
        (".pt", write_pth),
        (".ckpt", write_checkpoint),
        (".safetensors", lambda path, state: save_file(state, path)),
    ],
)
def test_every_kind_of_file_loads(suffix, write, trunk, tmp_path):
    source, path = SqueezeNet(0.5).state_dict(), tmp_path / f"weights{suffix}"
    write(path, source)

    report = load_weights(trunk, from_file(path))

    assert (report.missing, report.unused) == ((), ())
    assert all(torch.equal(value, source[name]) for name, value in trunk.state_dict().items())


def test_missing_file_is_named(trunk, tmp_path):
    path = tmp_path / "nowhere.pth"

    assert message_of(lambda: read_weights(path)) == (
        f"The weights file '{path}' must exist. Check its path."
    )


def test_unknown_kind_of_file_is_refused(tmp_path):
    path = tmp_path / "weights.h5"
    path.touch()

    assert message_of(lambda: read_weights(path)) == (
        "`weights` must end in .npz, .pth, .pt, .ckpt or .safetensors, got 'weights.h5'."
    )


@pytest.mark.parametrize("suffix", [".npz", ".pth", ".pt", ".ckpt", ".safetensors"])
@pytest.mark.parametrize("content", [b"", b"not weights", b"PK\x03\x04half a zip"])
def test_damaged_file_is_refused(suffix, content, tmp_path):
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(content)

    message = message_of(lambda: read_weights(path))

    assert message.startswith(f"'{path}' could not be read as weights: ")
    assert message.endswith(" Get the file anew.")


def test_pickled_arrays_are_refused(tmp_path):
    path = tmp_path / "weights.npz"
    np.savez(path, conv1=np.array([{"a": 1}], dtype=object))

    assert message_of(lambda: read_weights(path)).startswith(
        f"'{path}' could not be read as weights: Object arrays cannot be loaded"
    )


def test_plain_pickle_is_refused(tmp_path):
    path = tmp_path / "weights.pth"
    path.write_bytes(pickle.dumps({"x": Payload(tmp_path / "harm")}))

    message_of(lambda: read_weights(path))

    assert not (tmp_path / "harm").exists()


# Which preprocessing goes with which weights.


@pytest.mark.parametrize(
    ("config", "preprocess"),
    [
        (NetworkConfig(trunk="squeezenet"), "caffe"),
        (NetworkConfig(trunk="squeezenet", weights="a.npz"), "caffe"),
        (LIGHT, "torchvision"),
        (NetworkConfig(weights="imagenet1k_v1"), "torchvision"),
        (NetworkConfig(weights="imagenet1k_features"), "torchvision_features"),
        (NetworkConfig(weights="imagenet1k_v1", preprocess="caffe"), "caffe"),
        (NetworkConfig(weights="own.pth", preprocess="torchvision"), "torchvision"),
    ],
)
def test_source_says_its_preprocessing(config, preprocess):
    with torch.device("meta"):
        assert preprocess_of(config, TRUNKS[config.trunk](0.5)) == preprocess


def test_checkpoint_of_ours_says_its_preprocessing(tmp_path):
    from parsenet.models.build import build_model
    from parsenet.taxonomy import SHAPES

    config = NetworkConfig(trunk="squeezenet", preprocess="torchvision")
    network = build_model(config, SHAPES.num_classes)
    save_network(tmp_path / "a.safetensors", network, config, SHAPES)

    assert preprocess_of(from_file(tmp_path / "a.safetensors"), network.trunk) == "torchvision"


def test_silent_file_needs_the_preprocessing(trunk, tmp_path):
    path = tmp_path / "weights.pth"
    torch.save(trunk.state_dict(), path)

    assert message_of(lambda: preprocess_of(from_file(path), trunk), ConfigError) == (
        f"`preprocess` must be given with weights that do not say what they expect, got '{path}'. "
        "Use `torchvision` for a file of torchvision's, `caffe` for one converted from Caffe."
    )


@pytest.mark.parametrize(
    ("given", "remedy"),
    [
        ("imagenet1k_v2", "Did you mean `imagenet1k_v1`?"),
        ("imagenet1k_features", "Did you mean `imagenet1k_v1`?"),
        ("nowhere.pth", "Known: `imagenet1k_v1`."),
    ],
)
def test_unknown_weights_are_named_with_the_known_ones(given, remedy, trunk):
    config = from_file(given)

    assert message_of(lambda: preprocess_of(config, trunk)) == (
        f"`weights` must be a file that exists or a known name, got '{given}'. {remedy}"
    )


# The real thing.


@pytest.fixture(scope="module")
def real_path():
    if "PARSENET_DATA" not in os.environ:
        pytest.skip("PARSENET_DATA is not set")
    path = Path(os.environ["PARSENET_DATA"]).parent / "weights" / "squeezenet1_0_imagenet_caffe.npz"
    if not path.is_file():
        pytest.skip("the SqueezeNet weights are not beside PARSENET_DATA")
    return path


@pytest.mark.realdata
def test_real_squeezenet_loads_whole(real_path, trunk):
    report = load_weights(trunk, from_file(real_path))

    assert (len(report.loaded), report.missing) == (50, FRESH)


@pytest.mark.realdata
def test_real_features_differ_in_length_as_measured(real_path, trunk):
    """Mean length of a pixel's feature vector on VOC images, within a third of what is stated."""
    from PIL import Image

    from parsenet.models.parsenet import Preprocess

    load_weights(trunk, from_file(real_path))
    root = Path(os.environ["PARSENET_DATA"]) / "voc2012_subset" / "VOC2012" / "JPEGImages"
    lengths = {"conv3": [], "conv4": [], "conv5": []}

    with torch.no_grad():
        for path in sorted(root.glob("*.jpg"))[::400]:
            pixels = torch.from_numpy(np.array(Image.open(path).convert("RGB")))
            features = trunk.eval()(Preprocess("caffe")(pixels.permute(2, 0, 1)[None]))
            for name, values in lengths.items():
                values.append(features[name].norm(dim=1).mean().item())

    means = {name: sum(values) / len(values) for name, values in lengths.items()}
    assert means == pytest.approx({"conv3": 3000, "conv4": 5600, "conv5": 740}, rel=1 / 3)
