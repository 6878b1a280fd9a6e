"""The command line: `fit`, `validate` and `test` by LightningCLI, the others by argparse.

Nothing here imports torch before a command runs, so that `--help` is quick.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from parsenet.errors import ParseNetError, suggest

USAGE = """\
usage: parsenet COMMAND [options]

ParseNet: Looking Wider to See Better. Semantic segmentation with global context and L2Norm.

commands:
  fit        train a network           parsenet fit --config configs/shapes/demo.yaml
  validate   score it on `val_split`   parsenet validate --config C.yaml --ckpt_path BEST.ckpt
  test       score it on `test_split`  parsenet test --config C.yaml --ckpt_path BEST.ckpt
  predict    label pictures            parsenet predict model.safetensors photos/ --out labels/
  report     redraw a run's report     parsenet report runs/demo

`parsenet COMMAND --help` lists the options of a command. `fit`, `validate` and `test` take every
option of Lightning's Trainer, a `--config FILE.yaml`, and `--print_config`.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: the words after `parsenet`; None for the process's own.

    Returns:
        the exit code: 0 done, 1 done in part (some pictures failed), 2 refused.
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
        return COMMANDS[words[0]](words)
    except ParseNetError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("error: interrupted. Files that were written are whole.", file=sys.stderr)
        return 130


def _predict(words: list[str]) -> int:
    parser = argparse.ArgumentParser(
        "parsenet predict",
        description="Label pictures: a palette PNG of the same stem and size for each.",
    )
    parser.add_argument("checkpoint", type=Path, help="`.safetensors` or `.ckpt` of a run")
    parser.add_argument("input", nargs="+", help="pictures, folders and globs")
    parser.add_argument("--out", type=Path, required=True, help="folder of the results")
    parser.add_argument(
        "--overlay",
        type=float,
        metavar="OPACITY",
        help="also write each picture under its labels, at this opacity in [0, 1]",
    )
    parser.add_argument("--recursive", action="store_true", help="look into folders of folders")
    parser.add_argument("--overwrite", action="store_true", help="replace results that exist")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, ...")
    given = parser.parse_args(words[1:])

    from parsenet.inference.folder import Report, predict_all
    from parsenet.inference.predictor import Predictor
    from parsenet.inference.sources import find_pictures

    predictor = Predictor.load(given.checkpoint, given.device)
    sources = find_pictures(given.input, given.recursive, exclude=given.out)
    done = Report()
    if sources.found:
        done = predict_all(predictor, sources.found, given.out, given.overlay, given.overwrite)
    failed = [*sources.wrong.values(), *done.failed.values()]
    for reason in failed:
        print(f"failed: {reason}", file=sys.stderr)
    print(
        f"{len(done.done)} labelled, {len(done.skipped)} already there, {len(failed)} failed; "
        f"results are in '{given.out}'."
    )
    return 1 if failed else 0


def _report(words: list[str]) -> int:
    parser = argparse.ArgumentParser(
        "parsenet report", description="Write report.html and report.md of a run folder anew."
    )
    parser.add_argument("run_dir", type=Path, help="folder that `parsenet fit` wrote")
    given = parser.parse_args(words[1:])

    from parsenet.reports.html import write_report

    print(write_report(given.run_dir))
    return 0


def _lightning(words: list[str]) -> int:
    try:
        from parsenet.engine.run import run
    except ModuleNotFoundError as error:
        raise ParseNetError(
            f"`parsenet {words[0]}` needs '{error.name}', which is not installed. "
            "Run `pip install 'parsenet[train]'`."
        ) from error
    run(words)
    return 0


COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "fit": _lightning,
    "validate": _lightning,
    "test": _lightning,
    "predict": _predict,
    "report": _report,
}
