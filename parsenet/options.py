"""From words on a command line to frozen dataclasses, and from the sections of a YAML file.

Every command's options are a frozen dataclass: a field is an option, the line under it its help, a
field that is itself a dataclass adds its own fields. Nothing here imports torch.
"""

from __future__ import annotations

import dataclasses
import json
import re
import types
import typing
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from parsenet.errors import ConfigError, suggest

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace

T = TypeVar("T")

_NARGS, _OVERRIDES = "nargs", "overrides"


def positional(nargs: str | None = None, default: Any = dataclasses.MISSING) -> Any:  # noqa: ANN401 - a field of any type
    """Declare a field that is given by its place, not by a name.

    Args:
        nargs: `+` or `*` for several words, `?` for one that may be missing, None for one.
        default: value where no word is given.
    """
    return dataclasses.field(default=default, metadata={_NARGS: nargs})


def overrides_of(section: str) -> Any:  # noqa: ANN401 - as above
    """Declare the field that takes options such as `--data.root DIR` as they were typed.

    Args:
        section: `data`, whose options `parse_sections` then lays over those of a file.
    """
    return dataclasses.field(default=(), metadata={_OVERRIDES: section})


def parse_options(options: type[T], words: Sequence[str], command: str, epilog: str = "") -> T:
    """Turn the words of a command line into options; `--help` prints them and exits.

    Dashes and underscores in the name of an option are the same.

    Args:
        options: frozen dataclass.
        words: those behind the command.
        command: its name, for messages and help; a script's begins with `python`.
        epilog: text below the help.

    Raises:
        ConfigError: an option is unknown, missing, or has a wrong value.
    """
    from argparse import SUPPRESS, Action

    from jsonargparse import ArgumentError, ArgumentParser, DefaultHelpFormatter

    class _Help(DefaultHelpFormatter):
        """Say the default where there is one, and no type of Python's."""

        def _get_help_string(self, action: Action) -> str:
            shown = action.default not in (None, False, SUPPRESS)
            if not action.option_strings or not shown or action.help is None:
                return action.help or ""
            if isinstance(action.default, tuple):
                return f"{action.help} (default: {','.join(map(str, action.default))})"
            return f"{action.help} (default: {action.default})"

    if not dataclasses.is_dataclass(options):
        raise TypeError(f"`options` must be a dataclass, got {options}.")
    overrides, words = _split_overrides(options, [_underscored(word) for word in words])
    parser = ArgumentParser(
        prog=_program(command),
        description=" ".join((options.__doc__ or "").split("\n\n")[0].split()),
        epilog=epilog,
        formatter_class=_Help,
        exit_on_error=False,
        allow_abbrev=False,
    )
    _add_fields(parser, options)
    try:
        given = parser.parse_args(words)
    except ArgumentError as error:
        known = parser._option_string_actions
        raise ConfigError(_explain_value(str(error), command, known)) from error
    return _build(options, vars(given.as_flat()), overrides)


def parse_sections(
    sections: Mapping[str, type],
    given: Mapping[str, Any],
    name: str,
    overrides: Sequence[str] = (),
) -> Namespace:
    """Turn the sections of a config into their dataclasses, as `parsenet fit` does.

    Args:
        sections: dataclass, or another type, of each section, such as `model.network`.
        given: plain values by section, as read from YAML; sections may be missing.
        name: where they are from, for messages.
        overrides: words of a command line, which win: `--data.root DIR`.

    Returns:
        a namespace with an object for each section.

    Raises:
        ConfigError: an option is unknown or has a wrong value.
    """
    from jsonargparse import ArgumentError, ArgumentParser

    parser = ArgumentParser(exit_on_error=False, allow_abbrev=False)
    for key, kind in sections.items():
        if dataclasses.is_dataclass(kind):
            parser.add_class_arguments(kind, key)
        else:
            parser.add_argument(f"--{key}", type=kind, default={} if kind is dict else None)
    words = [
        word
        for key, values in given.items()
        for word in (f"--{key}", json.dumps(values, default=str))
    ]
    try:
        with warnings.catch_warnings():  # jsonargparse's own, about its coming versions
            warnings.simplefilter("ignore")
            made: Namespace = parser.instantiate_classes(parser.parse_args([*words, *overrides]))
            return made
    except (ArgumentError, TypeError) as error:
        reason = " ".join(str(error).split())
        if isinstance(error, TypeError):  # the parser lets a null pass for any value
            reason = f"null or another wrong type ({reason})"
        raise ConfigError(f"The options of {name} must be right, got: {reason}.") from None


