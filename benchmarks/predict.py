"""What `parsenet predict` costs beside the bare network, and plain scripts around other libraries.

    PARSENET_DATA=DIR python benchmarks/predict.py --num 200
    PARSENET_DATA=DIR python benchmarks/predict.py --num 20 --trunk vgg16_largefov --only ours
    PARSENET_DATA=DIR python benchmarks/predict.py --only layouts

Every row is measured on the same real images: the network alone on tensors that lie in memory
("bare"), and all of it from files to palette PNGs ("whole"), turn by turn on small groups of
images so that what else the machine does hits both. Weights are random: they change no time.

The ratio of processor time counts all threads, so it shows the work that is added, whatever other
programs do; the ratio of wall time shows what is left of it when threads overlap.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor, nn

from parsenet.config import NetworkConfig
from parsenet.data.reading import read_image
from parsenet.hardware import choose_device
from parsenet.inference.inputs import find_inputs
from parsenet.inference.job import Job, RunConfig
from parsenet.inference.predictor import Predictor
from parsenet.inference.run import predict_all
from parsenet.models.build import build_model
from parsenet.models.parsenet import ParseNet
from parsenet.taxonomy import VOC2012

GROUP = 10
"""Images between two readings of the clock."""

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Cost(NamedTuple):
    """Seconds per image."""

    bare: float
    whole: float
    bare_work: float
    """Of processor time, all threads together."""
    whole_work: float


def find_files(num: int) -> list[Path]:
    """Take images of the VOC subset, spread over it."""
    data = os.environ.get("PARSENET_DATA")
    if not data:
        raise SystemExit("PARSENET_DATA must name the folder of the real images.")
    folder = Path(data) / "voc2012_subset" / "VOC2012" / "JPEGImages"
    files = sorted(folder.glob("*.jpg"))
    return files[:: max(1, len(files) // num)][:num]


def build_network(trunk: str) -> ParseNet:
    """Build a network with random weights, as `configs/voc2012` has them."""
    if trunk == "squeezenet":
        return build_model(NetworkConfig(trunk=trunk, upsample="bilinear"), VOC2012.num_classes)
    return build_model(NetworkConfig(trunk=trunk), VOC2012.num_classes)


def measure_ours(trunk: str, files: Sequence[Path], save: str) -> Cost:
    """Return what ours takes."""
    network = build_network(trunk)
    predictor = Predictor(network, VOC2012)
    kinds = tuple(save.split(","))

    def bare(images: Sequence[Tensor]) -> None:
        with autocast(predictor):
            for image in images:
                network(image)

    def whole(group: Sequence[Path], out: Path) -> None:
        inputs = tuple(find_inputs(group).found)
        report = predict_all(predictor, Job(inputs, out, RunConfig(kinds), progress=False))
        assert len(report.done) == len(group), report.failed

    return measure(files, bare, whole, lambda path: to_uint8(path, predictor.device))


def measure_plain(model: nn.Module, files: Sequence[Path], multiple: int) -> Cost:
    """Return what a plain script around another library takes."""
    device = choose_device()
    model = model.eval().to(device)
    palette = VOC2012.pillow_palette()

    def load(path: Path) -> Tensor:
        from torchvision.transforms.functional import normalize, to_tensor

        with Image.open(path) as opened:
            image = normalize(to_tensor(opened.convert("RGB")), MEAN, STD)[None]
        height, width = image.shape[2:]
        return nn.functional.pad(image, (0, -width % multiple, 0, -height % multiple)).to(device)

    def score(image: Tensor) -> Tensor:
        scores = model(image)
        result: Tensor = scores["out"] if isinstance(scores, dict) else scores
        return result

    def bare(images: Sequence[Tensor]) -> None:
        with torch.inference_mode():
            for image in images:
                score(image)

    def whole(group: Sequence[Path], out: Path) -> None:
        out.mkdir()
        with torch.inference_mode():
            for path in group:
                label = score(load(path)).argmax(1)[0].byte().cpu().numpy()
                image = Image.fromarray(label)
                image.putpalette(palette)
                image.save(out / f"{path.stem}.png")

    return measure(files, bare, whole, load)


def measure(
    files: Sequence[Path],
    bare: Callable[[Sequence[Tensor]], None],
    whole: Callable[[Sequence[Path], Path], None],
    load: Callable[[Path], Tensor],
) -> Cost:
    """Time both turn by turn; return medians over the groups."""
    times: dict[str, list[float]] = {"bare": [], "whole": []}
    work: dict[str, list[float]] = {"bare": [], "whole": []}
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        for start in range(-GROUP, len(files), GROUP):  # the first group only warms up
            group = files[max(0, start) : max(0, start) + GROUP]
            images = [load(path) for path in group]
            turns = {
                "bare": partial(bare, images),
                "whole": partial(whole, group, Path(folder) / str(start)),
            }
            order = ("bare", "whole") if start // GROUP % 2 else ("whole", "bare")
            for name in order:
                synchronize()
                begin, worked = time.perf_counter(), time.process_time()
                turns[name]()
                synchronize()
                if start >= 0:
                    times[name].append((time.perf_counter() - begin) / len(group))
                    work[name].append((time.process_time() - worked) / len(group))
    median = statistics.median
    return Cost(
        median(times["bare"]), median(times["whole"]), median(work["bare"]), median(work["whole"])
    )


def to_uint8(path: Path, device: torch.device) -> UInt8[Tensor, "1 3 h w"]:
    """Read an image as the network takes it."""
    return (
        torch.from_numpy(np.ascontiguousarray(read_image(path))).permute(2, 0, 1)[None].to(device)
    )


def autocast(predictor: Predictor) -> torch.autocast:
    """Compute with the precision of the predictor."""
    half = predictor.precision == "bf16-mixed"
    return torch.autocast(predictor.device.type, torch.bfloat16, enabled=half)


def synchronize() -> None:
    """Wait for a GPU."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def measure_layouts(trunk: str, num: int) -> dict[str, float]:
    """Return seconds per image of 375 x 500 as the network lies in memory, and compiled."""
    network = build_network(trunk).eval()
    device = choose_device()
    image = torch.randint(0, 256, (1, 3, 375, 500), dtype=torch.uint8, device=device)
    variants: dict[str, Callable[[Tensor], Tensor]] = {
        "contiguous": build_network(trunk).eval().to(device),
        "channels_last": network.to(device).to(memory_format=torch.channels_last),
    }
    compiled = torch.compile(build_network(trunk).eval().to(device), dynamic=True)
    times: dict[str, list[float]] = {}
    with torch.inference_mode():
        begin = time.perf_counter()
        try:
            compiled(image)
            variants["torch.compile"] = compiled
            print(f"compiling {trunk} took {time.perf_counter() - begin:.0f} s")
        except Exception as error:  # no compiler on this machine
            print(f"torch.compile: {type(error).__name__}: {str(error).splitlines()[0]}")
        for variant in variants.values():
            variant(image)
        for _ in range(num):
            for name, variant in variants.items():
                synchronize()
                begin = time.perf_counter()
                variant(image)
                synchronize()
                times.setdefault(name, []).append(time.perf_counter() - begin)
    return {name: statistics.median(values) for name, values in times.items()}


