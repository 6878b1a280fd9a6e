"""Files: their natural order, YAML of named values, and writing atomically."""

import re
import uuid
from pathlib import Path
from typing import Any

from parsenet.errors import ConfigError, DataNotFoundError


def read_yaml(path: Path, example: str) -> dict[str, Any]:
    """Read a YAML file that names its values.

    Args:
        path: the file.
        example: a line that such a file may begin with, for messages.

    Raises:
        DataNotFoundError: there is no such file.
        ConfigError: it is no YAML, or holds no names.
    """
    import yaml

    if not path.is_file():
        what = "a folder" if path.is_dir() else "nothing there"
        raise DataNotFoundError(f"'{path}' must be a YAML file, got {what}. Check the path.")
    try:
        text = path.read_text(encoding="utf-8")
        _refuse_names_given_twice(yaml.compose(text, yaml.SafeLoader))
        record = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:  # bytes that are no text; a 13th month
        reason = " ".join(str(error).split())
        raise ConfigError(f"'{path}' must be a YAML file, got '{reason}'. Check it.") from None
    if not isinstance(record, dict):
        what = "nothing" if record is None else type(record).__name__
        raise ConfigError(
            f"'{path}' must hold named values, got {what}. Begin with a line such as `{example}`."
        )
    return record


def _refuse_names_given_twice(node: Any) -> None:  # noqa: ANN401 - a node of yaml
    """Raise a ValueError for a name that stands twice in a mapping: the parser drops the first."""
    import yaml

    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _refuse_names_given_twice(item)
    if isinstance(node, yaml.MappingNode):
        names = [name.value for name, _ in node.value if isinstance(name, yaml.ScalarNode)]
        for name, value in node.value:
            if names.count(name.value) > 1:
                line = name.start_mark.line + 1
                raise ValueError(f"`{name.value}` more than once, first in line {line}")
            _refuse_names_given_twice(value)


def write_bytes_atomically(path: Path, data: bytes) -> None:
    """Write a file so that nobody ever sees half of it; missing folders are made.

    The bytes go to a hidden name in the same folder, which then takes the file's place in one
    step. An interruption, Ctrl-C included, leaves the old file or none.

    Args:
        path: file to write; an existing one is replaced.
        data: what it will hold.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        part.write_bytes(data)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def natural_key(path: Path) -> list[list[str | int]]:
    """Return a sorting key that puts `img2` before `img10`."""
    pieces = [re.split(r"([0-9]+)", part) for part in path.parts]
    return [[int(x) if i % 2 else x for i, x in enumerate(part)] for part in pieces]
