"""Integers of 8 bits in the place of floats: static quantization by ONNX Runtime."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from parsenet.errors import ParseNetError
from parsenet.export.graph import quiet

_QUANTIZED = ("Conv", "Relu", "MaxPool", "Concat", "Pad")
"""Operations of a trunk. All of them, or the numbers would go to float and back in between."""
_IN_FLOAT = ("preprocess", "context", "head", "upsample")
"""Parts of the network that stay in float: L2Norm divides by small numbers, and scores decide
between classes that are close. Together they are a small part of the work."""

_WARNINGS, _ERRORS = 2, 3
"""Severities of ONNX Runtime's log; the first is its default."""


def quantize(path: Path, out: Path, images: Callable[[], Iterator[Tensor]]) -> None:
    """Write an ONNX model whose trunk computes with integers of 8 bits.

    Weights have a scale per output channel, activations one per map, from the smallest and largest
    value met while labelling some images.

    Args:
        path: model of `save_onnx`.
        out: file to write, with the same inputs, outputs and record.
        images: gives the images to measure activations on, as the model takes them.

    Raises:
        ParseNetError: ONNX Runtime is not installed.
    """
    try:
        import onnx
        from onnxruntime.quantization import (
            CalibrationDataReader,
            QuantFormat,
            QuantType,
            quantize_static,
        )
        from onnxruntime.quantization.shape_inference import quant_pre_process
    except ModuleNotFoundError as error:
        raise ParseNetError(
            f"`int8` needs '{error.name}', which is not installed. "
            "Run `pip install 'parsenet[export]'`."
        ) from error

    class Reader(CalibrationDataReader):  # type: ignore[misc, unused-ignore]
        """Hands the images out one by one."""

        def __init__(self) -> None:
            self._images = images()

        def get_next(self) -> dict[str, np.ndarray] | None:
            image = next(self._images, None)
            return None if image is None else {"image": image.numpy()}

    with tempfile.TemporaryDirectory() as folder, _quiet():
        prepared = Path(folder) / "prepared.onnx"
        quant_pre_process(path, prepared, skip_symbolic_shape=True)
        nodes: list[Any] = list(onnx.load(prepared).graph.node)
        in_float = [node.name for node in nodes if node.name.startswith(_IN_FLOAT)]
        quantize_static(
            prepared,
            out,
            Reader(),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(_QUANTIZED),
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=in_float,
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep back what ONNX Runtime advises: to prepare the model, and to give `pool6` no default."""
    import onnxruntime as ort

    ort.set_default_logger_severity(_ERRORS)
    try:
        with quiet():
            yield
    finally:
        ort.set_default_logger_severity(_WARNINGS)
