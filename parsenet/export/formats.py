"""Traces as files, with their record inside."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.export import ExportedProgram

from parsenet.errors import ConfigError, ParseNetError
from parsenet.export.graph import quiet
from parsenet.inference.exported import Interface
from parsenet.models.weights import METADATA_KEY

SUFFIXES = {"onnx": ".onnx", "torch-export": ".pt2", "safetensors": ".safetensors"}
"""Formats, and the ending by which a file of each is known."""

_OPSET = 18
"""The oldest that the exporter writes without converting: it has what `Resize` and `Pad` need."""
_MOST_BYTES = 2**31 - 1
"""What a protocol buffer can hold; a larger ONNX model would be several files."""


def save_program(program: ExportedProgram, record: Mapping[str, Any], path: Path) -> None:
    """Write a torch.export program.

    Args:
        program: the trace.
        record: what the file shall say about itself.
        path: file to write, ending in .pt2.
    """
    program._example_inputs = None  # they would be pickled
    with quiet():
        torch.export.save(program, path, extra_files={METADATA_KEY: json.dumps(record)})


def save_onnx(
    program: ExportedProgram, interface: Interface, record: Mapping[str, Any], path: Path
) -> None:
    """Write an ONNX model, by the exporter that reads torch.export's traces.

    Inputs `image` and `pool6` (which has a default, so that a runtime need not be given it),
    outputs `scores` and `fc7`; `pool6` and `fc7` only where there is context.

    Args:
        program: the trace.
        interface: what it takes.
        record: what the file shall say about itself.
        path: file to write, ending in .onnx.

    Raises:
        ParseNetError: the packages that write ONNX are not installed.
        ConfigError: the network is too large for one file.
    """
    try:
        import onnx
        import onnxscript  # noqa: F401 - what the exporter is made of
    except ModuleNotFoundError as error:
        raise ParseNetError(
            f"`format` onnx needs '{error.name}', which is not installed. "
            "Run `pip install 'parsenet[export]'`."
        ) from error
    has_context = interface.context_channels > 0
    names = (["image", "pool6"], ["scores", "fc7"]) if has_context else (["image"], ["scores"])
    with quiet():
        written = torch.onnx.export(
            program, dynamo=True, verbose=False, opset_version=_OPSET, input_names=names[0],
            output_names=names[1],
        )  # fmt: skip
    assert written is not None
    model = written.model_proto
    if has_context:
        unknown = np.full((1, interface.context_channels, 1, 1), np.nan, np.float32)
        model.graph.initializer.append(onnx.numpy_helper.from_array(unknown, "pool6"))
    _name_dimensions(model.graph, interface)
    for node in model.graph.node:
        _name_node(node)
    model.producer_name = "parsenet"
    model.metadata_props.add(key=METADATA_KEY, value=json.dumps(record))
    if model.ByteSize() > _MOST_BYTES:
        raise ConfigError(
            f"`format` onnx must fit into one file of 2 GiB, got {model.ByteSize()} bytes. Use "
            "`torch-export`."
        )
    path.write_bytes(model.SerializeToString())


def _name_dimensions(graph: Any, interface: Interface) -> None:  # noqa: ANN401 - onnx's own class
    """Call the open sizes what they are; those in between keep the tracer's names."""
    order: tuple[str | None, ...] = ("batch", "height", "width", None)
    if not interface.preprocess_inside:
        order = ("batch", None, "height", "width")
    known: dict[str, tuple[str | None, ...]] = {
        "image": order,
        "scores": ("batch", None, "height", "width"),
        "fc7": ("batch", None, "rows", "columns"),
    }
    renamed: dict[str, str] = {}
    for value in (*graph.input, *graph.output):
        del value.metadata_props[:]
        dims = value.type.tensor_type.shape.dim
        for dim, name in zip(dims, known.get(value.name, ()), strict=False):
            if name is not None:
                renamed[dim.dim_param] = name
                dim.dim_param = name
    for value in graph.value_info:
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param in renamed:
                dim.dim_param = renamed[dim.dim_param]


def _name_node(node: Any) -> None:  # noqa: ANN401 - onnx's own class
    """Name a node after the module that it belongs to; drop the traces of this machine."""
    notes = {entry.key: entry.value for entry in node.metadata_props}
    scopes = notes.get("pkg.torch.onnx.name_scopes", "[]")
    # From the whole network to the operation itself; the last but one is the layer.
    owner = [scope for scope in json.loads(scopes.replace("'", '"')) if scope][-2:-1]
    node.name = "/".join([*(name for name in owner if not name.startswith("_")), node.name])
    node.doc_string = ""
    del node.metadata_props[:]
