import numpy as np
import pytest
import torch
from torchvision.models import SqueezeNet1_0_Weights, VGG16_Weights

from parsenet.config import NetworkConfig
from parsenet.errors import WeightsError
from parsenet.models.weights import LoadReport, fill, load_weights
from tests.fakes.weights import caffe_squeezenet, caffe_vgg16, torchvision_state, write_hub_file

LIGHT = NetworkConfig(trunk="squeezenet", weights="imagenet1k_v1")
SQUEEZENET_URL = SqueezeNet1_0_Weights.IMAGENET1K_V1.url
FRESH = ("fc6.weight", "fc6.bias", "fc7.weight", "fc7.bias")


def from_file(path, **options):
    return NetworkConfig(trunk="squeezenet", weights=str(path), **options)


def state_of(trunk):
    return {name: value.clone() for name, value in trunk.state_dict().items()}


def assert_equal_states(first, second):
    assert first.keys() == second.keys()
    assert [name for name, value in first.items() if not torch.equal(value, second[name])] == []


def message_of(call, error=WeightsError):
    with pytest.raises(error) as caught:
        call()
    return str(caught.value)


# Where names go.


def test_caffe_arrays_land_in_the_layers_of_their_names(trunk, tmp_path):
    np.savez(tmp_path / "squeezenet.npz", **caffe_squeezenet())

    load_weights(trunk, from_file(tmp_path / "squeezenet.npz"))

    filled = {name: value.unique().tolist() for name, value in trunk.state_dict().items()}
    names = [name for name in filled if name not in FRESH]  # in the order of the layers
    assert [filled[name] for name in names] == [[pytest.approx(i / 100)] for i in range(50)]


def test_report_names_what_was_loaded_missing_and_unused(trunk, tmp_path):
    np.savez(tmp_path / "squeezenet.npz", **caffe_squeezenet())

    report = load_weights(trunk, from_file(tmp_path / "squeezenet.npz"))

    assert set(report.loaded) == set(trunk.state_dict()) - set(FRESH)
    assert (report.missing, report.unused) == (FRESH, ("conv_final.weight", "conv_final.bias"))


def test_report_is_logged(trunk, caplog):
    with caplog.at_level("INFO", "parsenet"):
        fill(trunk, {"conv1.bias": torch.zeros(96), "mean": torch.zeros(3)}, "a.npz")

    assert caplog.messages[0].startswith(
        "Weights 'a.npz': 1 parameters loaded; 53 kept random: conv1.weight, fire2.squeeze.weight, "
    )
    new = "fc6.weight, fc6.bias, fc7.weight, fc7.bias"
    assert caplog.messages[0].endswith(f", {new}; 1 not used: mean.")


def test_report_of_a_perfect_fit_is_short():
    assert str(LoadReport(("a", "b"), (), ())) == "2 parameters loaded"


def test_missing_parameters_keep_their_random_start(trunk, tmp_path):
    before = state_of(trunk)

    fill(trunk, {"conv1.bias": torch.ones(96)}, "a.npz")

    after = state_of(trunk)
    assert torch.equal(after.pop("conv1.bias"), torch.ones(96))
    before.pop("conv1.bias")
    assert_equal_states(after, before)


def test_loading_twice_changes_nothing(trunk):
    state = torchvision_state("squeezenet1_0")

    first = fill(trunk, state, "a.pth"), state_of(trunk)
    second = fill(trunk, state, "a.pth"), state_of(trunk)

    assert first[0] == second[0]
    assert_equal_states(first[1], second[1])


@pytest.mark.parametrize("name", ["tiny", "squeezenet", "vgg16_largefov", "vgg16_fcn_reduced"])
def test_own_parameters_load_into_the_same_trunk(name, make_trunk):
    source, target = make_trunk(name), make_trunk(name)
    with torch.no_grad():
        for parameter in target.parameters():
            parameter.zero_()

    report = fill(target, source.state_dict(), "ours")

    assert (report.missing, report.unused) == ((), ())
    assert_equal_states(target.state_dict(), source.state_dict())


@pytest.mark.parametrize("prefix", ["trunk.", "network.trunk."])
def test_names_may_begin_as_in_a_checkpoint(prefix, trunk):
    state = {prefix + name: value for name, value in torchvision_state("squeezenet1_0").items()}

    assert fill(trunk, state, "a.ckpt").missing == FRESH


def test_half_precision_weights_become_float32(trunk):
    fill(trunk, {"conv1.bias": torch.full((96,), 0.5, dtype=torch.float16)}, "half")

    assert trunk.conv1.bias.dtype == torch.float32
    assert (trunk.conv1.bias == 0.5).all()


# What does not fit.


