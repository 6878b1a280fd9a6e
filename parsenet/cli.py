"""The command line: `fit`, `validate` and `test` by LightningCLI, the others by argparse.

Nothing here imports torch before a command runs, so that `--help` is quick.
"""

from __future__ import annotations

import argparse
import json
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
  score      score label maps          parsenet score --pred DIR --gt DIR --taxonomy voc2012
  compare    two scores, with a test   parsenet compare A/metrics.json B/metrics.json
  dialects   what others would report  parsenet dialects A/metrics.json
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
    parser.add_argument("--precision", default="auto", help="auto, 32-true or bf16-mixed")
    given = parser.parse_args(words[1:])

    from parsenet.inference.folder import Report, predict_all
    from parsenet.inference.predictor import Predictor
    from parsenet.inference.sources import find_pictures

    predictor = Predictor.load(given.checkpoint, given.device, given.precision)
    sources = find_pictures(given.input, given.recursive, exclude=given.out)
    done = Report()
    if sources.found:
        done = predict_all(predictor, sources.found, given.out, given.overlay, given.overwrite)
    failed = [*sources.wrong.values(), *done.failed.values()]
    for reason in failed:
        print(f"failed: {reason}", file=sys.stderr)
    where = f"; results are in '{given.out}'" if done.done or done.skipped else ""
    counts = f"{len(done.done)} labelled, {len(done.skipped)} already there, {len(failed)} failed"
    print(f"{counts}{where}.")
    return 1 if failed else 0


def _score(words: list[str]) -> int:
    parser = argparse.ArgumentParser(
        "parsenet score",
        description="Score predicted label maps against true ones, pixel by pixel. Needs no model.",
    )
    parser.add_argument("--pred", type=Path, required=True, help="folder of predictions")
    parser.add_argument("--gt", type=Path, required=True, help="folder of true label maps")
    parser.add_argument("--taxonomy", required=True, help="voc2012, or a YAML file with `names:`")
    parser.add_argument("--split", type=Path, help="file of names (default: all files of --gt)")
    parser.add_argument("--out", type=Path, help="folder for scores, counts and a report")
    parser.add_argument("--images", type=Path, help="folder of the pictures, for the report")
    parser.add_argument(
        "--boundary", action="store_true", help="also score near contours: boundary IoU, trimap"
    )
    parser.add_argument("--json", action="store_true", help="print metrics.json, not tables")
    given = parser.parse_args(words[1:])

    from parsenet.evaluation.contours import score_contours, write_contours
    from parsenet.evaluation.folders import find_pairs, reader, score_pairs
    from parsenet.inference.pictures import write_worst
    from parsenet.reports.comparison import contour_table
    from parsenet.reports.html import write_report
    from parsenet.reports.tables import class_table, protocol_sentence, summary_table
    from parsenet.taxonomy import taxonomy_from

    taxonomy = taxonomy_from(given.taxonomy)
    pairs = find_pairs(given.pred, given.gt, given.split)
    split = given.split.stem if given.split else given.gt.resolve().name
    evaluation = score_pairs(pairs, taxonomy, split)
    if given.out is not None:
        evaluation.write(given.out)
        read = reader(pairs, taxonomy, given.images)
        write_worst(given.out / "worst", evaluation.worst(), read, taxonomy)
        print(f"Report: {write_report(given.out)}", file=sys.stderr)
    metrics = evaluation.to_dict()
    if given.boundary:
        metrics["contours"] = score_contours(pairs, taxonomy)
        if given.out is not None:
            write_contours(given.out, metrics["contours"])
    if given.json:
        print(json.dumps(metrics, indent=1))
    else:
        print(f"{protocol_sentence(metrics)}\n\n{summary_table(metrics)}\n{class_table(metrics)}")
        if given.boundary:
            print(contour_table(metrics["contours"]))
    return 0


def _compare(words: list[str]) -> int:
    parser = argparse.ArgumentParser(
        "parsenet compare",
        description="Set two checkpoints' scores side by side, with intervals and a paired test. "
        "Refuses scores that were made by different protocols.",
    )
    parser.add_argument("a", type=Path, help="metrics.json, its counts.npz beside it")
    parser.add_argument("b", type=Path, help="another, of the same pictures")
    parser.add_argument("--anyway", action="store_true", help="compare although the cards differ")
    parser.add_argument("--resamples", type=int, default=5000, help="data sets drawn (5000)")
    parser.add_argument("--level", type=float, default=0.95, help="of the intervals (0.95)")
    parser.add_argument("--seed", type=int, default=0, help="start of the randomness (0)")
    parser.add_argument("--json", action="store_true", help="print numbers, not a table")
    given = parser.parse_args(words[1:])

    from parsenet.evaluation.comparison import Scored, compare_scored, comparison_record
    from parsenet.metrics.statistics import Resampling
    from parsenet.reports.comparison import comparison_table

    how = Resampling(given.resamples, given.level, given.seed)
    one, other = Scored.load(given.a), Scored.load(given.b)
    result = compare_scored(one, other, how, given.anyway)
    record = comparison_record(result, one.names, how)
    if given.json:
        print(json.dumps(record, indent=1))
    else:
        cards = f"A: {one.path}: {one.card}.\nB: {other.path}: {other.card}."
        print(f"{cards}\n\n{comparison_table(record)}", end="")
    return 0


def _dialects(words: list[str]) -> int:
    parser = argparse.ArgumentParser(
        "parsenet dialects",
        description="Print what other codebases would report for the same predictions, and why.",
    )
    parser.add_argument("metrics", type=Path, help="metrics.json, its counts.npz beside it")
    parser.add_argument("--json", action="store_true", help="print numbers, not a table")
    given = parser.parse_args(words[1:])

    from parsenet.evaluation.comparison import Scored, dialect_record
    from parsenet.reports.comparison import dialect_table

    scored = Scored.load(given.metrics)
    record = dialect_record(scored.images)
    if given.json:
        print(json.dumps(record, indent=1))
    else:
        print(f"{scored.card}.\n\n{dialect_table(record)}", end="")
    return 0


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
    "score": _score,
    "compare": _compare,
    "dialects": _dialects,
    "report": _report,
}
