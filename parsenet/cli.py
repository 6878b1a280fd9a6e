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
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from parsenet.errors import ParseNetError, suggest
from parsenet.version import __version__


class Command(NamedTuple):
    """A line of the table."""

    function: str
    """`module:function` below `parsenet.commands`, or with its whole path. It takes `options`, a
    frozen dataclass named by its annotation, and returns the exit code; what takes the words
    themselves returns no code."""
    summary: str
    example: str


_TRAIN = "parsenet.engine.run:run"

COMMANDS = {
    "fit": Command(_TRAIN, "train a network", "--config configs/shapes/demo.yaml"),
    "validate": Command(_TRAIN, "score it on `val_split`", "--config C.yaml --ckpt_path BEST.ckpt"),
    "test": Command(_TRAIN, "score it on `test_split`", "--config C.yaml --ckpt_path BEST.ckpt"),
    "predict": Command("predict:predict", "label images, videos", "photo.jpg --save label,overlay"),
    "submit": Command("predict:submit", "pack VOC's test set", "model.safetensors --root VOC2012"),
    "export": Command("export:export", "for other runtimes", "model.safetensors --out model.onnx"),
    "serve": Command("parsenet.serve:serve", "a page to look at labels", "model.safetensors"),
    "score": Command("scores:score", "score label maps", "--pred DIR --gt DIR --taxonomy voc2012"),
    "compare": Command("scores:compare", "two scores, with a test", "runs/a runs/b"),
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

_EXTRAS = ("export", "serve")
"""Commands with an extra of their name; others need at most that of training."""

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
    """Run a function of options as `main` runs a command, for the scripts in `data_tools/`."""
    given = sys.argv[1:] if words is None else words
    return _answered(partial(_call, function, given, f"python {script}"))


def _answered(run: Callable[[], int]) -> int:
    """Turn what ends a command into a sentence and an exit code."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        return run()
    except ParseNetError as error:
        message, code = str(error), 2
    except OSError as error:
        if error.errno not in _NO_PLACE:
            raise
        path = Path(error.filename or "")
        if path.suffix == ".part":  # the name that a file has while it is written
            path = path.parent
        where = f"'{path}'" if error.filename else "A file"
        is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        way_out = "Make room and run it again" if is_full else "Choose another place"
        message = f"{where} cannot be read or written ({error.strerror}). {way_out}."
        code = 2
    except KeyboardInterrupt:
        message, code = "interrupted. Files that were written are complete.", 130
    print(f"error: {message}", file=sys.stderr)
    return code


def _run(words: list[str]) -> int:
    """Find the command and call it."""
    name = next((key for key in (" ".join(words[:2]), words[0]) if key in COMMANDS), "")
    if not name:
        below = {key: line for key, line in COMMANDS.items() if key.startswith(f"{words[0]} ")}
        if not below:
            known = suggest(words[0], COMMANDS)
            raise ParseNetError(f"`parsenet` has no command '{words[0]}'. {known}")
        if not words[1:] or words[1] in ("-h", "--help"):
            print(_usage(below), end="")
            return 0 if words[1:] else 2
        known = suggest(words[1], [key.split()[1] for key in below])
        raise ParseNetError(f"`{words[0]}` has no '{words[1]}'. {known}")
    module, _, attribute = COMMANDS[name].function.partition(":")
    try:
        path = module if "." in module else f"parsenet.commands.{module}"
        function = getattr(import_module(path), attribute)
        if "options" in function.__annotations__:
            example = f"Example: parsenet {name} {COMMANDS[name].example}"
            return _call(function, words[len(name.split()) :], name, example)
        function(words)
        return 0
    except ModuleNotFoundError as error:
        if (error.name or "parsenet").partition(".")[0] == "parsenet":
            raise
        raise ParseNetError(
            f"`parsenet {name}` needs '{error.name}', which is not installed. Run `pip install "
            f"'parsenet[{name if name in _EXTRAS else 'train'}]'`."
        ) from error


def _call(
    function: Callable[[Any], int], words: Sequence[str], command: str, epilog: str = ""
) -> int:
    """Make the options of a function from words, and call it.

    SIGTERM, which batch systems send, ends it as Ctrl-C does: with complete files.
    """
    from parsenet.options import parse_options

    options = parse_options(typing.get_type_hints(function)["options"], words, command, epilog)
    if threading.current_thread() is not threading.main_thread():
        return function(options)
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return function(options)
    finally:
        signal.signal(signal.SIGTERM, before)


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