def explain(message: str, command: str, options: Iterable[str]) -> str:
    """Turn a complaint of the parser into one sentence, with the closest known option.

    Args:
        message: what the parser said.
        command: such as `fit`.
        options: those that it knows, such as `--run_dir`.
    """
    if denied := re.search(r"Importing '([^']+)' is not allowed", message):
        return (
            f"A config must name classes of Lightning, torch.optim or this package, got "
            f"'{denied[1]}'. If you trust it, add `--allow_classes {denied[1].split('.')[0]}`."
        )
    unknown = re.search(r"unrecognized arguments: (\S+)|not accept option '([^']+)'", message)
    if unknown is None:
        return " ".join(message.split())
    option = (unknown[1] or f"--{unknown[2]}").split("=")[0]
    if not option.startswith("-"):
        return f"`{command}` takes no '{option}'. `{_program(command)} --help` lists what it takes."
    closest = suggest(option, options)
    if closest.startswith("Known"):  # a few hundred of them
        closest = f"`{_program(command)} --help` lists them."
    return f"`{command}` has no option `{option}`. {closest}"


def _program(command: str) -> str:
    """Return what is typed to run a command; scripts are no commands of `parsenet`."""
    return command if command.startswith("python ") else f"parsenet {command}"


_KINDS = {"float": "a number", "int": "a whole number", "Path": "a path", "str": "a text"}


def _explain_value(message: str, command: str, options: Iterable[str]) -> str:
    """The same for options that are plain values: which one, what it must be, what it was."""
    message = " ".join(message.split())
    if missing := re.search(r"arguments are required: (.*)", message):
        names = " and ".join(f"`{name}`" for name in missing[1].split(", "))
        return f"`{command}` needs {names}, got nothing. `{_program(command)} --help` tells more."
    wrong = re.search(r'key "(\w+)": .*?Expected a (\S.*?)\. Got value: (.*)', message)
    wrong = wrong or re.search(
        r'key "(\w+)": .*?Expected a (.*?) (?:- |Given).*Given value: (.*)', message
    )
    if wrong:
        name, kind, value = wrong.groups()
        if words := re.search(r"Literal\[(.*?)\]", kind):
            rule = f"one of {words[1].replace(chr(39), '')}"
        else:
            found = re.search("|".join(_KINDS), message)
            rule = _KINDS[found[0]] if found else kind
        return f"`{name}` must be {rule}, got '{value}'."
    if listed := re.search(r"argument (--\w+): invalid (\w+),\.\.\. value: (.*)", message):
        rule = {"float": "numbers", "int": "whole numbers"}.get(listed[2], "words")
        return f"`{listed[1]}` must be {rule} with commas between them, got {listed[3]}."
    return explain(message, command, options)


def _underscored(word: str) -> str:
    """Write the name of an option as its field is called."""
    if not re.match(r"--[a-z]", word):
        return word
    name, equals, value = word.partition("=")
    return f"--{name[2:].replace('-', '_')}{equals}{value}"


