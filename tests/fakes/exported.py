"""Exported files made by hand: a score is the colour plus the weighted mean colour."""

import json

import numpy as np
import torch
from onnx import TensorProto, helper, numpy_helper

from parsenet.export.formats import save_program
from tests.fakes.segmenter import COLOURS

RECORD = {
    "version": "0.1.0",
    "taxonomy": COLOURS.to_dict(),
    "preprocess": "torchvision_features",
    "interface": {
        "preprocess_inside": True,
        "precision": "32-true",
        "stride": 4,
        "context_stride": 1,
        "context_channels": 3,
        "bytes_per_pixel": 100,
    },
}
CONTEXT_WEIGHT = 4.0


def write_onnx(path, record=RECORD):
    """Write the file; without a record where it is None."""
    value = helper.make_tensor_value_info
    nodes = [
        helper.make_node("Transpose", ["image"], ["turned"], perm=[0, 3, 1, 2]),
        helper.make_node("Cast", ["turned"], ["fc7"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["fc7", "axes"], ["own"]),
        helper.make_node("IsNaN", ["pool6"], ["is_missing"]),
        helper.make_node("Where", ["is_missing", "own", "pool6"], ["used"]),
        helper.make_node("Mul", ["used", "weight"], ["context"]),
        helper.make_node("Add", ["fc7", "context"], ["scores"]),
    ]
    graph = helper.make_graph(
        nodes,
        "colours",
        [
            value("image", TensorProto.UINT8, ["n", "h", "w", 3]),
            value("pool6", TensorProto.FLOAT, [1, 3, 1, 1]),
        ],
        [
            value("scores", TensorProto.FLOAT, ["n", 3, "h", "w"]),
            value("fc7", TensorProto.FLOAT, ["n", 3, "h", "w"]),
        ],
        [
            numpy_helper.from_array(np.full((1, 3, 1, 1), np.nan, np.float32), "pool6"),
            numpy_helper.from_array(np.array([2, 3]), "axes"),
            numpy_helper.from_array(np.array(CONTEXT_WEIGHT, np.float32), "weight"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    if record is not None:
        model.metadata_props.add(key="parsenet", value=json.dumps(record))
    path.write_bytes(model.SerializeToString())
    return path


class Colours(torch.nn.Module):
    """The same as a module."""

    def forward(self, image, pool6):
        fc7 = image.permute(0, 3, 1, 2).float()
        own = fc7.mean((2, 3), keepdim=True)
        return fc7 + CONTEXT_WEIGHT * torch.where(pool6.isnan(), own, pool6), fc7


def write_program(path, record=RECORD):
    """Write the file as a torch.export program."""
    size = torch.export.Dim.DYNAMIC
    inputs = (torch.zeros(2, 5, 7, 3, dtype=torch.uint8), torch.full((1, 3, 1, 1), torch.nan))
    program = torch.export.export(
        Colours(), inputs, dynamic_shapes=({0: size, 1: size, 2: size}, None)
    )
    save_program(program, record, path)
    return path
