"""What a figure is drawn of: a checkpoint or a bare trunk, and how far its maps can see."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from parsenet.config import FEATURES, NetworkConfig, PreprocessName
from parsenet.errors import WeightsError
from parsenet.figures import Start
from parsenet.hardware import choose_device
from parsenet.models.build import TRUNKS, build_model
from parsenet.models.checkpoint import load_network
from parsenet.models.parsenet import ParseNet
from parsenet.models.trunk import Trunk
from parsenet.models.weights import load_weights

_SIDE = 64
"""Pixels of the image that is followed through; any size gives the same fields."""


class Subject(NamedTuple):
    """What a figure is drawn of."""

    network: ParseNet
    """In evaluation mode, on its device. Of a trunk: all five features, as training would start."""
    name: str
    """The checkpoint's file and folder, or the trunk's and what it started from."""
    device: torch.device
    """Where the network is."""


class Field(NamedTuple):
    """What the cells of a map can see: cell i the pixels [first + i * stride, last + i * stride].

    Rows and columns alike, at the top left; beyond the image is padding.
    """

    first: int
    last: int
    stride: int

    @property
    def size(self) -> int:
        """Pixels to a side."""
        return self.last - self.first + 1

    def span(self, cell: int, length: int) -> tuple[int, int]:
        """Return the first and past-the-last pixel, of so many, that a row or column sees."""
        first, last = self.first + cell * self.stride, self.last + cell * self.stride
        return min(max(0, first), length), min(max(0, last + 1), length)


def open_subject(name: str, start: Start = Start()) -> Subject:
    """Load a checkpoint, or build a trunk.

    Args:
        name: a checkpoint's path, or a trunk of the table in `parsenet/models/build.py`.
        start: weights of a trunk, and where to run.

    Raises:
        WeightsError: it is neither, or its weights cannot be had.
        ConfigError: the device is not there.
    """
    device = choose_device(start.device)
    if name not in TRUNKS:
        if not Path(name).is_file():
            raise WeightsError(
                f"`model` must be a checkpoint or a trunk ({', '.join(TRUNKS)}), got '{name}'. "
                "Check the path."
            )
        network = load_network(Path(name)).network
        return Subject(network.to(device), "/".join(Path(name).parts[-2:]), device)
    with torch.device("meta"):
        imagenet = next(iter(TRUNKS[name](0.0).sources), None)
    config = NetworkConfig(
        trunk=name,
        features=FEATURES,
        weights=start.weights or imagenet,
        preprocess=cast("PreprocessName | None", start.preprocess),
        download=start.download,
    )
    torch.manual_seed(0)  # of what has no weights
    network = build_model(config, 1)
    told = "random weights"
    if config.weights is not None:
        load_weights(network.trunk, config)  # which tells what keeps its random start
        told = Path(config.weights).name
    return Subject(network.eval().to(device), f"{name} ({told})", device)


def fields_of(name: str) -> dict[str, Field]:
    """Compute the fields of a trunk, by its name and without its weights, or of a checkpoint's."""
    if name not in TRUNKS:
        return receptive_fields(open_subject(name, Start(device="cpu")).network.trunk)
    with torch.device("meta"):
        return receptive_fields(TRUNKS[name](0.0))


def receptive_fields(trunk: Trunk) -> dict[str, Field]:
    """Compute the theoretical receptive field of every feature map.

    A forward without numbers shows which convolutions and pools it runs through, in which order and
    with which padding; where branches meet, the union of their fields is taken.

    Args:
        trunk: any trunk whose windows are square and whose other layers work pixel by pixel.

    Source: the rule is that of FCN's table, 404 pixels for fc7 of FCN-32s (PAPER section 6).
    """
    values = {**dict(trunk.named_parameters()), **dict(trunk.named_buffers())}
    shapes = {name: torch.empty_like(value, device="meta") for name, value in values.items()}
    dtype = next(trunk.parameters()).dtype
    image = torch.empty(1, 3, _SIDE, _SIDE, dtype=dtype, device="meta")
    was_training = trunk.training
    trunk.eval()  # dropout would add a map of its own
    # Inference mode would show some operations by their outer names.
    with torch.inference_mode(False), torch.no_grad(), _Follow(image) as follow:
        maps = torch.func.functional_call(trunk, shapes, (image,))
    trunk.train(was_training)
    return {name: follow.field_of(maps[name]) for name in trunk.feature_maps}


class _Follow(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's
    """Watches every operation and keeps the field of what it returns."""

    def __init__(self, image: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        # The tensors are kept: an address could be given out twice.
        self._known: dict[int, tuple[Tensor, Field]] = {id(image): (image, Field(0, 0, 1))}

    def field_of(self, tensor: Tensor) -> Field:
        """Return the field of a map that was seen."""
        return self._known[id(tensor)][1]

    def __torch_dispatch__(
        self,
        func: Any,  # noqa: ANN401 - torch's own signature
        types: Any,  # noqa: ANN401
        args: tuple[Any, ...] = (),
        kwargs: Any = None,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        result = func(*args, **(kwargs or {}))
        flat = [x for arg in args for x in (arg if isinstance(arg, list | tuple) else [arg])]
        known = [self._known[id(x)][1] for x in flat if id(x) in self._known]
        if known:
            stride = known[0].stride
            assert all(field.stride == stride for field in known), func
            union = Field(min(f.first for f in known), max(f.last for f in known), stride)
            field = _step(func.overloadpacket.__name__, union, args)
            for output in result if isinstance(result, list | tuple) else [result]:
                self._known[id(output)] = (output, field)
        return result


def _step(operation: str, field: Field, args: tuple[Any, ...]) -> Field:
    """Follow a field through one operation of ATen."""
    if operation == "convolution":
        weight, stride, padding, dilation = args[1], args[3], args[4], args[5]
        return _slide(field, weight.shape[2], stride[0], padding[0], dilation[0])
    if operation in ("max_pool2d_with_indices", "avg_pool2d"):
        kernel, stride, padding = args[1], args[2] or args[1], args[3] if len(args) > 3 else [0]
        return _slide(field, kernel[0], stride[0], padding[0], 1)
    if operation == "constant_pad_nd":
        top = args[1][2]  # left, right, top, bottom
        return Field(
            field.first - top * field.stride, field.last - top * field.stride, field.stride
        )
    assert not any(word in operation for word in ("conv", "pool")), operation
    return field


def _slide(field: Field, kernel: int, stride: int, padding: int, dilation: int) -> Field:
    first = field.first - padding * field.stride
    last = field.last + ((kernel - 1) * dilation - padding) * field.stride
    return Field(first, last, field.stride * stride)
