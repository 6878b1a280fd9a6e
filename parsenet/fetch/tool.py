"""The command line that all tools of `data_tools/` share."""

from __future__ import annotations

import argparse
import errno
import logging
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from parsenet.errors import ConfigError, ParseNetError
from parsenet.fetch.archive import Archive, Digest
from parsenet.fetch.download import Patience
from parsenet.fetch.job import Job, Options
from parsenet.fetch.lock import locked

_ADVICE = {
    errno.ENOSPC: "Make room and run the same command again: it goes on from here.",
    errno.EDQUOT: "Make room and run the same command again: it goes on from here.",
    errno.EACCES: "Choose a folder that you may write to.",
    errno.EPERM: "Choose a folder that you may write to.",
    errno.EROFS: "Choose a folder that you may write to.",
}


def build_parser(name: str, text: str, archives: Sequence[Archive]) -> argparse.ArgumentParser:
    """Build the options that every tool has.

    Args:
        name: the tool's file name.
        text: docstring of the tool; its first line becomes the description.
        archives: what it fetches.
    """
    names = ", ".join(archive.name for archive in archives)
    parser = argparse.ArgumentParser(name, description=text.partition("\n")[0], allow_abbrev=False)
    parser.add_argument("--out", type=Path, required=True, help="folder of the data set")
    parser.add_argument(
        "--from",
        dest="given",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help=f"archives you have already: {names}",
    )
    parser.add_argument(
        "--mirror",
        nargs="+",
        default=[],
        metavar="URL",
        help="further addresses, of an archive or of the folder that holds it",
    )
    parser.add_argument(
        "--only-mirrors", action="store_true", help="leave the official addresses out"
    )
    parser.add_argument(
        "--sha256",
        nargs="+",
        default=[],
        metavar="[NAME=]HEX",
        help="hold an archive to this hash, in place of the published one",
    )
    parser.add_argument("--workers", type=int, help="processes for conversion (default: all cores)")
    parser.add_argument(
        "--retries", type=int, default=4, help="failures in a row at the last address (default: 4)"
    )
    parser.add_argument(
        "--clean", action="store_true", help="remove downloaded archives in the end"
    )
    return parser


def run_tool(
    parser: argparse.ArgumentParser,
    archives: Sequence[Archive],
    make: Callable[[Job, argparse.Namespace], str],
    words: Sequence[str] | None,
) -> int:
    """Run a tool: its result on standard output, all else on standard error.

    Args:
        parser: the tool's options.
        archives: what it fetches.
        make: does the work and returns the last line.
        words: the command line; None for the process's own.

    Returns:
        the exit code: 0 done, 2 refused, 130 interrupted.
    """
    given = parser.parse_args(words)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        job = Job(parser.prog.removesuffix(".py"), _options(given, archives))
        with locked(job.lock_path):
            job.begin()
            line = make(job, given)
            job.finish(archives)
    except ParseNetError as error:
        return _fail(str(error), 2)
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0, "Look after the disk and run the command again.")
        reason = error.strerror or str(error)
        return _fail(f"'{error.filename or given.out}' must be usable, got '{reason}'. {advice}", 2)
    except KeyboardInterrupt:
        return _fail("interrupted. Run the same command again: it goes on from here.", 130)
    sys.stdout.write(f"{line}\n")
    return 0


def _fail(message: str, code: int) -> int:
    sys.stderr.write(f"error: {message}\n")
    return code


def _options(given: argparse.Namespace, archives: Sequence[Archive]) -> Options:
    if given.only_mirrors and not given.mirror:
        raise ConfigError("`--only-mirrors` must come with `--mirror`, got none. Name an address.")
    if given.retries < 0:
        raise ConfigError(f"`--retries` must not be negative, got {given.retries}. 4 is usual.")
    if given.workers is not None and given.workers < 1:
        raise ConfigError(
            f"`--workers` must be at least 1, got {given.workers}. Leave it out for all cores."
        )
    return Options(
        out=given.out,
        given=_match_files(given.given, archives),
        mirrors=given.mirror,
        only_mirrors=given.only_mirrors,
        hashes=_match_hashes(given.sha256, archives),
        num_workers=given.workers or os.cpu_count() or 1,
        clean=given.clean,
        patience=Patience(retries=given.retries),
    )


def _match_files(files: Sequence[Path], archives: Sequence[Archive]) -> dict[str, Path]:
    """Find out which archive each file is, by its name; with one archive any name will do."""
    names = [archive.name for archive in archives]
    matched = {}
    for path in files:
        # A browser's second download of a file is called `name (1).tar`.
        plain = re.sub(r" ?\(\d+\)(?=\.)", "", path.name)
        if len(names) == len(files) == 1:
            plain = names[0]
        if plain not in names:
            raise ConfigError(
                f"`--from` must name {' or '.join(names)}, got '{path}'. Give the file that name."
            )
        if not path.is_file():
            raise ConfigError(
                f"`--from` must name a file that exists, got '{path}'. Check the path."
            )
        matched[plain] = path
    return matched


def _match_hashes(words: Sequence[str], archives: Sequence[Archive]) -> dict[str, Digest]:
    """Read `NAME=HEX`; the name may be left out where only one archive can be meant."""
    names = [archive.name for archive in archives]
    unknown = [archive.name for archive in archives if archive.digest is None] or names
    matched = {}
    for word in words:
        name, _, value = word.rpartition("=")
        if not name and len(unknown) == 1:
            name = unknown[0]
        if name not in names:
            raise ConfigError(
                f"`--sha256` must be NAME=HEX with NAME one of {', '.join(names)}, got '{word}'. "
                "Correct the name."
            )
        matched[name] = Digest("sha256", value.lower())
    return matched
