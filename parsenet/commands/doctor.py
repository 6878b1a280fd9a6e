"""`parsenet doctor`: find what is wrong with a data set."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from parsenet.errors import ConfigError


def main(words: list[str]) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(
        "parsenet doctor",
        description="Read every image and label of a data set once, and say what is wrong: "
        "values, sizes, pairs, broken files, palettes, void, balance, duplicates, leaks.",
        epilog="Exit code: 0 no errors, 1 errors found, 2 refused. With a config, any option of "
        "`data` may follow, such as `--data.root DIR`.",
        allow_abbrev=False,
    )
    add_source_options(parser)
    parser.add_argument("--json", metavar="FILE", help="write everything as JSON; - for the screen")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write doctor.json and report.html")
    parser.add_argument(
        "--fast", action="store_true", help="leave the pixels of images alone; labels are read"
    )
    parser.add_argument("--show", type=int, default=5, help="files to name per finding (5)")
    parser.add_argument("--workers", type=int, default=0, help="threads (one per core)")
    given, overrides = parser.parse_known_args(words[1:])

    if given.workers < 0 or given.show < 0:
        raise ConfigError(
            f"`--workers` and `--show` must not be negative, got {given.workers} and {given.show}."
        )

    from parsenet.doctor.diagnosis import diagnose
    from parsenet.doctor.page import write_page
    from parsenet.doctor.source import find_source, hints_of, root_of
    from parsenet.doctor.text import write_text

    source = find_source(given.source, hints_of(given), [*overrides, *root_of(given)])
    if given.out is not None:
        require_folder(given.out)
    diagnosis = diagnose(source, given.fast, given.workers)
    record = json.dumps(diagnosis.to_dict(), indent=1, ensure_ascii=False)
    if given.out is not None:
        _write(given.out / "doctor.json", record)
        print(f"Report: {write_page(diagnosis, given.out, given.show)}", file=sys.stderr)
    if given.json == "-":
        print(record)
    else:
        print(write_text(diagnosis, given.show), end="")
        if given.json:
            _write(Path(given.json), record)
    return 1 if diagnosis.count("error") else 0


def add_source_options(parser: argparse.ArgumentParser) -> None:
    """Add the words that say which data."""
    parser.add_argument(
        "source", type=Path, metavar="CONFIG_OR_DIR", help="a config, a run folder, or the data"
    )
    parser.add_argument("--root", metavar="DIR", help="the same as --data.root, for a config")
    parser.add_argument("--images", help="images of a folder, such as 'photos/{split}/*.jpg'")
    parser.add_argument("--labels", help="their labels, such as 'masks/{split}/{stem}.png'")
    parser.add_argument("--taxonomy", help="voc2012, or a YAML file with `names:`")
    parser.add_argument("--train", help="name of the training split of a folder")
    parser.add_argument("--val", help="name of the validation split of a folder")


def require_folder(folder: Path) -> None:
    """Make a folder for results, before hours are spent on them.

    Raises:
        ConfigError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"`--out` must be a folder to write to, got '{folder}' ({error.strerror})."
        ) from error


def _write(path: Path, text: str) -> None:
    from parsenet.files import write_bytes_atomically

    try:
        # File names that are no Unicode become JSON escapes.
        write_bytes_atomically(path, (text + "\n").encode(errors="backslashreplace"))
    except OSError as error:
        raise ConfigError(
            f"'{path}' must be a file to write to, got '{error.strerror}'. Choose another."
        ) from error
