"""The contract of a trunk: image in, named feature maps out.

A new trunk is one file with one class, and one line in the table of `build.py`.
"""

from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple

from jaxtyping import Float
from torch import Tensor, nn


class Tap(NamedTuple):
    """A feature map that heads may read.

    The cell (y, x) of a map of stride s describes the image around pixel (s*y + (s-1)/2,
    s*x + (s-1)/2), as close as the trunk's layers allow, and an image of H rows gives ceil(H/s).
    """

    channels: int
    stride: int


class Source(NamedTuple):
    """Weights that torchvision offers for a trunk."""

    torchvision: str
    """Name for `torchvision.models.get_weight`."""
    preprocess: str
    """Name in `parsenet.models.preprocess.PREPROCESS`."""


class Between(NamedTuple):
    """The layers on either side of a tap, for `rescale_tap`."""

    made_by: tuple[str, ...]
    """Convolutions whose outputs, after a ReLU and at most pools, are the map."""
    read_by: tuple[str, ...]
    """Convolutions of the trunk that read the map, and nothing else."""


class Trunk(nn.Module, ABC):
    """Abstract base of every trunk."""

    taps: dict[str, Tap]
    """What `forward` returns: conv3, conv4, conv5 and fc7 at least."""
    sources: ClassVar[dict[str, Source]]
    """Weights by their config name (`imagenet1k_v1`, ...)."""
    preprocess: ClassVar[str] = "caffe"
    """What weights from an `.npz` with Caffe names expect."""
    bytes_per_pixel: ClassVar[int] = 1000
    """Memory that a network on this trunk takes per pixel of the image at the worst moment, in
    float32 without gradients; `benchmarks/large.py --activations` measures it. The default is
    more than any trunk here needs."""
    fresh: ClassVar[tuple[str, ...]] = ()
    """Layers that no ImageNet weights exist for; they learn at the score layers' rate."""
    between: ClassVar[dict[str, Between]] = {}
    """The taps whose scale can be changed without changing what comes after."""

    @abstractmethod
    def forward(self, image: Float[Tensor, "n 3 H W"]) -> dict[str, Float[Tensor, "n _ _ _"]]:
        """Compute all taps of a normalised image, of any size from 1x1 up."""

    @abstractmethod
    def translate(self, name: str, value: Tensor) -> tuple[str, Tensor] | None:
        """Name and shape a foreign (torchvision or Caffe) parameter the way this trunk does.

        The trunk's own names pass through here too, as a foreign one may be spelled like them.

        Returns:
            our name and the value, or None for a name that is ours already or belongs to no layer
            of this trunk.
        """
