"""Count the pixels of an image by (true class, predicted class): exact, and quick in numpy alone.

Every label value of 8 bits (of more, with more than 255 classes) has a row of its own while
counting: a wrong label is then found by looking at the counts, without a second pass over the
pixels.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Int64, Integer

from parsenet.errors import LabelError
from parsenet.taxonomy import IGNORE_INDEX


def outside(num_classes: int) -> int:
    """Return the row that collects label values beyond those that have a row of their own.

    That is 256 up to 255 classes, and then the next power of two: it is above void in either case.
    """
    return max(256, 1 << num_classes.bit_length())


def num_rows(num_classes: int) -> int:
    """Return the number of rows while counting."""
    return outside(num_classes) + 1


def count(
    prediction: Integer[np.ndarray, "*shape"],
    label: Integer[np.ndarray, "*label_shape"],
    num_classes: int,
    void: int = IGNORE_INDEX,
) -> Int64[np.ndarray, "c c"]:
    """Count pixels by (true class, predicted class); void pixels count nowhere.

    Args:
        prediction: predicted classes 0..C-1, at void pixels too; uint8 is quickest.
        label: true classes 0..C-1, or void; uint8 is quickest.
        num_classes: number of classes C.
        void: label value of pixels that are left out.

    Returns:
        the counts; rows are true classes, columns predicted ones.

    Raises:
        LabelError: the two differ in size, or a value is not among those above.
    """
    rows = count_rows(prediction, label, num_classes)
    refuse_wrong_labels(rows, num_classes, void)
    return rows[:num_classes].copy()  # a view would keep all rows alive


def count_rows(
    prediction: Integer[np.ndarray, "*batch h w"],
    label: Integer[np.ndarray, "*batch H W"],
    num_classes: int,
) -> Int64[np.ndarray, "r c"]:
    """Count pixels by (label value, predicted class); those without a row get the last one.

    Args:
        prediction: predicted classes 0..C-1.
        label: any values; `refuse_wrong_labels` judges them.
        num_classes: number of classes C.

    Raises:
        LabelError: the two differ in size, or a prediction is not a class.
    """
    refuse_other_size(prediction.shape, label.shape)
    if prediction.size and not 0 <= prediction.min() <= prediction.max() < num_classes:
        raise LabelError(
            f"`prediction` must be in 0..{num_classes - 1}, got {prediction.min()}.."
            f"{prediction.max()}. Use a network of {num_classes} classes."
        )
    last = outside(num_classes)
    if label.dtype != np.uint8 and label.size:
        if 0 <= label.min() <= label.max() <= 255:
            label = label.astype(np.uint8)
        else:
            label = np.where((label < 0) | (label >= last), last, label)
    # 16 bits hold every code of 8-bit labels (255 * 255 + 254), and half the memory moves.
    is_narrow = label.dtype == np.uint8 and num_classes <= 255
    code_type = np.dtype(np.uint16 if is_narrow else np.int64)
    code = label.astype(code_type)
    code *= code_type.type(num_classes)
    code += prediction.astype(code_type, copy=False)
    rows = num_rows(num_classes)
    return _count_codes(code.ravel(), rows * num_classes).reshape(rows, num_classes)


def _count_codes(code: Integer[np.ndarray, " p"], num_codes: int) -> Int64[np.ndarray, " v"]:
    """Count how often each code comes, run by run: label maps change their value seldom."""
    changes = code[1:] != code[:-1]
    if not code.size or np.count_nonzero(changes) * 8 > code.size:
        return np.bincount(code, minlength=num_codes)
    ends = np.append(np.flatnonzero(changes), code.size - 1)
    lengths = np.diff(ends, prepend=-1)
    # The weights go through float64, which holds every whole number up to 2^53.
    return np.bincount(code[ends], lengths, num_codes).astype(np.int64)


def refuse_other_size(prediction: tuple[int, ...], label: tuple[int, ...]) -> None:
    """Refuse a label of another shape than its prediction.

    Raises:
        LabelError: the shapes differ.
    """
    if tuple(prediction) != tuple(label):
        raise LabelError(
            f"`label` must be as large as `prediction` {tuple(prediction)}, got {tuple(label)}. "
            "Upsample the prediction to the label's size."
        )


def refuse_wrong_labels(rows: Int64[np.ndarray, "r c"], num_classes: int, void: int) -> None:
    """Refuse counts of label values that are neither a class nor void.

    Raises:
        LabelError: there are such values; the most frequent one is named.
    """
    per_value = rows.sum(axis=1)
    per_value[:num_classes] = 0
    per_value[void] = 0
    if not per_value.any():
        return
    value = int(per_value.argmax())
    last = outside(num_classes)
    shown = f"a value outside 0..{last - 1}" if value == last else str(value)
    raise LabelError(
        f"`label` must be a class 0..{num_classes - 1} or void {void}, got {shown} "
        f"in {per_value[value]} pixels. Fix the labels or the taxonomy."
    )
