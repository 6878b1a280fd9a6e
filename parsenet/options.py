"""From words on a command line to frozen dataclasses, and from the sections of a YAML file.

Every command's options are a frozen dataclass: a field is an option, the line under it its help, a
field that is itself a dataclass adds its own fields. Nothing here imports torch.
"""

from __future__ import annotations

import dataclasses
import json
import re
import typing
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from parsenet.errors import ConfigError, suggest

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace

T = TypeVar("T")

_NARGS, _OVERRIDES = "nargs", "overrides"

_KINDS = {"float": "a number", "int": "a whole number", "Path": "a path", "str": "a text"}


def positional(nargs: str | None = None, default: Any = dataclasses.MISSING) -> Any:  # noqa: ANN401 - a field of any type
    """Declare a field that is given by its place: one word, or `+`, `*` and `?` as in argparse."""
    return dataclasses.field(default=default, metadata={_NARGS: nargs})


def overrides_of(section: str) -> Any:  # noqa: ANN401 - as above
    """Declare the field that takes options of a section, `--data.root DIR`, as they were typed."""
    return dataclasses.field(default=(), metadata={_OVERRIDES: section})


def parse_options(options: type[T], words: Sequence[str], command: str, epilog: str = "") -> T:
    """Turn the words behind a command into its options; `--help` prints them and exits.

    Dashes and underscores in the name of an option are the same.

    Raises:
        ConfigError: an option is unknown, missing, or has a wrong value.
    """
    from jsonargparse import ArgumentError, ArgumentParser

    parser = ArgumentParser(prog=command, epilog=epilog, exit_on_error=False, allow_abbrev=False)
    words, overrides = _split(options, words)
    wants_help = "-h" in words or "--help" in words
    if wants_help:
        from argparse import HelpFormatter

        parser.prog, parser.formatter_class = _program(command), HelpFormatter
        parser.description = " ".join((options.__doc__ or "").split("\n\n")[0].split())
    _add_fields(parser, options, wants_help)
    try:
        given = vars(parser.parse_args(words).as_flat())
    except ArgumentError as error:
        known = parser._option_string_actions
        raise ConfigError(_explain_value(str(error), command, known)) from error
    return _build(options, given | overrides)


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
    words = [f"--{key}={json.dumps(values, default=str)}" for key, values in given.items()]
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
    """Turn a complaint of the parser into one sentence, with the closest known option."""
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
    if not wrong:
        return explain(message, command, options)
    name, kind, value = wrong.groups()
    if words := re.search(r"Literal\[(.*?)\]", kind):
        rule = f"one of {words[1].replace(chr(39), '')}"
    else:
        found = re.search("|".join(_KINDS), message)
        rule = _KINDS[found[0]] if found else kind
        if word := re.search(r"Literal\['(\w+)'\]", message):
            rule += f" or {word[1]}"
    return f"`{name}` must be {rule}, got '{value}'."


def _split(options: type, words: Sequence[str]) -> tuple[list[str], dict[str, Any]]:
    """Spell the names of options as fields are, and take out those of a section."""
    fields = {
        field.metadata[_OVERRIDES]: field.name
        for field in dataclasses.fields(options)
        if _OVERRIDES in field.metadata
    }
    rest: list[str] = []
    found: dict[str, Any] = dict.fromkeys(fields.values(), ())
    wanted = ""  # the field that takes the value of the option before
    for word in words:
        name, equals, value = word.partition("=")
        if re.match(r"--[a-z]", name):
            word = f"--{name[2:].replace('-', '_')}{equals}{value}"
        section = re.match(r"--(\w+)\.", word)
        field = fields.get(section[1], "") if section else wanted
        wanted = field if section and not equals else ""
        if field:
            found[field] += (word,)
        else:
            rest.append(word)
    return rest, found


def _add_fields(parser: ArgumentParser, options: type, wants_help: bool) -> None:
    """Add an option without a default for each field, also of the dataclasses among them."""
    hints, texts = typing.get_type_hints(options), _help_texts(options) if wants_help else {}
    for field in dataclasses.fields(options):
        hint, has_default = hints[field.name], field.default is not dataclasses.MISSING
        settings: dict[str, Any] = {"help": texts.get(field.name)}
        if dataclasses.is_dataclass(hint):
            _add_fields(parser, typing.cast(type, hint), wants_help)
        elif _NARGS in field.metadata:
            nargs, kind = field.metadata[_NARGS], _item(hint) or hint
            settings |= {"nargs": nargs} if nargs else {}
            parser.add_argument(field.name, type=kind, metavar=field.name.upper(), **settings)
        elif _OVERRIDES not in field.metadata:
            if hint is bool:
                settings["action"] = "store_true"
            else:  # tuples are written with commas, which `_build` splits at
                settings |= {"type": str if _item(hint) else hint, "required": not has_default}
            # Words of Python, such as `from`, are fields with an underscore behind them.
            parser.add_argument(f"--{field.name.rstrip('_')}", dest=field.name, **settings)


def _help_texts(options: type) -> dict[str, str]:
    """Return the line under each field of a dataclass, with the default where there is one."""
    from docstring_parser import parse_from_object

    texts = {x.arg_name: x.description or "" for x in parse_from_object(options).params}
    for field in dataclasses.fields(options):
        default = field.default
        text = " ".join(texts.get(field.name, "").split())
        if _NARGS not in field.metadata and default not in (None, False, dataclasses.MISSING):
            shown = ",".join(map(str, default)) if isinstance(default, tuple) else default
            text += f" (default: {shown})"
        texts[field.name] = text.replace("%", "%%")
    return texts


def _item(hint: Any) -> Any:  # noqa: ANN401 - a type, or what stands for one
    """Return the type of the values of a tuple, or of one that may be missing; else None."""
    for kind in (hint, *typing.get_args(hint)):
        if typing.get_origin(kind) is tuple:
            return typing.get_args(kind)[0]
    return None


def _build(options: type[T], given: Mapping[str, Any]) -> T:
    """Make the dataclass, and those inside it; what was not given keeps its default."""
    values: dict[str, Any] = {}
    hints = typing.get_type_hints(options)
    for field in dataclasses.fields(typing.cast(Any, options)):
        hint, value = hints[field.name], given.get(field.name)
        if dataclasses.is_dataclass(hint):
            value = _build(typing.cast(type, hint), given)
        elif isinstance(value, list):
            value = tuple(value)
        elif isinstance(value, str) and (item := _item(hint)):
            try:
                value = tuple(item(word.strip()) for word in value.split(",") if word.strip())
            except ValueError:
                rule = {float: "numbers", int: "whole numbers"}[item]
                raise ConfigError(
                    f"`--{field.name}` must be {rule} with commas between them, got '{value}'."
                ) from None
        if value is not None:
            values[field.name] = value
    return options(**values)
