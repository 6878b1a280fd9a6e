import numpy as np
import pytest
import torch

from parsenet.inference.maps import Maps


@pytest.mark.parametrize(
    ("num_classes", "kind"), [(21, np.uint8), (256, np.uint8), (459, np.uint16)]
)
def test_label_has_as_many_bits_as_its_classes_need(num_classes, kind):
    best = torch.randint(0, num_classes, (1, 3, 4), generator=torch.Generator().manual_seed(0))
    best[0, 0, 0] = num_classes - 1
    scores = torch.nn.functional.one_hot(best, num_classes).permute(0, 3, 1, 2).float()
    maps = Maps((1, 3, 4), num_classes, probabilities=False, entropy=False)

    maps.put(0, 0, scores, is_probability=False)

    (prediction,) = maps.split()
    assert prediction.label.dtype == kind
    np.testing.assert_array_equal(prediction.label, best[0].numpy())
