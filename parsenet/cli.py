"""The command line: one table of commands, each a plain function of its options.

Nothing here imports torch before a command runs, so that `--help` is quick.
"""

from __future__ import annotations

import errno
import logging
import signal
import sys
import threading
import typing
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from parsenet.errors import ParseNetError, suggest
from parsenet.version import __version__


class Command(NamedTuple):
    """A line of the table."""

    function: str
    """`module:function` below `parsenet.commands`, or with its whole path. It takes its options, a
    frozen dataclass named
    by its annotation, or the raw words; it returns the exit code."""
    summary: str
    example: str


COMMANDS = {
    "fit": Command("train:main", "train a network", "--config configs/shapes/demo.yaml"),
    "validate": Command(
        "train:main", "score it on `val_split`", "--config C.yaml --ckpt_path BEST.ckpt"
    ),
    "test": Command(
        "train:main", "score it on `test_split`", "--config C.yaml --ckpt_path BEST.ckpt"
    ),
    "predict": Command(
        "predict:predict", "label images, videos", "photo.jpg photos/ --save label,overlay"
    ),
    "submit": Command("predict:submit", "pack VOC's test set", "model.safetensors --root VOC2012"),
    "export": Command("export:export", "for other runtimes", "model.safetensors --out model.onnx"),
    "serve": Command("parsenet.serve:serve", "a page to look at labels", "model.safetensors"),
    "score": Command("scores:score", "score label maps", "--pred DIR --gt DIR --taxonomy voc2012"),
    "compare": Command(
        "scores:compare", "two scores, with a test", "A/metrics.json B/metrics.json"
    ),
    "dialects": Command("scores:dialects", "what others would report", "A/metrics.json"),
    "report": Command("scores:report", "redraw a run's report", "runs/demo"),
    "ablate": Command("ablate:ablate", "a grid of experiments", "configs/ablations/shapes.yaml"),
    "doctor": Command("data:doctor", "find faults in data", "CONFIG_OR_DIR --out check/"),
    "browse": Command("data:browse", "look at training data", "CONFIG_OR_DIR --out sheets/"),
    "figures scales": Command(
        "figures:scales", "how large features are", "MODEL --data C.yaml --out figures/"
    ),
    "figures receptive-field": Command(
        "figures:receptive_field", "how far layers see", "MODEL photo.jpg --out figures/"
    ),
    "figures context": Command(
        "figures:context", "what context gains", "WITH WITHOUT --data C.yaml --out figures/"
    ),
}
"""Each command; a name of two words is a command below another, such as `figures scales`."""

_NO_PLACE = {
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EEXIST, errno.ENOTDIR,
}  # fmt: skip
"""What the file system refuses: no permission, read-only, full, a file in a folder's place."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: the words after `parsenet`; None for the process's own.

    Returns:
        the exit code: 0 done, 1 done in part (some images failed) or errors found, 2 refused.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help"):
        print(_usage(COMMANDS), end="")
        return 0 if words else 2
    if words[0] == "--version":
        print(f"parsenet {__version__}")
        return 0
    return _answered(partial(_run, words))


def run_script(
    script: str, function: Callable[[Any], int], words: Sequence[str] | None = None
) -> int:
    """Run a function of options as a command is run, for the scripts in `data_tools/`.

    Args:
        script: its path, for messages.
        function: takes `options`, a frozen dataclass named by its annotation.
        words: the words after the script; None for the process's own.

    Returns:
        the exit code, as that of `main`.
    """
    from parsenet.options import parse_options

    def run() -> int:
        kind = typing.get_type_hints(function)["options"]
        options = parse_options(kind, sys.argv[1:] if words is None else words, f"python {script}")
        with _heeding_termination():
            return function(options)

    return _answered(run)


def _answered(run: Callable[[], int]) -> int:
    """Turn what ends a command into a sentence and an exit code."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        return run()
    except ParseNetError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        if error.errno not in _NO_PLACE:
            raise
        path = Path(error.filename or "")
        if path.suffix == ".part":  # the name that a file has while it is written
            path = path.parent
        where = f"'{path}'" if error.filename else "A file"
        is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        way_out = "Make room and run it again" if is_full else "Choose another place"
        print(
            f"error: {where} cannot be read or written ({error.strerror}). {way_out}.",
            file=sys.stderr,
        )
        return 2
    except KeyboardInterrupt:
        print("error: interrupted. Files that were written are complete.", file=sys.stderr)
        return 130


def _run(words: list[str]) -> int:
    """Find the command, make its options, call it."""
    name = " ".join(words[:2])
    if name not in COMMANDS:
        name = words[0]
    below = {key: command for key, command in COMMANDS.items() if key.startswith(f"{name} ")}
    if name not in COMMANDS and below:
        if not words[1:] or words[1] in ("-h", "--help"):
            print(_usage(below), end="")
            return 0 if words[1:] else 2
        kinds = [key.split()[1] for key in below]
        raise ParseNetError(f"`{name}` has no '{words[1]}'. {suggest(words[1], kinds)}")
    if name not in COMMANDS:
        raise ParseNetError(f"`parsenet` has no command '{name}'. {suggest(name, COMMANDS)}")
    module, _, attribute = COMMANDS[name].function.partition(":")
    function: Callable[[Any], int] = getattr(
        import_module(module if "." in module else f"parsenet.commands.{module}"), attribute
    )
    kind = typing.get_type_hints(function).get("options")
    if kind is None:
        return function(words)
    from parsenet.options import parse_options

    epilog = f"Example: parsenet {name} {COMMANDS[name].example}"
    options = parse_options(kind, words[len(name.split()) :], name, epilog)
    with _heeding_termination():
        return function(options)


def _usage(commands: dict[str, Command]) -> str:
    """Write the table."""
    width = max(map(len, commands))
    lines = [
        f"  {name:{width}}  {command.summary:24}  parsenet {name} {command.example}"
        for name, command in commands.items()
    ]
    return "\n".join([
        "usage: parsenet COMMAND [options]\n",
        "ParseNet: Looking Wider to See Better. Semantic segmentation with global context and "
        "L2Norm.\n\ncommands:",
        *lines,
        "\n`parsenet COMMAND --help` lists the options of a command. `fit`, `validate` and "
        "`test` take every\noption of Lightning's Trainer, a `--config FILE.yaml`, and "
        "`--print_config`.\n",
    ])


@contextmanager
def _heeding_termination() -> Iterator[None]:
    """Let SIGTERM, which batch systems send, end a command as Ctrl-C does: with complete files."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
