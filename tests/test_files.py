import re
from pathlib import Path

import pytest

from parsenet.errors import ConfigError, DataNotFoundError
from parsenet.files import read_yaml, write_bytes_atomically


@pytest.fixture
def interrupted(monkeypatch):
    """Make every write stop half way, as Ctrl-C does."""

    def write_half(path: Path, data: bytes) -> int:
        with path.open("wb") as file:
            file.write(data[: len(data) // 2])
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_bytes", write_half)


def test_file_holds_the_bytes(tmp_path):
    write_bytes_atomically(tmp_path / "a.bin", b"12345")

    assert (tmp_path / "a.bin").read_bytes() == b"12345"


def test_existing_file_is_replaced(tmp_path):
    (tmp_path / "a.bin").write_bytes(b"old and longer")

    write_bytes_atomically(tmp_path / "a.bin", b"new")

    assert (tmp_path / "a.bin").read_bytes() == b"new"


def test_missing_folders_are_made(tmp_path):
    write_bytes_atomically(tmp_path / "deep" / "down" / "a.bin", b"1")

    assert (tmp_path / "deep" / "down" / "a.bin").is_file()


def test_nothing_else_is_left_in_the_folder(tmp_path):
    write_bytes_atomically(tmp_path / "a.bin", b"1")

    assert [path.name for path in tmp_path.iterdir()] == ["a.bin"]


def test_longest_file_name_works(tmp_path):
    write_bytes_atomically(tmp_path / ("n" * 255), b"1")

    assert (tmp_path / ("n" * 255)).is_file()


@pytest.mark.usefixtures("interrupted")
def test_interrupted_write_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        write_bytes_atomically(tmp_path / "a.bin", b"12345")

    assert list(tmp_path.iterdir()) == []


def test_interrupted_write_leaves_the_old_file(tmp_path, request):
    (tmp_path / "a.bin").write_bytes(b"old")
    request.getfixturevalue("interrupted")

    with pytest.raises(KeyboardInterrupt):
        write_bytes_atomically(tmp_path / "a.bin", b"12345")

    assert (tmp_path / "a.bin").read_bytes() == b"old"


def test_yaml_file_is_read(tmp_path):
    (tmp_path / "a.yaml").write_text("names: [Straße]\n", encoding="utf-8")

    assert read_yaml(tmp_path / "a.yaml", "names: []") == {"names": ["Straße"]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "'FILE' must hold named values, got nothing. Begin with a line such as `a: 1`."),
        (b"[1]", "'FILE' must hold named values, got list. Begin with a line such as `a: 1`."),
    ],
)
def test_file_without_named_values_is_refused(tmp_path, content, message):
    path = tmp_path / "a.yaml"
    path.write_bytes(content)

    with pytest.raises(ConfigError, match=f"^{re.escape(message.replace('FILE', str(path)))}$"):
        read_yaml(path, "a: 1")


@pytest.mark.parametrize("content", [b"a: [1", b"a: 2026-13-01", b"\xff\xfe"])
def test_file_that_is_no_yaml_is_refused(tmp_path, content):
    path = tmp_path / "a.yaml"
    path.write_bytes(content)

    with pytest.raises(ConfigError, match=r"a\.yaml' must be a YAML file, got '.+'\. Check it\.$"):
        read_yaml(path, "a: 1")


def test_folder_is_no_yaml_file(tmp_path):
    message = f"'{tmp_path}' must be a YAML file, got a folder. Check the path."
    with pytest.raises(DataNotFoundError, match=f"^{re.escape(message)}$"):
        read_yaml(tmp_path, "a: 1")


def test_name_that_stands_twice_is_refused(tmp_path):
    """The parser would keep the second and drop the first without a word."""
    path = tmp_path / "a.yaml"
    path.write_text("rows:\n  fc7: {a: 1}\n  both: {}\n  fc7: {a: 2}\n")
    message = (
        f"'{path}' must be a YAML file, got '`fc7` more than once, first in line 2'. Check it."
    )

    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        read_yaml(path, "a: 1")


LAUGHS = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 40))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (LAUGHS, "more than 100,000 values"),
        ("a: &a [*a]", "more than 100,000 values"),
        ("a: " + "[" * 60 + "]" * 60, "values nested more than 50 deep"),
        ("a: " + "[" * 3000 + "]" * 3000, "maximum recursion depth exceeded"),
    ],
)
def test_yaml_that_would_never_end_is_refused(text, reason, tmp_path):
    path = tmp_path / "bomb.yaml"
    path.write_text(text)

    with pytest.raises(ConfigError, match=f"^'{path}' must be a YAML file, got '{reason}"):
        read_yaml(path, "a: 1")
