"""Turn weights of others into files that this toolkit reads; neither Caffe nor protobuf is needed.

    python data_tools/convert_weights.py VGG_ILSVRC_16_layers_fc_reduced.caffemodel --out vgg16_reduced.npz
    python data_tools/convert_weights.py VGG_VOC2012ext.caffemodel --checkpoint --out parsenet_voc2012.safetensors
    python data_tools/convert_weights.py vgg16_reducedfc.pth --out vgg16_reducedfc.safetensors

An `.npz` starts a training run: `parsenet fit ... --model.network.weights FILE`. A checkpoint of the
authors' VOC 2012 model is complete: `parsenet validate --ckpt_path FILE` scores it, `parsenet predict`
labels images with it. The last line printed names the file.

`.caffemodel` files of both generations of Caffe's layers are read (`layer` and `layers`). A `.pth` of
ssd.pytorch's VGG-16 numbers its layers; it is read without unpickling anything but tensors. It does not
say in which order its channels come, so its result wants `--model.network.preprocess` too.
"""  # noqa: E501 - commands to copy

import hashlib
import io
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from parsenet.cli import run_script
from parsenet.config import NetworkConfig
from parsenet.errors import WeightsError
from parsenet.files import write_bytes_atomically
from parsenet.models.build import build_model
from parsenet.models.checkpoint import save_network
from parsenet.models.weights import fill, read_weights
from parsenet.options import positional
from parsenet.taxonomy import VOC2012

AUTHORS = {
    "97eb7c469c5097f51a0f9a944f4a5731f470eee2": "the authors' VGG_ILSVRC_16_layers_fc_reduced",
    "99cc76c373dc522fd70f80208b30a43ab2fba2f6": "the authors' ParseNet for VOC 2012",
}
"""SHA-1 of the files that the authors published, from the pages of their gists."""

HEAD = {
    "fc7_norm.weight": "head.prepare.norm.fc7.scale",
    "pool6_1x1_norm.weight": "head.prepare.norm.pool6.scale",
    "fc7_norm_score21.weight": "head.score.fc7.weight",
    "fc7_norm_score21.bias": "head.score.fc7.bias",
    "pool6_1x1_norm_score21.weight": "head.score.pool6.weight",
    "pool6_1x1_norm_score21.bias": "head.score.pool6.bias",
    "upscore21.weight": "upsample.deconv.weight",
    "upscore21.bias": "upsample.deconv.bias",
}
"""Layers of the authors' VGG_VOC2012ext.prototxt behind the trunk, and our parameters."""

SSD = {
    str(number): f"conv{name}"
    for number, name in zip(
        (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28),
        ("1_1", "1_2", "2_1", "2_2", "3_1", "3_2", "3_3", "4_1", "4_2", "4_3", "5_1", "5_2", "5_3"),
        strict=True,
    )
} | {"31": "fc6", "33": "fc7"}
"""ssd.pytorch's numbers of VGG-16's layers, and Caffe's names."""


class Kind(NamedTuple):
    """The numbers of the fields of one generation of Caffe's layers, from caffe.proto."""

    name: int
    blobs: int


NET_LAYERS = {100: Kind(name=1, blobs=7), 2: Kind(name=4, blobs=6)}
"""Fields of NetParameter: `layer` (LayerParameter) and `layers` (V1LayerParameter)."""

# BlobProto: num 1, channels 2, height 3, width 4, data 5, shape 7 (BlobShape: dim 1), and
# double_data 8.
_LEGACY, _DATA, _SHAPE, _DOUBLE = (1, 2, 3, 4), 5, 7, 8