def plain_models() -> dict[str, tuple[Callable[[], nn.Module], int]]:
    """Return what builds each model of other libraries, and what its sides must divide by."""
    import segmentation_models_pytorch as smp
    from torchvision.models import segmentation as tv

    def fpn() -> nn.Module:
        model: nn.Module = smp.FPN("mobilenet_v2", encoder_weights=None, classes=21)
        return model

    def deeplab() -> nn.Module:
        model: nn.Module = tv.deeplabv3_mobilenet_v3_large(
            weights=None, weights_backbone=None, num_classes=21
        )
        return model

    return {
        "plain script, smp FPN MobileNetV2": (fpn, 32),
        "plain script, torchvision DeepLabv3 MobileNetV3": (deeplab, 1),
    }


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--num", type=int, default=200, help="images, or rounds of `layouts`")
    parser.add_argument("--trunk", nargs="+", default=["squeezenet"])
    parser.add_argument("--save", default="label", help="what ours writes")
    parser.add_argument("--only", choices=("ours", "plain", "layouts"), help="leave out the rest")
    given = parser.parse_args()
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {choose_device()}")
    if given.only == "layouts":
        for trunk in given.trunk:
            for name, seconds in measure_layouts(trunk, given.num).items():
                print(f"| {trunk} | {name} | {1000 * seconds:.1f} ms |")
        return
    files = find_files(given.num)
    rows = {}
    if given.only != "plain":
        for trunk in given.trunk:
            rows[f"`parsenet predict`, {trunk}"] = measure_ours(trunk, files, given.save)
    if given.only != "ours":
        for name, (build, multiple) in plain_models().items():
            rows[name] = measure_plain(build(), files, multiple)
    print(f"| {len(files)} images | bare ms | whole ms | whole / bare | processor time |")
    print("|---|---|---|---|---|")
    for name, cost in rows.items():
        print(
            f"| {name} | {1000 * cost.bare:.1f} | {1000 * cost.whole:.1f} | "
            f"{cost.whole / cost.bare:.3f} | {cost.whole_work / cost.bare_work:.3f} |"
        )


if __name__ == "__main__":
    main()
