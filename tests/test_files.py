"""Files appear atomically; YAML from strangers is read without surprises."""

import re
from pathlib import Path

import pytest

from parsenet.errors import ConfigError, DataNotFoundError
from parsenet.files import read_yaml, write_bytes_atomically


@pytest.mark.parametrize("name", ["a.bin", "deep/down/a.bin", "n" * 255])
def test_file_replaces_an_old_one_and_nothing_else_is_left(tmp_path, name):
    write_bytes_atomically(tmp_path / name, b"old and longer")
    write_bytes_atomically(tmp_path / name, b"12345")

    assert (tmp_path / name).read_bytes() == b"12345"
    assert list((tmp_path / name).parent.iterdir()) == [tmp_path / name]


@pytest.mark.parametrize("old", [[], [b"old"]])
def test_interrupted_write_leaves_the_old_file_or_none(tmp_path, monkeypatch, old):
    for content in old:
        (tmp_path / "a.bin").write_bytes(content)

    def write_half(path: Path, data: bytes) -> int:
        with path.open("wb") as file:
            file.write(data[: len(data) // 2])
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_bytes", write_half)

    with pytest.raises(KeyboardInterrupt):
        write_bytes_atomically(tmp_path / "a.bin", b"12345")

    assert [path.read_bytes() for path in tmp_path.iterdir()] == old


def test_yaml_file_is_read(tmp_path):
    (tmp_path / "a.yaml").write_text("names: [Straße]\n", encoding="utf-8")

    assert read_yaml(tmp_path / "a.yaml", "names: []") == {"names": ["Straße"]}


def test_folder_is_no_yaml_file(tmp_path):
    message = f"'{tmp_path}' must be a YAML file, got a folder. Check the path."
    with pytest.raises(DataNotFoundError, match=f"^{re.escape(message)}$"):
        read_yaml(tmp_path, "a: 1")


LAUGHS = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 40))
WRONG = "must be a YAML file, got '{}'. Check it."
NAMELESS = "must hold named values, got {}. Begin with a line such as `a: 1`."
REFUSED = [
    (b"", NAMELESS.format("nothing")),
    (b"[1]", NAMELESS.format("list")),
    (b"a: [1", "must be a YAML file, got 'while parsing a flow sequence"),
    (b"a: 2026-13-01", WRONG.format("month must be in 1..12")),
    (b"\xff\xfe", "must be a YAML file, got ''utf-8' codec can't decode"),
    (b"rows:\n  fc7: {a: 1}\n  both: {}\n  fc7: {a: 2}\n",
     WRONG.format("`fc7` more than once, first in line 2")),
    (LAUGHS.encode(), WRONG.format("more than 100,000 values")),
    (b"a: &a [*a]", WRONG.format("more than 100,000 values")),
    (b"a: " + b"[" * 60 + b"]" * 60, WRONG.format("values nested more than 50 deep")),
    (b"a: " + b"[" * 3000 + b"]" * 3000,
     "must be a YAML file, got 'maximum recursion depth exceeded"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "message"), REFUSED, ids=range(len(REFUSED)))
def test_what_is_no_config_is_refused_and_what_would_never_end(tmp_path, content, message):
    path = tmp_path / "a.yaml"
    path.write_bytes(content)

    with pytest.raises(ConfigError) as error:
        read_yaml(path, "a: 1")

    assert str(error.value).startswith(f"'{path}' {message}")
