"""A network as a graph with sizes left open, and the files that are made of it."""

from __future__ import annotations

import importlib
import json
import logging
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from parsenet.errors import ParseNetError
from parsenet.inference.exported import require
from parsenet.inference.segmenter import NetworkSegmenter
from parsenet.models.parsenet import ParseNet, Preprocess
from parsenet.models.weights import METADATA_KEY

Interface = dict[str, Any]
"""What one has to know to run an exported file; its record holds it as `interface`."""

_OLDEST = (2, 9)
"""Version of torch."""
_EXAMPLE = (2, 75, 91)
"""Images, height and width to trace with: all different, none a multiple of a stride."""
_OPSET = 18
"""The oldest that the exporter writes without converting: it has what `Resize` and `Pad` need."""
_QUANTIZED = ["Conv", "Relu", "MaxPool", "Concat", "Pad"]
"""Operations of a trunk. All of them, or the numbers would go to float and back in between."""
_IN_FLOAT = ("preprocess", "context", "head", "upsample")
"""Parts of the network that stay in float: L2Norm divides by small numbers, and scores decide
between classes that are close. Together they are a small part of the work."""


class ExportedGraph(nn.Module):
    """What an exported file computes: `ParseNet.forward`, with the parts that windows need.

    Shape:
        `image`: (N, H, W, 3) uint8 RGB where preprocessing is inside, else (N, 3, H, W) float32 in
        the trunk's order and scale. `pool6`: (1, C, 1, 1), global context to use; nan takes the
        image's own. Networks without context lack it. Output: scores (N, K, H, W) before the
        softmax and, with context, fc7 (N, C, h, w), which pool6 is the mean of.
    """

    def __init__(self, network: ParseNet, preprocess_inside: bool) -> None:
        super().__init__()
        self.preprocess: Preprocess | None = network.preprocess if preprocess_inside else None
        self.trunk, self.context = network.trunk, network.context
        self.head, self.upsample = network.head, network.upsample

    def forward(
        self, image: Shaped[Tensor, "n _ _ _"], pool6: Float[Tensor, "1 c 1 1"] | None = None
    ) -> Float[Tensor, "n k H W"] | tuple[Float[Tensor, "n k H W"], Float[Tensor, "n c h w"]]:
        """Score every pixel."""
        if self.preprocess is not None:
            image = self.preprocess(image.permute(0, 3, 1, 2))
        features = self.trunk(image)
        own = self.context(features["fc7"])
        features["pool6"] = own if pool6 is None else torch.where(pool6.isnan(), own, pool6)
        scores = self.upsample(self.head(features), image.shape[-2:])
        return scores if pool6 is None else (scores, features["fc7"])


def trace(
    segmenter: NetworkSegmenter, preprocess_inside: bool = False
) -> tuple[ExportedProgram, Interface]:
    """Trace a network on the CPU in float32 by torch.export: any number of images of any size.

    Run as it is, the trace of a deep trunk guards against images under 17 pixels a side; the ONNX
    file that is made of it has no guards and takes 1x1 too.
    """
    if torch.__version__ < _OLDEST:  # type: ignore[operator]  # torch compares tuples too
        raise ParseNetError(
            f"A traced form must be made with torch 2.9 or newer, got torch {torch.__version__}. "
            "Update torch, or write `.safetensors`, which any version does."
        )
    network = segmenter.network.to(memory_format=torch.contiguous_format)
    fc7 = network.trunk.feature_maps["fc7"]
    interface = {
        "preprocess_inside": preprocess_inside,
        "precision": "32-true",
        "stride": segmenter.stride,  # of the coarsest map, in pixels
        "context_stride": fc7.stride,
        "context_channels": fc7.channels if segmenter.has_context else 0,
        # All rows are scored at once, where our own network goes in bands: the scores of every
        # class, what they were before the crop, and their softmax count as activations.
        "bytes_per_pixel": segmenter.bytes_per_pixel + 3 * 4 * segmenter.taxonomy.num_classes,
    }
    number, *size = _EXAMPLE
    image = torch.zeros(number, 3, *size)
    if preprocess_inside:
        image = image.permute(0, 2, 3, 1).byte()
    inputs = {"image": image.contiguous()}
    if segmenter.has_context:
        inputs["pool6"] = torch.full((1, fc7.channels, 1, 1), torch.nan)
    graph = ExportedGraph(network, preprocess_inside).eval()
    shapes = _open_sizes(interface, Dim.DYNAMIC)
    # Size 1 is a size like any other here; without this the trace holds for larger ones only, and
    # for those whose maps lie in memory as the example's do.
    config: Any = importlib.import_module("torch.fx.experimental._config")
    with torch.no_grad(), _quiet(), config.patch({"backed_size_oblivious": True}):
        program = torch.export.export(graph, tuple(inputs.values()), dynamic_shapes=shapes)
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # names the folders of this machine
    return program, interface


