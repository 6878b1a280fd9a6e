import hashlib
import re

import pytest

from parsenet.errors import ConfigError
from parsenet.fetch.archive import Digest, digest_file


@pytest.mark.parametrize("algorithm", ["sha256", "sha1", "md5"])
def test_hash_is_that_of_the_whole_file(tmp_path, algorithm):
    data = bytes(range(256)) * 9000
    (tmp_path / "a").write_bytes(data)

    digest = digest_file(tmp_path / "a", algorithm)

    assert digest == Digest(algorithm, hashlib.new(algorithm, data).hexdigest())


@pytest.mark.parametrize("value", ["", "abc", "g" * 32, "A" * 32])
def test_hash_that_is_none_is_refused(value):
    message = f"A hash `md5` must have 32 digits of 0-9 and a-f, got '{value}'. Copy it again."
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        Digest("md5", value)
