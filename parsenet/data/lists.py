"""Lists of names, and the files they ask for: found, or refused with a sentence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path, PureWindowsPath

from parsenet.errors import ConfigError, DataNotFoundError, suggest


def refuse_split(dataset: str, split: str, known: Sequence[str]) -> None:
    """Refuse a split that a data set does not have."""
    if split not in known:
        raise ConfigError(
            f"`split` of {dataset} must be one of {', '.join(known)}, got '{split}'. "
            f"{suggest(split, known)}"
        )


def find_base(root: Path, below: Iterable[str], marker: str, dataset: str, remedy: str) -> Path:
    """Return the folder that holds `marker`: the root, or the first of those below it."""
    for base in (root, *(root / name for name in below)):
        if (base / marker).exists():
            return base
    raise DataNotFoundError(
        f"{dataset} was not found in '{root}': '{marker}' is missing. {remedy} and set `data.root` "
        f"to the folder that holds '{marker}'."
    )


def fill_template(template: str, field: str, **words: str) -> str:
    """Put words into a template such as `labels/{split}/{stem}.png`, given for that option."""
    try:
        return template.format(**words)
    except (KeyError, IndexError, ValueError):
        known = " and ".join(f"`{{{word}}}`" for word in words)
        raise ConfigError(
            f"`{field}` must use no placeholder but {known}, got '{template}'. "
            "Write '{{' for a brace."
        ) from None


def read_ids(path: Path, missing: str) -> list[str]:
    """Read the ids of a split, one per line.

    Lines may hold paths, also two of them (DeepLab's and SegNet's lists) or with backslashes
    (SIFT Flow's): an id is the name of the first file without its ending.

    Raises:
        DataNotFoundError: there is no such file (`missing` says so), or it names nothing.
        ConfigError: a name comes twice.
    """
    if not path.is_file():
        raise DataNotFoundError(missing)
    lines = path.read_text(encoding="utf-8-sig").split("\n")
    # As Windows reads it, both slashes part folders.
    ids = [PureWindowsPath(line.split()[0]).stem for line in lines if line.strip()]
    if not ids:
        raise DataNotFoundError(
            f"'{path}' must name at least one image, got none. Write one name per line."
        )
    if twice := repeated(ids):
        raise ConfigError(f"'{path}' must name an image once, got '{twice}' twice. Delete one.")
    return ids


def repeated(names: Sequence[str]) -> str | None:
    """Return the commonest name where one comes twice."""
    return next((name for name, times in Counter(names).most_common(1) if times > 1), None)


def require_files(folder: Path, names: Sequence[str], dataset: str, remedy: str) -> None:
    """Refuse a folder in which files are missing; the remedy is for one that is not there."""
    if not folder.is_dir():
        raise DataNotFoundError(
            f"{dataset} is not complete: the folder '{folder}' is missing. {remedy}"
        )
    there = {path.name for path in folder.iterdir()}
    missing = [name for name in names if name not in there]
    if missing:
        raise DataNotFoundError(
            f"{dataset} is not complete: {len(missing)} of {len(names)} files are missing in "
            f"'{folder}', the first is '{missing[0]}'. Copy them there or shorten the split's list."
        )
