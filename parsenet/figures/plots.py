"""Charts and heat maps by matplotlib, which comes with the extra `train`."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from parsenet.errors import ParseNetError
from parsenet.files import write_bytes_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = ("#2a9d6f", "#b8860b", "#8c5bd6", "#d9622b", "#2f6fde", "#4d5761", "#c2185b")
"""One per feature, in the order in which a trunk computes them."""

_DPI = 120


def figure(rows: int, columns: int, size: tuple[float, float]) -> tuple[Figure, Any]:
    """Make an empty figure without a window, whatever the machine has.

    Args:
        rows: of panels.
        columns: of panels.
        size: (width, height) in inches.

    Returns:
        the figure, and its panels by row and column.

    Raises:
        ParseNetError: matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise ParseNetError(
            f"`parsenet figures` needs '{error.name}', which is not installed. "
            "Run `pip install 'parsenet[train]'`."
        ) from error
    drawn = Figure(size, layout="constrained")
    FigureCanvasAgg(drawn)
    return drawn, drawn.subplots(rows, columns, squeeze=False)


def save_figure(drawn: Figure, path: Path) -> None:
    """Write a figure as PNG, whole or not at all."""
    content = io.BytesIO()
    drawn.savefig(content, format="png", dpi=_DPI)
    write_bytes_atomically(path, content.getvalue())
