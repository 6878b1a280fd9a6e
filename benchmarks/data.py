"""Time training samples from file to tensor against decoding alone and the usual pipelines.

All contestants make the same kind of sample from the same real images: random scale 0.5 to 2,
321x321 crop padded with void, mirror, RGB and label as tensors. They take turns, round
after round, in one process on one thread, and the median round of each counts.

    PARSENET_DATA=DIR OMP_NUM_THREADS=1 python benchmarks/data.py
    PARSENET_DATA=DIR OMP_NUM_THREADS=1 python benchmarks/data.py --clock cpu   # on a busy machine
    PARSENET_DATA=DIR python benchmarks/data.py --epochs 10 --workers 2
"""

import argparse
import io
import json
import os
import platform
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import albumentations as A
import cv2
import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader
from torchvision import tv_tensors
from torchvision.transforms import v2

from parsenet.config import DataConfig, Recipe
from parsenet.data.base import SegmentationDataset, check_label
from parsenet.data.build import build_dataset
from parsenet.data.reading import read_reduced, shrink
from parsenet.data.sample import Key, Sample, TrainSampler, collate
from parsenet.data.transforms import PAD_COLOUR, Augmentation, ScaleTurnCrop
from parsenet.engine.record import describe_machine
from parsenet.files import write_bytes_atomically

CROP, SCALE = (321, 321), (0.5, 2.0)
Make = Callable[[int, int], object]
"""Makes the sample of (position, seed), or a part of it."""


class Voc:
    """The images of a split, by position."""

    def __init__(self, root: Path, split: str, count: int) -> None:
        self.options: dict[str, Any] = {"root": root, "crop": CROP, "scale": SCALE}
        self.split = split
        dataset = build_dataset(DataConfig(**self.options), split)
        spread = np.linspace(0, len(dataset) - 1, min(count, len(dataset))).astype(int)
        self.indices: list[int] = spread.tolist()
        self.dataset = dataset
        self.images = [_path(dataset, index) for index in self.indices]
        self.labels = [Path(dataset.label_name(index)) for index in self.indices]

    def train(self, **options: Any) -> SegmentationDataset:  # noqa: ANN401 - of DataConfig
        """Build the data set that augments."""
        return build_dataset(DataConfig(**self.options | options), self.split, train=True)

    def decoded(self, position: int) -> Sample:
        """Read image and label."""
        return self.dataset.read(self.indices[position])


def _path(dataset: SegmentationDataset, index: int) -> Path:
    path = dataset.image_path(index)
    assert path is not None
    return path


def to_tensors(image: np.ndarray, label: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Do what every such pipeline ends with."""
    return torch.from_numpy(image.transpose(2, 0, 1).copy()), torch.from_numpy(label)


def build_albumentations() -> A.Compose:
    """Build the chain of its documentation: resize all of it, pad, crop, mirror."""
    return A.Compose([
        A.RandomScale((SCALE[0] - 1, SCALE[1] - 1), p=1),
        A.PadIfNeeded(*CROP, border_mode=cv2.BORDER_CONSTANT, fill=PAD_COLOUR, fill_mask=255),
        A.RandomCrop(*CROP),
        A.HorizontalFlip(),
    ])


def build_torchvision(size: tuple[int, int]) -> v2.Compose:
    """Build the same chain of torchvision's second transforms."""
    fill = {tv_tensors.Image: list(PAD_COLOUR), tv_tensors.Mask: 255}
    return v2.Compose([
        v2.ScaleJitter(size, SCALE, antialias=True),
        v2.RandomCrop(CROP, pad_if_needed=True, fill=fill),
        v2.RandomHorizontalFlip(),
    ])


def list_samples(voc: Voc) -> dict[str, Make]:
    """List what goes from file to tensors, the floors first."""
    chain, jitter = build_albumentations(), build_torchvision((375, 500))
    ours, strong = voc.train(), voc.train(augment="strong")

    def decode(position: int, seed: int) -> object:
        label = voc.dataset.read_label(voc.indices[position])
        return read_reduced(voc.images[position], 1), label

    def with_opencv(position: int, seed: int) -> object:
        decoded = cv2.imread(str(voc.images[position]))
        assert decoded is not None
        image = cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)
        out = chain(image=image, mask=np.array(Image.open(voc.labels[position])))
        return to_tensors(out["image"], out["mask"])

    def with_pillow(position: int, seed: int) -> object:
        image = np.array(Image.open(voc.images[position]).convert("RGB"))
        out = chain(image=image, mask=np.array(Image.open(voc.labels[position])))
        return to_tensors(out["image"], out["mask"])

    def with_torchvision(position: int, seed: int) -> object:
        image = v2.functional.to_image(Image.open(voc.images[position]).convert("RGB"))
        label = torch.from_numpy(np.array(Image.open(voc.labels[position])))
        out = jitter(image, tv_tensors.Mask(label[None]))
        return out[0], out[1][0]

    return {
        "JPEG decoding alone": lambda p, seed: read_reduced(voc.images[p], 1),
        "decoding of JPEG and label": decode,
        "ours": lambda p, seed: ours[Key(voc.indices[p], seed)],
        "ours, `augment: strong`": lambda p, seed: strong[Key(voc.indices[p], seed)],
        "albumentations, OpenCV decodes": with_opencv,
        "albumentations, Pillow decodes": with_pillow,
        "torchvision v2, Pillow decodes": with_torchvision,
    }


