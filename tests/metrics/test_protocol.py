import hashlib
import json
import re
from dataclasses import replace

import pytest

from parsenet.errors import ConfigError
from parsenet.metrics.protocol import Protocol, differences, hash_file

CARD = Protocol(
    "voc2012", "val", 1449, ("cat", "dog"), classes_absent=("cow",), checkpoint="0123456789abcdef"
)


def test_card_is_one_line_that_says_everything():
    assert str(CARD) == (
        "voc2012 val, 1,449 images, native size; void pixels left out of all counts; classes "
        "without ground truth left out of the means; means over 2 of 3 classes (without cow); "
        "test-time augmentation none; checkpoint sha256 0123456789ab"
    )


def test_card_survives_json():
    assert Protocol.from_dict(json.loads(json.dumps(CARD.to_dict()))) == CARD


@pytest.mark.parametrize("record", [{"dataset": "voc2012"}, {**CARD.to_dict(), "speed": 3}])
def test_card_with_missing_or_unknown_fields_is_refused(record):
    with pytest.raises(ConfigError, match=r"^`card` must hold the fields of a protocol card, got "):
        Protocol.from_dict(record)


def test_other_checkpoint_is_no_difference():
    assert differences(CARD, replace(CARD, checkpoint="fedc")) == {}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("dataset", "shapes"),
        ("split", "train"),
        ("num_images", 238),
        ("classes_counted", ("cat",)),
        ("classes_absent", ()),
        ("resolution", "resized"),
        ("void_rule", "void counted"),
        ("absent_rule", "absent classes score 0"),
        ("augmentation", "flip"),
    ],
)
def test_every_other_field_makes_a_difference(field, value):
    other = replace(CARD, **{field: value})

    assert differences(CARD, other) == {field: (getattr(CARD, field), value)}


def test_hash_is_that_of_the_files_bytes(tmp_path):
    (tmp_path / "model.ckpt").write_bytes(b"weights")

    assert hash_file(tmp_path / "model.ckpt") == hashlib.sha256(b"weights").hexdigest()


def test_message_tells_the_way_out():
    message = re.escape("Score again with this version.")

    with pytest.raises(ConfigError, match=f"{message}$"):
        Protocol.from_dict({})
