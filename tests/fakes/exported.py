"""Exported files made by hand: a score is the colour plus the weighted mean colour."""

import json

import numpy as np
import torch
from onnx import numpy_helper, parser

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


MODEL = """<ir_version: 10, opset_import: ["" : 18]>
colours (uint8[n,h,w,3] image, float[1,3,1,1] pool6) => (float[n,3,h,w] scores, float[n,3,h,w] fc7)
<int64[2] axes = {2, 3}, float weight = {4}>
{
  turned = Transpose <perm = [0, 3, 1, 2]> (image)
  fc7 = Cast <to = 1> (turned)
  own = ReduceMean (fc7, axes)
  missing = IsNaN (pool6)
  used = Where (missing, own, pool6)
  context = Mul (used, weight)
  scores = Add (fc7, context)
}"""


def write_onnx(path, record=RECORD):
    """Write the file; without a record where it is None."""
    model = parser.parse_model(MODEL)
    unknown = numpy_helper.from_array(np.full((1, 3, 1, 1), np.nan, np.float32), "pool6")
    model.graph.initializer.append(unknown)
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