def list_augmentations(voc: Voc, count: int) -> dict[str, Make]:
    """List what goes from decoded image to tensors."""
    samples = [voc.decoded(position) for position in range(count)]
    tensors = [
        (
            tv_tensors.Image(torch.from_numpy(sample.image.transpose(2, 0, 1).copy())),
            tv_tensors.Mask(torch.from_numpy(sample.label)[None]),
        )
        for sample in samples
    ]
    chain, jitter = build_albumentations(), build_torchvision((375, 500))
    augmentation = Augmentation()

    def ours(position: int, seed: int) -> object:
        sample = samples[position]
        return to_tensors(*augmentation(sample.label, lambda n: shrink(sample.image, n), seed))

    def albumentations(position: int, seed: int) -> object:
        out = chain(image=samples[position].image, mask=samples[position].label)
        return to_tensors(out["image"], out["mask"])

    def torchvision(position: int, seed: int) -> object:
        out = jitter(*tensors[position])
        return out[0], out[1][0]

    return {"ours": ours, "albumentations": albumentations, "torchvision v2": torchvision}


def list_parts(voc: Voc) -> dict[str, Make]:
    """List the parts of one of our samples."""
    warp = ScaleTurnCrop(Recipe())
    samples = [voc.decoded(position) for position in range(len(voc.indices))]
    jpegs = [np.fromfile(path, np.uint8) for path in voc.images]

    def warp_image(position: int, seed: int) -> object:
        draw = warp.draw(samples[position].label, seed)
        return warp.apply(shrink(samples[position].image, draw.reduction), draw)

    def warp_label(position: int, seed: int) -> object:
        label = samples[position].label
        return warp.apply_to_mask(label, warp.draw(label, seed))

    def check(position: int, seed: int) -> None:
        check_label(samples[position].label, voc.dataset.taxonomy, "")

    return {
        "JPEG: OpenCV": lambda p, seed: cv2.imdecode(jpegs[p], cv2.IMREAD_COLOR),
        "JPEG: Pillow": lambda p, seed: np.array(
            Image.open(io.BytesIO(jpegs[p].tobytes())).convert("RGB")
        ),
        "JPEG: OpenCV, half the sides": lambda p, seed: read_reduced(voc.images[p], 2),
        "JPEG: file to RGB": lambda p, seed: read_reduced(voc.images[p], 1),
        "label: file to indices": lambda p, seed: voc.dataset.read_label(voc.indices[p]),
        "label: Pillow": lambda p, seed: np.array(Image.open(voc.labels[p])),
        "label: check": check,
        "draw": lambda p, seed: warp.draw(samples[p].label, seed),
        "draw and warp the image": warp_image,
        "draw and warp the label": warp_label,
    }


