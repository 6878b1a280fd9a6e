"""The command line: `fit`, `validate` and `test` by LightningCLI, the others by argparse.

Nothing here imports torch before a command runs, so that `--help` is quick.
"""

from __future__ import annotations

import errno
import logging
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from parsenet.errors import ParseNetError, suggest

USAGE = """\
usage: parsenet COMMAND [options]

ParseNet: Looking Wider to See Better. Semantic segmentation with global context and L2Norm.

commands:
  fit        train a network           parsenet fit --config configs/shapes/demo.yaml
  validate   score it on `val_split`   parsenet validate --config C.yaml --ckpt_path BEST.ckpt
  test       score it on `test_split`  parsenet test --config C.yaml --ckpt_path BEST.ckpt
  predict    label pictures, videos    parsenet predict photo.jpg photos/ --save label,overlay
  submit     pack VOC's test set       parsenet submit model.safetensors --root VOC2012
  export     for other runtimes        parsenet export model.safetensors --out model.onnx
  serve      a page to look at labels  parsenet serve model.safetensors other.safetensors
  score      score label maps          parsenet score --pred DIR --gt DIR --taxonomy voc2012
  compare    two scores, with a test   parsenet compare A/metrics.json B/metrics.json
  dialects   what others would report  parsenet dialects A/metrics.json
  report     redraw a run's report     parsenet report runs/demo
  ablate     a grid of experiments     parsenet ablate configs/ablations/shapes.yaml
  doctor     find faults in data       parsenet doctor CONFIG_OR_DIR --out check/
  browse     look at training data     parsenet browse CONFIG_OR_DIR --out sheets/
  figures    draw the paper's figures  parsenet figures scales model.safetensors --data C.yaml

`parsenet COMMAND --help` lists the options of a command. `fit`, `validate` and `test` take every
option of Lightning's Trainer, a `--config FILE.yaml`, and `--print_config`.
"""


COMMANDS = {
    "fit": "train",
    "validate": "train",
    "test": "train",
    "predict": "predict",
    "submit": "submit",
    "export": "export",
    "serve": "serve",
    "score": "score",
    "compare": "compare",
    "dialects": "dialects",
    "report": "report",
    "ablate": "ablate",
    "doctor": "doctor",
    "browse": "browse",
    "figures": "figures",
}
"""Each command, and the module of `parsenet/commands/` that runs it."""

_NO_PLACE = {
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EEXIST, errno.ENOTDIR,
}  # fmt: skip
"""What the file system refuses: no permission, read-only, full, a file in a folder's place."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: the words after `parsenet`; None for the process's own.

    Returns:
        the exit code: 0 done, 1 done in part (some pictures failed) or errors found, 2 refused.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help"):
        print(USAGE, end="")
        return 0 if words else 2
    if words[0] == "--version":
        from importlib.metadata import version

        print(f"parsenet {version('parsenet')}")
        return 0
    if words[0] not in COMMANDS:
        print(
            f"error: `parsenet` has no command '{words[0]}'. {suggest(words[0], COMMANDS)}",
            file=sys.stderr,
        )
        return 2
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        command = import_module(f"parsenet.commands.{COMMANDS[words[0]]}")
        code: int = command.main(words)
        return code
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
        print(
            f"error: {where} cannot be read or written ({error.strerror}). Choose another place.",
            file=sys.stderr,
        )
        return 2
    except KeyboardInterrupt:
        print("error: interrupted. Files that were written are whole.", file=sys.stderr)
        return 130