def read_caffemodel(path: Path) -> dict[str, Float32[np.ndarray, "..."]]:
    """Read the parameters of a Caffe model.

    Returns:
        arrays by `LAYER.weight` and `LAYER.bias`; further blobs are `LAYER.2` and so on.

    Raises:
        WeightsError: it is no such file, or a damaged one.
    """
    arrays: dict[str, np.ndarray] = {}
    try:
        for number, value in read_fields(memoryview(path.read_bytes())):
            if number in NET_LAYERS and isinstance(value, memoryview):
                arrays |= _read_layer(value, NET_LAYERS[number])
    except (OSError, ValueError) as error:
        raise WeightsError(
            f"'{path}' must be a .caffemodel, got '{error}'. Get the file anew."
        ) from error
    if not arrays:
        raise WeightsError(f"'{path}' must hold layers with weights, got none. Get the file anew.")
    return arrays


def read_fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield the fields of a protobuf message in order: numbers as int, all else as its bytes.

    Args:
        message: the bytes.

    Raises:
        ValueError: they are no protobuf message.

    Source: Protocol Buffers, "Encoding": a key of (number << 3 | wire type) before every value.
    """
    position = 0
    while position < len(message):
        key, position = _read_varint(message, position)
        wire = key & 7
        if wire == 0:
            value, position = _read_varint(message, position)
            yield key >> 3, value
            continue
        if wire == 2:
            length, position = _read_varint(message, position)
        elif wire in (1, 5):
            length = 8 if wire == 1 else 4
        else:
            raise ValueError(f"a field of type {wire} at byte {position}")
        if position + length > len(message):
            raise ValueError("an end in the middle of a field")
        yield key >> 3, message[position : position + length]
        position += length


def _read_varint(message: memoryview, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(message):
            raise ValueError("an end in the middle of a number")
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise ValueError(f"a number of more than ten bytes at byte {position}")


def _read_layer(message: memoryview, kind: Kind) -> dict[str, np.ndarray]:
    name, blobs = "", []
    for number, value in read_fields(message):
        if number == kind.name and isinstance(value, memoryview):
            name = bytes(value).decode()  # what is no UTF-8 is a ValueError
        elif number == kind.blobs and isinstance(value, memoryview):
            blobs.append(_read_blob(value))
    words = ("weight", "bias", *map(str, range(2, len(blobs))))
    return {f"{name}.{word}": blob for word, blob in zip(words, blobs, strict=False)}


def _read_blob(message: memoryview) -> np.ndarray:
    """Read an array; of the old form (num, channels, height, width) leading ones fall away."""
    legacy = dict.fromkeys(_LEGACY, 1)
    shape: list[int] | None = None
    parts: list[np.ndarray] = []
    for number, value in read_fields(message):
        if number in _LEGACY and isinstance(value, int):
            legacy[number] = value
        elif number == _SHAPE and isinstance(value, memoryview):
            shape = _read_shape(value)
        elif number in (_DATA, _DOUBLE) and isinstance(value, memoryview):
            parts.append(np.frombuffer(value, "<f4" if number == _DATA else "<f8"))
    # One part when packed, one per number when not.
    data = np.concatenate([*parts, np.empty(0, np.float32)]).astype(np.float32)
    if shape is None:
        shape = list(legacy.values())
        while len(shape) > 1 and shape[0] == 1:
            shape.pop(0)
    if math.prod(shape) != data.size:
        raise ValueError(f"a blob of shape {tuple(shape)} with {data.size} numbers")
    return data.reshape(shape)


def _read_shape(message: memoryview) -> list[int]:
    dims = []
    for number, value in read_fields(message):
        if number == 1 and isinstance(value, int):
            dims.append(value)
        elif number == 1 and isinstance(value, memoryview):
            position = 0
            while position < len(value):
                dim, position = _read_varint(value, position)
                dims.append(dim)
    return dims


def read_ssd(path: Path) -> dict[str, Tensor]:
    """Read ssd.pytorch's VGG-16 by Caffe's names.

    Raises:
        WeightsError: it is another file.
    """
    renamed = {}
    for name, value in read_weights(path).tensors.items():
        layer, _, kind = name.removeprefix("vgg.").rpartition(".")
        if layer not in SSD:
            raise WeightsError(
                f"'{path}' must number VGG-16's layers as vgg16_reducedfc.pth does, got '{name}'. "
                "torchvision's files need no conversion: give them to `--model.network.weights`."
            )
        renamed[f"{SSD[layer]}.{kind}"] = value
    return renamed


def write_checkpoint(path: Path, arrays: dict[str, np.ndarray], source: str) -> None:
    """Write the authors' VOC 2012 model as a checkpoint that predicts and can be scored.

    Args:
        path: file to write, ending in .safetensors.
        arrays: what `read_caffemodel` gives.
        source: its file, for messages.

    Raises:
        WeightsError: a layer is missing, or of another shape.
    """
    config = NetworkConfig(preprocess="caffe")  # the default network is the released one
    network = build_model(config, VOC2012.num_classes)
    tensors = {name: torch.from_numpy(value) for name, value in arrays.items()}
    head = {ours: tensors[theirs] for theirs, ours in HEAD.items() if theirs in tensors}
    trunk = {name: value for name, value in tensors.items() if name not in HEAD}
    own = network.state_dict()
    missing = [theirs for theirs in HEAD if theirs not in tensors]
    missing += list(fill(network.trunk, trunk, source).missing)
    if missing:
        raise WeightsError(
            f"'{source}' must hold every layer of the authors' VOC 2012 model for `--checkpoint`, "
            f"got none of {', '.join(missing)}. Without `--checkpoint` its layers become an .npz."
        )
    for name, value in head.items():
        if value.shape != own[name].shape:
            raise WeightsError(
                f"'{name}' of '{source}' must have shape {tuple(own[name].shape)}, got "
                f"{tuple(value.shape)}. Only the authors' VOC 2012 model becomes a checkpoint."
            )
    network.load_state_dict(head, strict=False)
    save_network(path, network, config, VOC2012)


@dataclass(frozen=True)
class ConvertOptions:
    """Convert weights of others."""

    out: Path
    """File to write."""
    source: Path = positional()
    """.caffemodel, or .pth of ssd.pytorch."""
    checkpoint: bool = False
    """Write a whole network: the authors' VOC 2012 model."""


