"""Files: their natural order, YAML of named values, and writing atomically."""

import re
import uuid
from pathlib import Path
from typing import Any

from parsenet.errors import ConfigError, DataNotFoundError

_MOST_VALUES, _DEEPEST = 100_000, 50
"""What a config may hold; the largest of ours has some hundred values, six deep."""


def read_yaml(path: Path, example: str) -> dict[str, Any]:
    """Read a YAML file that names its values, such as the line `example` does.

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
        _count_values(yaml.compose(text, yaml.SafeLoader))
        record = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # no text; a 13th month
        reason = " ".join(str(error).split())
        raise ConfigError(f"'{path}' must be a YAML file, got '{reason}'. Check it.") from None
    if not isinstance(record, dict):
        what = "nothing" if record is None else type(record).__name__
        raise ConfigError(
            f"'{path}' must hold named values, got {what}. Begin with a line such as `{example}`."
        )
    return record


def _count_values(node: Any, depth: int = 0, known: dict[int, int] | None = None) -> int:  # noqa: ANN401 - a node of yaml
    """Count the values below a node as they stand when every `*alias` is written out.

    A ValueError says that there are too many for a config (a few aliases of aliases make billions),
    or that a name stands twice in a mapping: the parser would drop the first.
    """
    import yaml

    known = {} if known is None else known
    if id(node) not in known:
        if depth > _DEEPEST:
            raise ValueError(f"values nested more than {_DEEPEST} deep")
        known[id(node)] = _MOST_VALUES  # of an alias that holds itself
        below = node.value if isinstance(node, yaml.SequenceNode) else []
        if isinstance(node, yaml.MappingNode):
            below = [value for _, value in node.value]
            names = [name.value for name, _ in node.value if isinstance(name, yaml.ScalarNode)]
            for name, _ in node.value:
                if names.count(name.value) > 1:
                    line = name.start_mark.line + 1
                    raise ValueError(f"`{name.value}` more than once, first in line {line}")
        known[id(node)] = 1 + sum(_count_values(value, depth + 1, known) for value in below)
    if known[id(node)] > _MOST_VALUES:
        raise ValueError(f"more than {_MOST_VALUES:,} values")
    return known[id(node)]


def write_bytes_atomically(path: Path, data: bytes) -> None:
    """Write a file so that nobody ever sees half of it; missing folders are made.

    The bytes go to a hidden name in the same folder, which then takes the file's place in one
    step. An interruption, Ctrl-C included, leaves the old file or none.
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