def save_program(program: ExportedProgram, record: Mapping[str, Any], path: Path) -> None:
    """Write a torch.export program, `.pt2`, with what the file shall say about itself."""
    program._example_inputs = None  # they would be pickled
    with _quiet():
        torch.export.save(program, path, extra_files={METADATA_KEY: json.dumps(record)})


def save_onnx(
    program: ExportedProgram, interface: Interface, record: Mapping[str, Any], path: Path
) -> None:
    """Write an ONNX model, with what the file shall say about itself.

    Inputs `image` and `pool6` (whose default is nan, so that a runtime need not be given it),
    outputs `scores` and `fc7`; `pool6` and `fc7` only where there is context.
    """
    onnx = require("onnx", "An .onnx file")
    require("onnxscript", "An .onnx file")  # what the exporter is made of
    shapes = _open_sizes(interface)
    outputs = {"scores": ("height", "width"), "fc7": ("rows", "columns")}
    with _quiet():
        written = torch.onnx.export(
            program, dynamo=True, verbose=False, opset_version=_OPSET, input_names=list(shapes),
            output_names=list(outputs)[: len(shapes)], dynamic_shapes=shapes,
        )  # fmt: skip
    assert written is not None
    model: Any = written.model_proto
    if interface["context_channels"]:
        unknown = np.full((1, interface["context_channels"], 1, 1), np.nan, np.float32)
        model.graph.initializer.append(onnx.numpy_helper.from_array(unknown, "pool6"))
    for output in model.graph.output:
        dims = output.type.tensor_type.shape.dim
        dims[2].dim_param, dims[3].dim_param = outputs[output.name]
    for node in model.graph.node:
        notes = {entry.key: entry.value for entry in node.metadata_props}
        scopes = json.loads(notes.get("pkg.torch.onnx.name_scopes", "[]").replace("'", '"'))
        # From the whole network to the operation itself; the last but one is the layer.
        owner = [x for x in scopes if x][-2:-1]
        layer = "".join(f"{name}/" for name in owner if not name.startswith("_"))
        node.name = f"{layer}{node.name}"
    for each in (*model.graph.input, *model.graph.output, *model.graph.node):
        each.doc_string = ""
        del each.metadata_props[:]  # traces of this machine
    model.producer_name = "parsenet"
    model.metadata_props.add(key=METADATA_KEY, value=json.dumps(record))
    path.write_bytes(model.SerializeToString())


def quantize(path: Path, out: Path, images: Iterable[Tensor]) -> None:
    """Write an ONNX model whose trunk computes with integers of 8 bits.

    Weights have a scale per output channel, activations one per map, from the smallest and largest
    value met while labelling `images`, which are as the model takes them. Inputs, outputs and
    record are those of the model at `path`, which `save_onnx` wrote.
    """
    runtime, tools = (require(f"onnxruntime{x}", "`int8`") for x in ("", ".quantization"))
    shapes = require("onnxruntime.quantization.shape_inference", "`int8`")
    given = ({"image": image.numpy()} for image in images)

    class Reader(tools.CalibrationDataReader):  # type: ignore[misc, name-defined]
        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(given, None)

    prepared = out.with_name(f"prepared.{out.name}")
    runtime.set_default_logger_severity(3)  # it advises to give `pool6` no default
    with _quiet():
        shapes.quant_pre_process(path, prepared, skip_symbolic_shape=True)
        names = [node.name for node in require("onnx", "`int8`").load(prepared).graph.node]
        tools.quantize_static(
            prepared, out, Reader(), quant_format=tools.QuantFormat.QDQ, per_channel=True,
            op_types_to_quantize=_QUANTIZED, activation_type=tools.QuantType.QUInt8,
            weight_type=tools.QuantType.QInt8,
            nodes_to_exclude=[name for name in names if name.startswith(_IN_FLOAT)],
        )  # fmt: skip
    runtime.set_default_logger_severity(2)  # what it was


def _open_sizes(interface: Interface, how: object = None) -> dict[str, Any]:
    """Return by input which of its sizes are open: `how`, or by their names."""
    rows = 1 if interface["preprocess_inside"] else 2
    names = {0: "batch", rows: "height", rows + 1: "width"}
    image = names if how is None else dict.fromkeys(names, how)
    return {"image": image} | ({"pool6": None} if interface["context_channels"] else {})


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep back what exporters tell about their own doings; errors are raised all the same."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
