"""Time a training step against the bare trunk, and peers beside it, in one process.

A step is forward, loss, backward and optimiser. The floor is forward and backward of the trunk
alone (up to fc7) on the same input, which no head can be faster than. Networks take turns, round
after round, and the fastest round of each counts: a ratio then hardly depends on what else the
machine does.

    python benchmarks/step.py                      # VGG-16, 2 images of 321x321
    python benchmarks/step.py --trunk squeezenet --precision bf16-mixed
"""

import argparse
import json
import platform
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from parsenet.config import NetworkConfig, OptimConfig
from parsenet.engine.optim import build_optimizer
from parsenet.engine.record import describe_machine
from parsenet.hardware import choose_device, prefers_channels_last
from parsenet.losses import CrossEntropy
from parsenet.models.build import TRUNKS, build_model
from parsenet.models.heads import EarlyFusionHead
from parsenet.models.l2norm import L2Norm
from parsenet.models.parsenet import ParseNet

CONTEXT = ("pool6", "fc7")
ALL = ("pool6", "fc7", "conv5", "conv4", "conv3")
NUM_CLASSES = 21


class TextbookEarlyFusion(nn.Module):
    """The early fusion of the figure: normalise, enlarge all, concatenate, classify."""

    def __init__(self, network: ParseNet) -> None:
        super().__init__()
        assert isinstance(network.head, EarlyFusionHead)
        self.network = network
        self.feature_maps = feature_maps = network.head.feature_maps
        self.dropout = nn.Dropout(0.3)
        self.norms = nn.ModuleDict({
            name: L2Norm(feature.channels) for name, feature in feature_maps.items()
        })
        self.score = nn.Conv2d(
            sum(feature.channels for feature in feature_maps.values()), NUM_CLASSES, 1
        )

    def forward(self, image: Tensor) -> Tensor:
        """Score every pixel."""
        network, feature_maps = self.network, self.feature_maps
        features = network.trunk(network.preprocess(image))
        features["pool6"] = network.context(features["fc7"])
        size = min(
            (features[n].shape[2:] for n in feature_maps if n != "pool6"), key=lambda s: -s[0]
        )
        maps = []
        for name in feature_maps:
            x = self.norms[name](features[name])
            if name == "pool6":
                x = self.dropout(x).expand(-1, -1, *size)
            elif x.shape[2:] != size:
                x = F.interpolate(x, size=size, mode="bilinear", align_corners=False)
            maps.append(x)
        scores = self.score(torch.cat(maps, 1)).float()
        return network.upsample(scores, image.shape[-2:])  # type: ignore[no-any-return]


class TorchvisionFCN(nn.Module):
    """torchvision's fcn_resnet50, random weights."""

    def __init__(self) -> None:
        super().__init__()
        from torchvision.models.segmentation import fcn_resnet50

        self.network = fcn_resnet50(weights=None, weights_backbone=None, num_classes=NUM_CLASSES)

    def forward(self, image: Tensor) -> Tensor:
        """Score every pixel."""
        return self.network(image.float() / 255)["out"]  # type: ignore[no-any-return]


class PeerPSPNet(nn.Module):
    """segmentation_models_pytorch's PSPNet on VGG-16, random weights."""

    def __init__(self) -> None:
        super().__init__()
        import segmentation_models_pytorch as smp

        self.network = smp.PSPNet("vgg16", encoder_weights=None, classes=NUM_CLASSES)

    def forward(self, image: Tensor) -> Tensor:
        """Score every pixel; sides must be multiples of 32, so the image is padded."""
        height, width = image.shape[-2:]
        padded = F.pad(image.float() / 255, (0, -width % 32, 0, -height % 32))
        return self.network(padded)[..., :height, :width]  # type: ignore[no-any-return]


