"""Count the functions and files of ours that `parsenet predict photo.jpg` passes through.

    python benchmarks/calls.py photo.jpg
    python benchmarks/calls.py photo.jpg --list

A newcomer who follows one image from the command line to the label map reads about so many
functions. Counted are distinct code objects whose file lies in the package, in the main process
and all its threads, imports included (a function that a module calls while it is imported is
passed through, too). Not counted are the bodies of modules and classes, and comprehensions.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path
from types import CodeType, FrameType

PACKAGE = Path(__file__).parents[1] / "parsenet"
_NO_FUNCTIONS = ("<module>", "<listcomp>", "<dictcomp>", "<setcomp>", "<genexpr>")


def count_calls(words: list[str]) -> list[tuple[str, str]]:
    """Run a command and return the file and name of each function of ours that it passed."""
    seen: set[CodeType] = set()

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            seen.add(frame.f_code)

    threading.setprofile(note)
    sys.setprofile(note)
    try:
        from parsenet.cli import main

        code = main(words)
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    if code:
        raise SystemExit(code)
    return sorted(
        (Path(code.co_filename).relative_to(PACKAGE).as_posix(), code.co_qualname)
        for code in seen
        if Path(code.co_filename).is_relative_to(PACKAGE) and _is_function(code)
    )


def _is_function(code: CodeType) -> bool:
    """Tell functions from bodies of modules and classes: those have no local variables."""
    return code.co_name not in _NO_FUNCTIONS and bool(code.co_flags & 2)  # inspect.CO_NEWLOCALS


def main() -> None:
    """Count and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("image", type=Path)
    parser.add_argument("--list", action="store_true", help="name them all")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        passed = count_calls(["predict", str(given.image), "--out", folder])
    by_file = Counter(file for file, _ in passed)
    if given.list:
        for file, number in by_file.items():
            print(f"{number:3} {file}: {', '.join(name for x, name in passed if x == file)}")
    print(f"{len(passed)} functions in {len(by_file)} files")


if __name__ == "__main__":
    main()
