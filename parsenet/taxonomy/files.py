"""Taxonomy files: the classes of your own masks, and which stored values make up each.

Everything in a file that is a number or a colour is what the mask stores:

1. a stored value belongs to the class whose `from` lists it; without any `from`, value i is the
   i-th class, or with `reduce_zero_label: true` value i + 1 is, and 0 is void;
2. what `ignore` lists becomes void: stored values, stored colours, or whole classes by name, which
   then are no classes any more and the later ones move up;
3. the void value (255) and the void colour are void unless a class claims them;
4. any other stored value is refused.

RGB masks go by the classes' colours, and by the colours listed in `from` and `ignore`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from parsenet.errors import ConfigError, suggest
from parsenet.files import read_yaml
from parsenet.taxonomy.classes import (
    HIGHEST,
    VOID_COLOUR,
    Colour,
    Recoding,
    Taxonomy,
    voc_colour_map,
    void_of,
)
from parsenet.taxonomy.known import taxonomy_named

_KEYS = ("name", "names", "palette", "classes", "void", "ignore", "reduce_zero_label", "map")
_CLASS_KEYS = ("name", "from", "colour")
_REMEDY = "Give it to a class with `from`, or add it to `ignore`."


class LabelSet(NamedTuple):
    """Classes, and the way from stored values to them; None where the two are the same."""

    taxonomy: Taxonomy
    recoding: Recoding | None


class _Class(NamedTuple):
    """A line of the file: `sources` is None where the position tells the stored value."""

    name: str
    colour: Colour
    sources: tuple[int | Colour, ...] | None
    is_coloured: bool
    """Whether the file gives the colour; otherwise it is VOC's."""


def taxonomy_from(name: str) -> Taxonomy:
    """Do as `label_set_from`, but refuse a file that says that stored values are no class indices.

    Raises:
        DataNotFoundError: there is no such file.
        ConfigError: there is no taxonomy of that name, or the file recodes.
    """
    taxonomy, recoding = label_set_from(Path(name))
    if recoding is not None:
        raise ConfigError(
            f"`taxonomy` must describe maps of class indices here, got '{name}', which recodes "
            "stored values. List the classes alone in a file, with `names:`, and give label maps "
            "that hold them; `parsenet validate` scores masks as they are."
        )
    return taxonomy


def label_set_from(name: Path, folder: Path | None = None) -> LabelSet:
    """Look up a built-in taxonomy, or read a YAML file, seen from here or from `folder`.

    Raises:
        DataNotFoundError: there is no such file.
        ConfigError: there is no taxonomy of that name, or the file says something that cannot be.
    """
    if name.suffix not in (".yaml", ".yml"):
        return LabelSet(taxonomy_named(str(name)), None)
    if folder is not None and not name.is_file():
        name = folder / name
    return read_label_set(name)


def read_label_set(path: Path) -> LabelSet:
    """Read a taxonomy file.

    Args:
        path: YAML with `names` (and optionally `palette`), or with `classes`; also `name`, `void`,
            `ignore` and `reduce_zero_label`. A COCO category `map` is left to its reader.

    Raises:
        DataNotFoundError: the file is missing.
        ConfigError: it says something that cannot be.
    """
    record = read_record(path)
    classes = _read_classes(record, path)
    listed = record.get("ignore") or []
    ignored = {
        value if isinstance(value, str) else _read_source(value, "`ignore`", path)
        for value in (listed if isinstance(listed, list) else [listed])
    }
    names = [entry.name for entry in classes]
    if unknown := [value for value in ignored if isinstance(value, str) and value not in names]:
        raise ConfigError(
            f"`ignore` in '{path}' must name a class, got '{unknown[0]}'. "
            f"{suggest(unknown[0], names)}"
        )
    reduced = record.get("reduce_zero_label", False)
    if not isinstance(reduced, bool):
        raise ConfigError(f"`reduce_zero_label` in '{path}' must be true or false, got {reduced}.")
    if reduced and classes[0].sources is not None:
        raise ConfigError(
            f"`reduce_zero_label` and `from` in '{path}' must not be used together: `from` lists "
            "the values as stored. Put 0 into `ignore` instead."
        )
    kept = [
        entry
        for position, entry in enumerate(classes)
        if entry.name not in ignored and (position + reduced not in ignored or entry.sources)
    ]
    if not kept:
        raise ConfigError(f"`ignore` in '{path}' must leave a class, got all of them.")
    void = record.get("void", void_of(len(kept)))
    if not isinstance(void, int) or isinstance(void, bool):
        raise ConfigError(f"`void` in '{path}' must be a number, got {void!r}. Use 255.")
    shown = tuple(entry.name for entry in kept), tuple(entry.colour for entry in kept)
    taxonomy = Taxonomy(record.get("name", path.stem), *shown, void)
    if not ignored and not reduced and all(entry.sources is None for entry in classes):
        return LabelSet(taxonomy, None)
    return LabelSet(taxonomy, _recode(taxonomy, classes, ignored, int(reduced), path))