class Contest:
    """Networks that take turns on one batch.

    Args:
        args: sizes, precision and device of the command line.
    """

    def __init__(self, args: argparse.Namespace) -> None:
        self.device = choose_device(args.device)
        self.bf16 = args.precision == "bf16-mixed"
        self.channels_last = args.layout == "auto" and prefers_channels_last(self.device)
        generator = torch.Generator().manual_seed(0)
        shape = (args.batch, args.size, args.size)
        image = torch.randint(0, 256, (args.batch, 3, args.size, args.size), generator=generator)
        self.image = image.to(torch.uint8).to(self.device)
        self.label = torch.randint(0, NUM_CLASSES, shape, generator=generator).to(self.device)
        self.loss = CrossEntropy("mean")
        self.turns: dict[str, Callable[[], None]] = {}

    def add_step(self, name: str, network: nn.Module, new_layers: tuple[str, ...] = ()) -> None:
        """Enter a network: a full training step."""
        self._place(network)
        config = OptimConfig(lr=1e-4, loss="mean")
        optimizer, schedule = build_optimizer(network, new_layers, config, 10_000)

        def step() -> None:
            with torch.autocast(self.device.type, torch.bfloat16, self.bf16):
                loss = self.loss(network(self.image), self.label)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()

        self.turns[name] = step

    def add_floor(self, name: str, network: ParseNet) -> None:
        """Enter the bare trunk: forward and backward."""
        self._place(network)

        def step() -> None:
            with torch.autocast(self.device.type, torch.bfloat16, self.bf16):
                fc7 = network.trunk(network.preprocess(self.image))["fc7"]
            network.zero_grad()
            fc7.float().mean().backward()

        self.turns[name] = step

    def run(self, rounds: int) -> dict[str, float]:
        """Return the fastest of some rounds for each, in seconds."""
        times = {name: float("inf") for name in self.turns}
        for index in range(rounds + 1):
            for name, step in self.turns.items():
                seconds = self._time(step)
                if index > 0:  # the first round warms up
                    times[name] = min(times[name], seconds)
        return times

    def _time(self, step: Callable[[], None]) -> float:
        self._wait()
        start = time.perf_counter()
        step()
        self._wait()
        return time.perf_counter() - start

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def _place(self, network: nn.Module) -> None:
        network.to(self.device).train()
        if self.channels_last:
            network.to(memory_format=torch.channels_last)


def main() -> None:
    """Time everything and print a Markdown table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--trunk", default="vgg16_largefov", choices=list(TRUNKS))
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--size", type=int, default=321)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="32-true", choices=["32-true", "bf16-mixed"])
    parser.add_argument("--layout", default="auto", choices=["auto", "contiguous"])
    parser.add_argument("--peers", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    args = parser.parse_args()
    contest = Contest(args)

    def build(features: tuple[str, ...], head: str, upsample: str = "learned") -> ParseNet:
        config = NetworkConfig(args.trunk, features, head, upsample=upsample)  # type: ignore[arg-type]
        torch.manual_seed(0)
        return build_model(config, NUM_CLASSES)

    floor = f"{args.trunk}, forward and backward alone"
    contest.add_floor(floor, build(CONTEXT, "late"))
    for features in (CONTEXT, ALL):
        for head in ("early", "late"):
            network = build(features, head)
            contest.add_step(f"ParseNet {head}, {'+'.join(features)}", network, network.new_layers)
        textbook = TextbookEarlyFusion(build(features, "early"))
        contest.add_step(f"textbook early, {'+'.join(features)}", textbook)
    if args.peers:
        contest.add_step("segmentation_models_pytorch PSPNet-vgg16", PeerPSPNet())
        contest.add_step("torchvision fcn_resnet50", TorchvisionFCN())
    times = contest.run(args.rounds)
    machine = describe_machine(contest.device)
    print(f"{args.batch} images of {args.size}x{args.size}, {args.precision}, {args.layout} layout")
    print(f"{machine['device']}, {machine['num_threads']} threads, {machine['versions']}")
    print(f"{datetime.now(UTC):%Y-%m-%d}, {platform.system()}, commit {machine['git_commit']}\n")
    print("| training step | ms | over the floor |\n|---|---:|---:|")
    for name, seconds in times.items():
        print(f"| {name} | {1000 * seconds:.0f} | {seconds / times[floor]:.2f} |")
    if args.json:
        args.json.write_text(json.dumps({"arguments": vars(args), "times": times}, default=str))


if __name__ == "__main__":
    main()