def test_wrong_shape_is_refused(trunk):
    message = message_of(lambda: fill(trunk, {"conv1.weight": torch.zeros(64, 3, 3, 3)}, "a.npz"))

    assert message == (
        "'conv1.weight' of 'a.npz' must have shape (96, 3, 7, 7), got (64, 3, 3, 3). "
        "Choose the `trunk` that these weights belong to."
    )


def test_refused_weights_leave_the_trunk_alone(trunk):
    before = state_of(trunk)

    message_of(
        lambda: fill(
            trunk, {"conv1.bias": torch.ones(96), "fire2.squeeze.bias": torch.ones(3)}, "a.npz"
        )
    )

    assert_equal_states(state_of(trunk), before)


@pytest.mark.parametrize("shape", [(512, 512), (4096, 512), (25088, 4096), (10,), ()])
def test_classifier_of_another_vgg_is_refused(shape, make_trunk):
    """VGG-16 for small images has a smaller classifier."""
    trunk = make_trunk("vgg16_largefov")

    state = {"classifier.0.weight": torch.zeros(()).expand(shape)}

    message = message_of(lambda: fill(trunk, state, "a.pth"))

    assert message == (
        f"'classifier.0.weight' of 'a.pth' must have shape (1024, 512, 3, 3), got {shape}. "
        "Choose the `trunk` that these weights belong to."
    )


def test_weights_of_another_network_are_refused(trunk):
    state = {"layer1.0.conv1.weight": torch.zeros(1), "bn1.bias": torch.zeros(1)}

    assert message_of(lambda: fill(trunk, state, "resnet.pth")) == (
        "'resnet.pth' must hold parameters of this trunk, got 2 unknown names such as "
        "'layer1.0.conv1.weight'. Choose the `trunk` that these weights belong to."
    )


# torchvision, from its cache.


def test_cached_torchvision_weights_are_read_without_asking_to_download(trunk, torch_home):
    write_hub_file(torch_home, SQUEEZENET_URL, torchvision_state("squeezenet1_0"))

    report = load_weights(trunk, LIGHT)

    assert (len(report.loaded), report.missing) == (50, FRESH)
    assert report.unused == ("classifier.1.weight", "classifier.1.bias")


@pytest.mark.parametrize(
    "name", ["vgg16_largefov", pytest.param("vgg16_fcn_reduced", marks=pytest.mark.slow)]
)
def test_torchvision_vgg_fills_every_layer(name, torch_home, make_trunk):
    write_hub_file(torch_home, VGG16_Weights.IMAGENET1K_V1.url, torchvision_state("vgg16"))
    trunk = make_trunk(name)

    report = load_weights(trunk, NetworkConfig(trunk=name, weights="imagenet1k_v1"))

    assert (len(report.loaded), report.missing) == (30, ())
    assert report.unused == ("classifier.6.weight", "classifier.6.bias")
    filled = [value.unique().tolist() for value in trunk.state_dict().values()]
    assert filled == [[pytest.approx(i / 100)] for i in range(30)]


def test_features_weights_leave_fc6_and_fc7_random(torch_home, make_trunk):
    """IMAGENET1K_FEATURES has no classifier: torchvision fills it with nan."""
    state = torchvision_state("vgg16", classifier=float("nan"))
    write_hub_file(torch_home, VGG16_Weights.IMAGENET1K_FEATURES.url, state)
    trunk = make_trunk("vgg16_largefov")

    report = load_weights(trunk, NetworkConfig(weights="imagenet1k_features"))

    assert len(report.loaded) == 26
    assert report.missing == ("fc6.weight", "fc6.bias", "fc7.weight", "fc7.bias")
    assert report.unused[0] == "classifier.0.weight (not finite)"
    assert all(value.isfinite().all() for value in trunk.state_dict().values())


@pytest.mark.parametrize(
    "name", ["vgg16_largefov", pytest.param("vgg16_fcn", marks=pytest.mark.slow)]
)
def test_caffes_full_vgg_fills_every_layer(name, make_trunk):
    trunk = make_trunk(name)

    report = fill(trunk, caffe_vgg16(), "vgg16.npz")

    assert (len(report.loaded), report.missing) == (30, ())
    assert report.unused == ("fc8.weight", "fc8.bias")


def test_fcn_checkpoint_starts_a_reduced_trunk(make_trunk):
    """Our own full fc6 and fc7 are decimated like anybody's."""
    full = {
        "fc6.weight": torch.randn(4096, 1, 7, 7).expand(4096, 512, 7, 7),
        "fc7.weight": torch.randn(1, 4096, 1, 1).expand(4096, 4096, 1, 1),
    }
    trunk = make_trunk("vgg16_largefov")

    fill(trunk, full, "fcn.safetensors")

    assert torch.equal(trunk.fc6.weight, full["fc6.weight"][::4, :, ::3, ::3])
    assert torch.equal(trunk.fc7.weight, full["fc7.weight"][::4, ::4])
