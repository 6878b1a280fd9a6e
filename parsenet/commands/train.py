"""`parsenet fit`, `validate` and `test`: handed to LightningCLI."""

from __future__ import annotations

from parsenet.errors import ParseNetError


def main(words: list[str]) -> int:
    """Run the command; return its exit code."""
    try:
        from parsenet.engine.run import run
    except ModuleNotFoundError as error:
        raise ParseNetError(
            f"`parsenet {words[0]}` needs '{error.name}', which is not installed. "
            "Run `pip install 'parsenet[train]'`."
        ) from error
    run(words)
    return 0
