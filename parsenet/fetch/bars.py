"""Progress bars on standard error, so that standard output holds the result alone."""

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)


def bytes_bar() -> Progress:
    """Build a bar that counts bytes, with their rate and the time left."""
    return _bar(DownloadColumn(), TransferSpeedColumn())


def items_bar(is_shown: bool = True) -> Progress:
    """Build a bar that counts files, with the time left."""
    return _bar(MofNCompleteColumn(), is_shown=is_shown)


def _bar(*counts: ProgressColumn, is_shown: bool = True) -> Progress:
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        *counts,
        TimeRemainingColumn(),
        console=console,
        transient=True,
        # In a log file a bar is noise; the sentences logged beside it are enough.
        disable=not (is_shown and console.is_terminal),
    )
