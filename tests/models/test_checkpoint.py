import json
from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from parsenet.config import NetworkConfig
from parsenet.errors import WeightsError
from parsenet.models.build import build_model
from parsenet.models.checkpoint import describe, load_network, save_network
from parsenet.models.weights import METADATA_KEY, read_weights
from parsenet.taxonomy import Taxonomy
from parsenet.version import __version__

CONFIG = NetworkConfig(
    trunk="squeezenet", features=("pool6", "fc7", "conv4"), head="early", norm_scale=20.0,
    weights="some/folder/squeezenet.npz", preprocess="torchvision",
)  # fmt: skip
PETS = Taxonomy("pets", ("ground", "cat", "dög"), ((0, 0, 0), (64, 0, 0), (64, 0, 128)), void=254)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return build_model(CONFIG, PETS.num_classes).eval()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "new folder" / "model.safetensors"


def message_of(path):
    with pytest.raises(WeightsError) as caught:
        load_network(path)
    return str(caught.value)


def test_loaded_network_equals_the_saved_one(network, path):
    save_network(path, deepcopy(network).to(memory_format=torch.channels_last), CONFIG, PETS)

    loaded = load_network(path)

    state, expected = loaded.network.state_dict(), network.state_dict()
    assert state.keys() == expected.keys()
    assert all(torch.equal(state[name], value) for name, value in expected.items())
    assert not any(module.training for module in loaded.network.modules())
    assert (loaded.taxonomy, loaded.record["version"]) == (PETS, __version__)
    assert loaded.network.preprocess.name == "torchvision"
    assert [file.name for file in path.parent.iterdir()] == ["model.safetensors"]


def test_config_travels_without_the_folder_of_its_weights(network, path):
    save_network(path, network, CONFIG, PETS)

    assert load_network(path).config == replace(CONFIG, weights="squeezenet.npz")
    with safe_open(path, "pt") as file:
        assert "some/folder" not in file.metadata()[METADATA_KEY]


def test_half_precision_is_half_as_large_close_and_leaves_counters_whole(network, path):
    counted = deepcopy(network)
    counted.trunk.register_buffer("num_batches", torch.tensor(160_000))
    save_network(path, network, CONFIG, PETS)
    full = path.stat().st_size
    save_network(path, counted, CONFIG, PETS, half=True)

    stored = read_weights(path).tensors

    assert path.stat().st_size < 0.51 * full
    assert torch.equal(stored.pop("trunk.num_batches"), torch.tensor(160_000))
    for name, value in network.state_dict().items():
        assert value.dtype == torch.float32
        torch.testing.assert_close(stored[name].float(), value, rtol=1e-3, atol=1e-6)


def write_lightning(path, network, **changes):
    state = {f"network.{name}": value for name, value in network.state_dict().items()}
    record = describe(network, CONFIG, PETS)
    torch.save({"state_dict": state, "epoch": 4, METADATA_KEY: record} | changes, path)
    return path


def test_lightning_checkpoint_loads(network, tmp_path):
    image = torch.randint(0, 256, (1, 3, 31, 44), dtype=torch.uint8)

    loaded = load_network(write_lightning(tmp_path / "last.ckpt", network))

    assert (loaded.config, loaded.taxonomy) == (CONFIG, PETS)
    with torch.no_grad():
        assert torch.equal(loaded.network(image), network(image))


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("a.safetensors", lambda path: save_file({"conv.weight": torch.zeros(3)}, path)),
        ("b.safetensors", lambda path: save_file({}, path, {"format": "pt"})),
        ("a.pth", lambda path: torch.save({"conv.weight": torch.zeros(3)}, path)),
        ("b.pth", lambda path: torch.save(torch.zeros(3), path)),
    ],
)
def test_file_of_others_is_refused(name, write, tmp_path):
    path = tmp_path / name
    write(path)

    assert message_of(path) == (
        f"'{path}' must be a checkpoint of this toolkit (it has no 'parsenet' record). "
        "Weights of others can only start a training run: `--model.network.weights`."
    )


def test_parameters_that_contradict_the_record_are_refused(network, tmp_path):
    record = describe(network, replace(CONFIG, head="late"), PETS)
    path = write_lightning(tmp_path / "last.ckpt", network, **{METADATA_KEY: record})

    assert message_of(path).startswith(
        f"'{path}' does not hold the network that its record describes"
    )


@pytest.mark.parametrize(
    "change", [lambda r: r["network"].update(attention=True), lambda r: r.pop("taxonomy")]
)
def test_record_of_another_version_is_refused(change, network, tmp_path):
    record = json.loads(json.dumps(describe(network, CONFIG, PETS) | {"version": "9.9"}))
    change(record)
    path = write_lightning(tmp_path / "last.ckpt", network, **{METADATA_KEY: record})

    assert message_of(path) == (
        f"'{path}' must have a record that this version can read, got one of version 9.9. "
        "Install that version of the toolkit."
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_number_that_is_not_finite_is_refused(value, network, path):
    damaged = deepcopy(network)
    with torch.no_grad():
        damaged.head.score.bias[1] = value
    save_network(path, damaged, CONFIG, PETS)

    assert message_of(path) == (
        f"'{path}' must hold finite numbers, got nan or infinity in 'head.score.bias'. Get the "
        "file anew, or take a checkpoint from before the training diverged."
    )
