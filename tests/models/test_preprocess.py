import pytest
import torch
from torchvision.models import SqueezeNet1_0_Weights, VGG16_Weights

from parsenet.errors import ConfigError
from parsenet.models.parsenet import PREPROCESS, Preprocess

PIXEL = torch.tensor([255, 100, 0], dtype=torch.uint8).view(1, 3, 1, 1)  # R, G, B


def test_caffe_is_blue_first_minus_the_authors_mean():
    x = Preprocess("caffe")(PIXEL)

    assert x.flatten().tolist() == pytest.approx([-104.00699, 100 - 116.66877, 255 - 122.67892])


@pytest.mark.parametrize(
    ("name", "weights"),
    [
        ("torchvision", VGG16_Weights.IMAGENET1K_V1),
        ("torchvision", SqueezeNet1_0_Weights.IMAGENET1K_V1),
        ("torchvision_features", VGG16_Weights.IMAGENET1K_FEATURES),
    ],
)
def test_torchvision_is_the_transform_of_its_weights(name, weights):
    image = torch.randint(0, 256, (1, 3, 224, 224), dtype=torch.uint8)
    theirs = weights.transforms(crop_size=224, resize_size=224)(image)

    ours = Preprocess(name)(image)

    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=3e-5)


@pytest.mark.parametrize("name", PREPROCESS)
def test_float_images_are_the_same_as_uint8(name):
    assert torch.equal(Preprocess(name)(PIXEL.float()), Preprocess(name)(PIXEL))


@pytest.mark.parametrize("name", PREPROCESS)
def test_image_is_left_alone(name):
    image = PIXEL.float()

    Preprocess(name)(image)

    assert torch.equal(image, PIXEL.float())


def test_constants_are_not_in_the_weights():
    assert Preprocess("caffe").state_dict() == {}


def test_constants_follow_the_network_in_type():
    assert Preprocess("caffe").double()(PIXEL).dtype == torch.float64


def test_unknown_name_is_refused():
    with pytest.raises(ConfigError) as error:
        Preprocess("cafe")

    assert str(error.value) == (
        "`preprocess` must be a known name, got 'cafe'. Did you mean `caffe`?"
    )
