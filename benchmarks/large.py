"""Label an image that no memory holds at once, and say what it took; or measure activations.

The first form draws an image of the given side, labels it within a memory budget and prints the
largest resident memory of the process, with the image and its label in it.

    python benchmarks/large.py --side 20000 --trunk squeezenet

The second form is where `Trunk.bytes_per_pixel` comes from: the growth of the largest resident
memory, each size in a process of its own, divided by the pixels that were added.

    python benchmarks/large.py --activations squeezenet tiny vgg16_largefov vgg16_fcn_reduced
"""

import argparse
import resource
import subprocess
import sys
import time

import numpy as np
import torch
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from parsenet.config import InferenceConfig, NetworkConfig
from parsenet.inference.predictor import Predictor
from parsenet.models.build import TRUNKS, build_model
from parsenet.taxonomy import VOC2012

_SIDES = (384, 768, 1152)


def peak_bytes() -> int:
    """Return the largest resident memory of this process so far; Linux counts it in KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def build(trunk: str, config: InferenceConfig) -> Predictor:
    """Build a predictor with random weights, all features fused."""
    features = ("pool6", "fc7", "conv5", "conv4", "conv3")
    torch.manual_seed(0)
    network = build_model(NetworkConfig(trunk, features), VOC2012.num_classes)
    return Predictor(network, VOC2012, config=config)


def label_large(side: int, trunk: str, config: InferenceConfig) -> None:
    """Draw an image, label it, print what it took."""
    noise = np.random.default_rng(0).integers(0, 256, (side // 64 + 1, side // 64 + 1, 3), np.uint8)
    image = np.empty((side, side, 3), np.uint8)
    for top in range(0, side, 64):  # blocks of 64 pixels, without a second copy of the image
        image[top : top + 64] = noise[top // 64].repeat(64, 0)[:side]
    predictor = build(trunk, config)
    before, start = peak_bytes(), time.perf_counter()
    columns = (TextColumn("windows"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, transient=True) as bar:
        task = bar.add_task("windows")
        label = predictor.predict(
            [image], progress=lambda done, total: bar.update(task, completed=done, total=total)
        )[0].label
    seconds, peak = time.perf_counter() - start, peak_bytes()
    # By rows: numpy counts in 8 bytes per pixel.
    seen = np.sum([np.bincount(row, minlength=VOC2012.num_classes) for row in label], axis=0)
    print("| trunk | side | classes seen | seconds | before, GB | peak, GB |")
    print("|---|---:|---:|---:|---:|---:|")
    print(
        f"| {trunk} | {side} | {np.count_nonzero(seen)} | {seconds:.0f} | "
        f"{before / 1e9:.2f} | {peak / 1e9:.2f} |"
    )


def measure_once(trunk: str, side: int) -> None:
    """Label one square image in one piece and print the largest memory."""
    predictor = build(trunk, InferenceConfig(memory=1000.0))
    predictor(np.zeros((8, 8, 3), np.uint8))
    predictor(np.zeros((side, side, 3), np.uint8))
    print(peak_bytes())


def measure_activations(trunks: list[str]) -> None:
    """Print bytes per pixel from size to size."""
    print("| trunk | sides | bytes per pixel | in `Trunk.bytes_per_pixel` |\n|---|---|---:|---:|")
    for trunk in trunks:
        peaks = []
        for side in _SIDES:
            command = [sys.executable, __file__, "--trunk", trunk, "--once", str(side)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            peaks.append(int(done.stdout))
        for i in range(1, len(_SIDES)):
            grown = (peaks[i] - peaks[i - 1]) / (_SIDES[i] ** 2 - _SIDES[i - 1] ** 2)
            stated = TRUNKS[trunk](0.0).bytes_per_pixel
            print(f"| {trunk} | {_SIDES[i - 1]} to {_SIDES[i]} | {grown:.0f} | {stated} |")


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--side", type=int, default=6000, help="pixels of the image's side")
    parser.add_argument("--trunk", default="squeezenet")
    parser.add_argument("--memory", type=float, default=InferenceConfig.memory, help="GiB")
    parser.add_argument("--window", type=int)
    parser.add_argument("--overlap", type=int, default=InferenceConfig.overlap)
    parser.add_argument("--context", default="whole", choices=("whole", "window"))
    parser.add_argument("--activations", nargs="+", metavar="TRUNK")
    parser.add_argument("--once", type=int, metavar="SIDE", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.activations:
        measure_activations(given.activations)
    elif given.once:
        measure_once(given.trunk, given.once)
    else:
        config = InferenceConfig(given.memory, given.window, given.overlap, given.context)
        label_large(given.side, given.trunk, config)


if __name__ == "__main__":
    main()