def contest(makes: dict[str, Make], count: int, rounds: int, cpu: bool) -> dict[str, float]:
    """Let all take turns at all images; return the median seconds per sample."""
    clock = time.process_time if cpu else time.perf_counter
    times: dict[str, list[float]] = {name: [] for name in makes}
    for number in range(rounds + 1):
        for name, make in makes.items():
            begin = clock()
            for position in range(count):
                make(position, 1000 * number + position)
            times[name].append((clock() - begin) / count)
    # The first round warms up.
    return {name: float(np.median(seconds[1:])) for name, seconds in times.items()}


def print_table(title: str, times: dict[str, float], base: str) -> None:
    """Print milliseconds, samples per second, and the ratio to one line."""
    print(f"\n| {title} | ms | per second | over '{base}' |\n|---|---:|---:|---:|")
    for name, seconds in times.items():
        ratio = seconds / times[base]
        print(f"| {name} | {1000 * seconds:.2f} | {1 / seconds:.0f} | {ratio:.2f} |")


def run_epochs(voc: Voc, epochs: int, workers: int) -> None:
    """Load epoch after epoch, and print what memory the processes hold together."""
    dataset = voc.train()
    sampler = TrainSampler(len(dataset))
    loader = DataLoader(
        dataset,
        8,
        sampler=sampler,
        num_workers=workers,
        persistent_workers=workers > 0,
        collate_fn=collate,
    )
    print(f"\n{len(dataset)} images, {workers} loader processes")
    print("| epoch | images per second | MiB held, no file | MiB held in all |")
    print("|---:|---:|---:|---:|")
    for epoch in range(1, epochs + 1):
        sampler.set_epoch(epoch)
        begin = time.perf_counter()
        num_images = sum(len(batch.id) for batch in loader)
        rate = num_images / (time.perf_counter() - begin)
        held = {kind: sum(_held(kind)) for kind in ("Pss_Anon", "Pss")}
        print(f"| {epoch} | {rate:.0f} | {held['Pss_Anon']:.0f} | {held['Pss']:.0f} |", flush=True)


def _held(kind: str) -> Iterator[float]:
    """Yield the MiB of this process and of its loaders; shared pages are divided among them."""
    for pid in [os.getpid(), *(child.pid for child in active_children())]:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines():
            if line.startswith(f"{kind}:"):
                yield int(line.split()[1]) / 1024


def main() -> None:
    """Run the contest, or the epochs."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--root", type=Path, help="folder of VOC 2012; found in PARSENET_DATA")
    parser.add_argument("--split", default="val", help="split of VOC (val keeps original files)")
    parser.add_argument("--count", type=int, default=60, help="images")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    parser.add_argument("--epochs", type=int, default=0, help="watch memory instead of timing")
    parser.add_argument("--workers", type=int, default=0, help="loader processes of --epochs")
    parser.add_argument("--out", type=Path, help="write the tables' numbers as JSON")
    args = parser.parse_args()
    data = os.environ.get("PARSENET_DATA")
    if args.root is None and data is None:
        parser.error("set PARSENET_DATA, or give --root")
    root = args.root or Path(str(data)) / "voc2012_subset" / "VOC2012"
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    voc = Voc(root, args.split, args.count)
    machine = describe_machine(torch.device("cpu"))
    print(f"{machine['device']}, {machine['versions']}, OpenCV {cv2.__version__}")
    print(f"{datetime.now(UTC):%Y-%m-%d}, {platform.system()}, commit {machine['git_commit']}")
    if args.epochs:
        run_epochs(voc, args.epochs, args.workers)
        return
    count, cpu = len(voc.indices), args.clock == "cpu"
    print(f"{count} images of {args.split}, {args.rounds} rounds, {args.clock} time, one thread")
    samples = contest(list_samples(voc), count, args.rounds, cpu)
    print_table("file to tensors", samples, "JPEG decoding alone")
    augmented = contest(list_augmentations(voc, count), count, args.rounds, cpu)
    print_table("decoded image to tensors", augmented, "ours")
    parts = contest(list_parts(voc), count, args.rounds, cpu)
    print_table("part", parts, "JPEG: file to RGB")
    if args.out:
        tables = {"samples": samples, "augmentations": augmented, "parts": parts}
        write_bytes_atomically(args.out, json.dumps(tables, indent=1).encode())


if __name__ == "__main__":
    main()