def _split_overrides(options: type, words: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """Take out what belongs to a section, such as `--data.root DIR` or `--data.root=DIR`."""
    fields = {
        field.metadata[_OVERRIDES]: field.name
        for field in dataclasses.fields(options)
        if _OVERRIDES in field.metadata
    }
    found: dict[str, list[str]] = {name: [] for name in fields.values()}
    rest: list[str] = []
    wanted: list[str] | None = None  # where the value of the option before goes
    for word in words:
        section = re.match(r"--(\w+)\.", word)
        if section and section[1] in fields:
            place = found[fields[section[1]]]
            place.append(word)
            wanted = None if "=" in word else place
        else:
            (rest if wanted is None else wanted).append(word)
            wanted = None
    return {name: tuple(values) for name, values in found.items()}, rest


def _add_fields(parser: ArgumentParser, options: type) -> None:
    """Add an option for each field, also of the dataclasses among them."""
    from docstring_parser import parse_from_object

    hints = typing.get_type_hints(options)
    texts = {x.arg_name: x.description or "" for x in parse_from_object(options).params}
    for field in dataclasses.fields(options):
        hint, text = hints[field.name], " ".join(texts.get(field.name, "").split())
        if _OVERRIDES in field.metadata:
            continue
        if dataclasses.is_dataclass(hint):
            _add_fields(parser, typing.cast(type, hint))
            continue
        settings: dict[str, Any] = {"help": text}
        if hint is bool:
            settings["action"] = "store_true"
        else:
            settings["type"] = _reader(hint)
        if _NARGS in field.metadata:
            if field.metadata[_NARGS] is not None:
                settings["nargs"] = field.metadata[_NARGS]
            if field.default is not dataclasses.MISSING:
                settings["default"] = field.default
            settings["type"] = _item(hint)
            settings["metavar"] = field.name.upper()
            parser.add_argument(field.name, **settings)
            continue
        if field.default is dataclasses.MISSING:
            settings["required"] = True
        elif hint is not bool:
            settings["default"] = field.default
        # Words of Python, such as `from`, are fields with an underscore behind them.
        parser.add_argument(f"--{field.name.rstrip('_')}", dest=field.name, **settings)


def _item(hint: Any) -> Any:  # noqa: ANN401 - a type, or what stands for one
    """Return the type of one word of a positional."""
    inner = [x for x in typing.get_args(hint) if x is not types.NoneType and x is not Ellipsis]
    return inner[0] if inner else hint


def _reader(hint: Any) -> Any:  # noqa: ANN401 - as above
    """Return what reads a value: tuples are written with commas, `0.75,1,1.25`."""
    tuples = [x for x in (hint, *typing.get_args(hint)) if typing.get_origin(x) is tuple]
    return _Commas(_item(tuples[0])) if tuples else hint


class _Commas:
    """Reads values with commas between them."""

    def __init__(self, kind: type) -> None:
        self.kind = kind
        self.__name__ = f"{kind.__name__},..."

    def __call__(self, given: object) -> tuple[Any, ...] | None:
        """Read what was typed; the parser also hands back what was read before."""
        if not isinstance(given, str):
            return typing.cast("tuple[Any, ...] | None", given)
        try:
            return tuple(self.kind(word.strip()) for word in given.split(",") if word.strip())
        except ValueError:
            raise ValueError(
                f"must be values of type {self.kind.__name__} with commas between them, got "
                f"'{given}'"
            ) from None


def _build(options: type[T], given: Mapping[str, Any], overrides: Mapping[str, Any]) -> T:
    """Make the dataclass, and those inside it, from what was given."""
    hints = typing.get_type_hints(options)
    values: dict[str, Any] = {}
    for field in dataclasses.fields(typing.cast(Any, options)):
        hint = hints[field.name]
        if field.name in overrides:
            values[field.name] = overrides[field.name]
        elif dataclasses.is_dataclass(hint):
            values[field.name] = _build(typing.cast(type, hint), given, {})
        else:
            value = given[field.name]
            values[field.name] = tuple(value) if isinstance(value, list) else value
    return options(**values)
