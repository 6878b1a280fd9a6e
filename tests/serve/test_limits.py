import re

import pytest

from parsenet.errors import ConfigError
from parsenet.serve.limits import Limits


def test_megabytes_are_powers_of_two():
    assert Limits(megabytes=3).num_bytes == 3 * 1024 * 1024


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [("megabytes", 0, "1..1024"), ("megapixels", 179, "1..178"), ("queue", -1, "0..64")],
)
def test_limit_that_makes_no_sense_is_refused(name, value, allowed):
    with pytest.raises(
        ConfigError, match=f"^{re.escape(f'`{name}` must be in {allowed}, got {value}.')}$"
    ):
        Limits(**{name: value})
