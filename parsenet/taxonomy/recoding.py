"""From the values that a label file stores to class indices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from parsenet.errors import LabelError
from parsenet.taxonomy.colours import Colour, index_colours

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from parsenet.taxonomy.classes import LabelMap, Taxonomy

_UNKNOWN = -1


@dataclass(frozen=True)
class Recoding:
    """What stored values and colours stand for; any other one is refused.

    Args:
        taxonomy: the classes that come out.
        values: stored value to class index or void.
        colours: stored RGB colour to class index or void.
        remedy: what to do about an unknown value.
    """

    taxonomy: Taxonomy
    values: Mapping[int, int]
    colours: Mapping[Colour, int] = field(default_factory=dict)
    remedy: str = "Correct the file."

    def __call__(self, stored: NDArray[np.integer], name: str) -> LabelMap:
        """Turn stored values (H, W) into a label map.

        Args:
            stored: values of any integer type.
            name: of the label, for messages.

        Raises:
            LabelError: a value stands for nothing; the first pixel that has it is named.
        """
        import numpy as np

        lowest, table = self._table
        if stored.dtype in (np.uint8, np.uint16) and lowest >= 0:
            label = self._wide_table[stored]
        else:
            # The last entry is unknown, and -1 leads there too: beyond either end of the values.
            label = table[(stored.astype(np.int64) - lowest).clip(-1, len(table) - 1)]
        wrong = label == _UNKNOWN
        if wrong.any():
            row, column = np.unravel_index(int(wrong.argmax()), wrong.shape)
            raise LabelError(
                f"The label '{name}' must hold values that '{self.taxonomy.name}' knows, got "
                f"{stored[row, column]} at row {row}, column {column}. {self.remedy}"
            )
        recoded: LabelMap = label.astype(self.taxonomy.label_type)
        return recoded

    def from_colours(self, mask: NDArray[np.uint8]) -> LabelMap:
        """Turn an RGB mask (H, W, 3) into a label map.

        Raises:
            LabelError: a colour stands for nothing.
        """
        label = index_colours(mask, self.colours, self.taxonomy.name)
        recoded: LabelMap = label.astype(self.taxonomy.label_type)
        return recoded

    @cached_property
    def _table(self) -> tuple[int, NDArray[np.int32]]:
        """Return the lowest value, and the classes from it on with an unknown one at the end."""
        import numpy as np

        lowest, highest = min(self.values), max(self.values)
        table = np.full(highest - lowest + 2, _UNKNOWN, np.int32)
        table[[value - lowest for value in self.values]] = list(self.values.values())
        return lowest, table

    @cached_property
    def _wide_table(self) -> NDArray[np.int32]:
        """Return the class of every 16-bit value: three times as fast as clipping."""
        import numpy as np

        lowest, table = self._table
        wide = np.full(65536, _UNKNOWN, np.int32)
        wide[lowest : lowest + len(table) - 1] = table[:-1]
        return wide