def read_record(path: Path) -> dict[str, Any]:
    """Read a taxonomy file as it stands, and refuse unknown keys."""
    record = read_yaml(path, "names: [road, car]")
    if not {"names", "classes"} & set(record):
        raise ConfigError(
            f"'{path}' must hold a list called `names` (or `classes`), got "
            f"{', '.join(map(str, record))}. Write `names: [road, car]`."
        )
    _refuse_unknown(record, _KEYS, f"'{path}' must hold")
    return record


def _refuse_unknown(record: dict[str, Any], known: tuple[str, ...], what: str) -> None:
    for key in record:
        if key not in known:
            raise ConfigError(f"{what} known keys, got '{key}'. {suggest(str(key), known)}")


def _read_classes(record: dict[str, Any], path: Path) -> list[_Class]:
    if "names" in record and "classes" in record:
        raise ConfigError(f"'{path}' must hold `names` or `classes`, got both. Keep one of them.")
    entries = record["classes"] if "classes" in record else record["names"]
    if not isinstance(entries, list) or not entries:
        raise ConfigError(f"The classes in '{path}' must be a list, got {entries!r}.")
    palette = record.get("palette") or voc_colour_map(len(entries))
    if "palette" in record and "classes" in record:
        raise ConfigError(
            f"`palette` in '{path}' must not come with `classes`. Give each class its `colour`."
        )
    if len(palette) != len(entries):
        raise ConfigError(
            f"`palette` in '{path}' must have one colour per class, got {len(palette)} colours "
            f"for {len(entries)} names. Leave it out to use the VOC colours."
        )
    classes = [
        _read_class(entry, colour, "palette" in record, path)
        for entry, colour in zip(entries, palette, strict=True)
    ]
    without = [entry.name for entry in classes if entry.sources is None]
    if 0 < len(without) < len(classes):
        raise ConfigError(
            f"`classes` in '{path}' must all have `from` or none, got '{without[0]}' without. "
            "Without `from`, a class's position is its stored value."
        )
    return classes


def _read_class(entry: object, colour: object, is_coloured: bool, path: Path) -> _Class:
    given = entry if isinstance(entry, dict) else {"name": entry}
    _refuse_unknown(given, _CLASS_KEYS, f"A class in '{path}' must have")
    name = given.get("name")
    if not isinstance(name, str):
        # YAML takes yes, no, on and off for truth values, and 7 for a number.
        raise ConfigError(
            f"A class in '{path}' must have a name, got {name!r}. Write it in quotes."
        )
    sources = None
    if "from" in given:
        listed = given["from"] if isinstance(given["from"], list) else [given["from"]]
        sources = tuple(_read_source(value, f"`from` of '{name}'", path) for value in listed)
    stored = [value for value in sources or () if not isinstance(value, int)]
    colour = given.get("colour", stored[0] if stored else colour)
    shown = _read_source(colour, f"The colour of '{name}'", path)
    if isinstance(shown, int):
        raise ConfigError(
            f"The colour of '{name}' in '{path}' must be [red, green, blue], got {shown}."
        )
    return _Class(name, shown, sources, is_coloured or "colour" in given or bool(stored))


def _read_source(value: object, field: str, path: Path) -> int | Colour:
    """Check a stored value or colour."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= HIGHEST:
        return value
    if isinstance(value, list | tuple) and len(value) == 3:
        red, green, blue = value
        if all(isinstance(part, int) and 0 <= part <= 255 for part in value):
            return (red, green, blue)
    raise ConfigError(
        f"{field} in '{path}' must be a stored value in 0..{HIGHEST} or a colour "
        f"[red, green, blue] in 0..255, got {value!r}."
    )


def _recode(
    taxonomy: Taxonomy,
    classes: list[_Class],
    ignored: set[int | str | Colour],
    offset: int,
    path: Path,
) -> Recoding:
    indices = {name: index for index, name in enumerate(taxonomy.names)}
    meaning: dict[int | Colour, int] = dict.fromkeys((taxonomy.void, VOID_COLOUR), taxonomy.void)
    if offset:
        meaning[0] = taxonomy.void
    givers: dict[int | Colour, str] = {}
    # VOC's colours count only where the file gives none at all: one that nobody wrote down must
    # not clash with one that somebody did.
    some_coloured = any(entry.is_coloured for entry in classes)
    for position, entry in enumerate(classes):
        colours = (entry.colour,) if entry.is_coloured or not some_coloured else ()
        sources = (position + offset,) if entry.sources is None else entry.sources
        for source in (*sources, *colours):
            if givers.setdefault(source, entry.name) != entry.name:
                raise ConfigError(
                    f"Every stored value in '{path}' must belong to one class, got {source} for "
                    f"both '{givers[source]}' and '{entry.name}'. Take it from one of them."
                )
            meaning[source] = indices.get(entry.name, taxonomy.void)
    for value in ignored:
        if isinstance(value, str):
            continue
        if givers.get(value) in indices:
            raise ConfigError(
                f"`ignore` in '{path}' must not list what a class is made of, got {value} of "
                f"'{givers[value]}'. Take it from one of them."
            )
        meaning[value] = taxonomy.void
    by_value = {source: index for source, index in meaning.items() if isinstance(source, int)}
    by_colour = {source: index for source, index in meaning.items() if not isinstance(source, int)}
    return Recoding(taxonomy, by_value, by_colour, _REMEDY)
