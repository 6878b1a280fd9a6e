"""Pages of HTML from templates: each is one file that needs no other and no network.

A template lies in `templates/` beside this file and extends `base.html.j2`, which has the only
lines of style; `parts.html.j2` has the macros `table` and `legend`.
"""

from __future__ import annotations

import base64
import io
from functools import cache
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image


def render_page(template: str, **values: object) -> str:
    """Fill in a template such as `run.html.j2`; all but charts from `svg_element` is escaped.

    Args:
        template: name of its file.
        **values: `title`, and what else its names stand for; one without a value is an error.
    """
    return _environment().get_template(template).render(values)


def image_uri(image: Path | UInt8[np.ndarray, "_ _ *_"], max_side: int | None = None) -> str:
    """Inline an image as JPEG: a tenth of the PNG's bytes, and the PNG stays in its folder.

    Args:
        image: file, or RGB or grey in [0, 255].
        max_side: pixels of the longer side to shrink to; None for as it is.
    """
    with Image.open(image) if isinstance(image, Path) else Image.fromarray(image) as opened:
        shown = opened.convert("RGB")
    if max_side is not None:
        shown.thumbnail((max_side, max_side), Image.Resampling.LANCZOS)
    content = io.BytesIO()
    shown.save(content, "JPEG", quality=90)
    return "data:image/jpeg;base64," + base64.b64encode(content.getvalue()).decode()


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("parsenet.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
