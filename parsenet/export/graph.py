"""The function that an exported file computes, and its trace with sizes left open."""

from __future__ import annotations

import importlib
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jaxtyping
import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from parsenet.errors import ParseNetError
from parsenet.inference.exported import Interface
from parsenet.inference.segmenter import NetworkSegmenter
from parsenet.models.parsenet import ParseNet, Preprocess

_OLDEST = (2, 9)
"""Version of torch."""
_EXAMPLE = (2, 75, 91)
"""Images, height and width to trace with: all different, none a multiple of a stride."""


class ExportedGraph(nn.Module):
    """What an exported file computes: `ParseNet.forward`, with the parts that windows need.

    Args:
        network: the trained network.
        preprocess_inside: take images as decoders give them.

    Shape:
        `image`: (N, H, W, 3) uint8 RGB where preprocessing is inside, else (N, 3, H, W) float32 in
        the trunk's order and scale. `pool6`: (1, C, 1, 1), global context to use; nan, which a
        runtime with defaults need not be given, takes the image's own. Networks without context
        lack it. Output: scores (N, K, H, W) before the softmax and, with context, fc7 (N, C, h, w),
        which pool6 is the mean of.
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
        fc7 = features["fc7"]
        own = self.context(fc7)
        features["pool6"] = own if pool6 is None else torch.where(pool6.isnan(), own, pool6)
        scores = self.upsample(self.head(features), image.shape[-2:])
        return scores if pool6 is None else (scores, fc7)


def describe_interface(segmenter: NetworkSegmenter, preprocess_inside: bool) -> Interface:
    """Say what the exported form of a network takes and gives, computing in float32.

    It scores all rows at once, where our own network goes in bands: the scores of every class, what
    they were before the crop, and their softmax count as activations.
    """
    feature = segmenter.network.trunk.feature_maps["fc7"]
    return Interface(
        preprocess_inside=preprocess_inside,
        precision="32-true",
        stride=segmenter.stride,
        context_stride=feature.stride,
        context_channels=feature.channels if segmenter.has_context else 0,
        bytes_per_pixel=segmenter.bytes_per_pixel + 3 * 4 * segmenter.taxonomy.num_classes,
    )


def trace(network: ParseNet, interface: Interface) -> ExportedProgram:
    """Trace a network by torch.export: any number of images of any size.

    Run as it is, the trace of a deep trunk guards against images under 17 pixels a side; the ONNX
    file that is made of it has no guards and takes 1x1 too.

    Args:
        network: the trained network, in evaluation mode on the CPU in float32.
        interface: what it shall take.

    Raises:
        ParseNetError: torch is too old to leave all sizes open.
    """
    if torch.__version__ < _OLDEST:  # type: ignore[operator]  # torch compares tuples too
        raise ParseNetError(
            f"A traced form must be made with torch 2.9 or newer, got torch {torch.__version__}. "
            "Update torch, or write `.safetensors`, which any version does."
        )
    graph = ExportedGraph(network, interface.preprocess_inside).eval()
    number, height, width = _EXAMPLE
    sizes: dict[int, Any] = {0: Dim.DYNAMIC}
    if interface.preprocess_inside:
        inputs: tuple[Tensor, ...] = (torch.zeros(number, height, width, 3, dtype=torch.uint8),)
        sizes |= {1: Dim.DYNAMIC, 2: Dim.DYNAMIC}
    else:
        inputs = (torch.zeros(number, 3, height, width),)
        sizes |= {2: Dim.DYNAMIC, 3: Dim.DYNAMIC}
    shapes: dict[str, Any] = {"image": sizes}
    if interface.context_channels:
        inputs += (torch.full((1, interface.context_channels, 1, 1), torch.nan),)
        shapes["pool6"] = None
    # Size 1 is a size like any other here; without this the trace holds for larger ones only, and
    # for those whose maps lie in memory as the example's do.
    _config: Any = importlib.import_module("torch.fx.experimental._config")
    oblivious = {"backed_size_oblivious": True}
    with torch.no_grad(), quiet(), _unchecked_shapes(), _config.patch(oblivious):
        program = torch.export.export(graph, inputs, dynamic_shapes=shapes)
    for module in program.graph_module.modules():
        if isinstance(module, torch.fx.GraphModule):
            for node in module.graph.nodes:
                node.meta.pop("stack_trace", None)  # names the folders of this machine
    return program


@contextmanager
def quiet() -> Iterator[None]:
    """Keep back what exporters tell about their own doings; errors are raised all the same."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


@contextmanager
def _unchecked_shapes() -> Iterator[None]:
    """Let sizes be symbols, where a program checks its shapes: they are no `int`."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        jaxtyping.config.update("jaxtyping_disable", before)