def run(options: ConvertOptions) -> int:
    """Convert a file and print the name of the new one."""
    convert(options.source, options.out, options.checkpoint)
    print(options.out)
    return 0


def main(words: Sequence[str] | None = None) -> int:
    """Run the script; return its exit code."""
    return run_script("data_tools/convert_weights.py", run, words)


def convert(source: Path, out: Path, checkpoint: bool = False) -> None:
    """Convert a file.

    Args:
        source: `.caffemodel`, or `.pth` of ssd.pytorch.
        out: file to write: `.npz` for Caffe's, `.safetensors` for a checkpoint and for a `.pth`.
        checkpoint: write a whole network.

    Raises:
        WeightsError: the file is missing or of another kind, or `out` has the wrong ending.
    """
    is_caffe = source.suffix == ".caffemodel"
    ending = ".npz" if is_caffe and not checkpoint else ".safetensors"
    if out.suffix != ending:
        raise WeightsError(f"`--out` must end in {ending} here, got '{out}'.")
    if not source.is_file():
        raise WeightsError(f"'{source}' must be a file, got none. Check the path.")
    with source.open("rb") as file:
        sha1 = hashlib.file_digest(file, "sha1").hexdigest()
    told = AUTHORS.get(sha1, "none of the authors' files")
    print(f"{source.name}: SHA-1 {sha1}, {told}.")
    if not is_caffe:
        from safetensors.torch import save

        tensors = {name: value.contiguous() for name, value in read_ssd(source).items()}
        write_bytes_atomically(out, save(tensors))
        return
    arrays = read_caffemodel(source)
    for name, value in arrays.items():
        print(f"{name}: {' x '.join(map(str, value.shape))}")
    if checkpoint:
        write_checkpoint(out, arrays, source.name)
        return
    content = io.BytesIO()
    np.savez(content, **arrays)
    write_bytes_atomically(out, content.getvalue())


if __name__ == "__main__":
    sys.exit(main())
