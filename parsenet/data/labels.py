"""The type of a label map, apart from what needs torch."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from jaxtyping import UInt

LabelMap: TypeAlias = UInt[np.ndarray, "h w"]
"""Class indices and void; uint8, or uint16 where there are more than 255 classes."""
