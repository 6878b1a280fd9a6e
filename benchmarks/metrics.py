"""Time counting against the peers' metrics, in one process, and check that they agree exactly.

Every contestant takes the same label maps of VOC's size (375 x 500, 21 classes, void), one image
at a time, and leaves the same counts. They take turns, and the fastest turn of each counts. Then
our counts run over more and more images while the process's memory is watched.

    OMP_NUM_THREADS=1 python benchmarks/metrics.py
    python benchmarks/metrics.py --device cuda        # counts stay on the GPU, as do the peers'
"""

import argparse
import platform
import resource
import time
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

import numpy as np
import torch
from torch import Tensor

from parsenet.hardware import choose_device
from parsenet.metrics.boundary import contour_areas
from parsenet.metrics.confusion import ConfusionMatrix
from parsenet.metrics.counting import count
from parsenet.metrics.scores import scores

NUM_CLASSES, VOID = 21, 255
SIZE = (375, 500)


def draw(number: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Draw label maps made of blobs, as images are, with a ring of void and some errors."""
    random = np.random.default_rng(0)
    pairs = []
    for _ in range(number):
        classes = np.concatenate([[0, 0, 0], random.integers(0, NUM_CLASSES, 3)]).astype(np.uint8)
        label = np.kron(classes[random.integers(0, 6, (15, 20))], np.ones((25, 25), np.uint8))
        prediction = np.roll(label, (9, 7), (0, 1))
        label[random.random((15, 20)).repeat(25, 0).repeat(25, 1) < 0.05] = VOID
        prediction[prediction == VOID] = 0
        pairs.append((prediction, label))
    return pairs


def torchmetrics_counter(device: torch.device) -> Callable[[Tensor, Tensor], np.ndarray]:
    """Count with the state of torchmetrics' Jaccard index."""
    from torchmetrics.classification import MulticlassJaccardIndex

    metric = MulticlassJaccardIndex(NUM_CLASSES, average="macro", ignore_index=VOID).to(device)

    def run(prediction: Tensor, label: Tensor) -> np.ndarray:
        metric.update(prediction, label)
        return metric.confmat  # type: ignore[return-value]

    return run


def smp_counter(prediction: Tensor, label: Tensor) -> Tensor:
    """Count with segmentation_models_pytorch: (tp, fp, fn) of every class."""
    from segmentation_models_pytorch.metrics import get_stats

    stats = get_stats(prediction, label, "multiclass", ignore_index=VOID, num_classes=NUM_CLASSES)
    return torch.stack(stats[:3])[:, 0]


def run(
    metric: Callable[[np.ndarray, np.ndarray, int, int], object],
    prediction: np.ndarray,
    label: np.ndarray,
) -> None:
    """Call one of our functions."""
    metric(prediction, label, NUM_CLASSES, VOID)


def check(pairs: list[tuple[np.ndarray, np.ndarray]]) -> float:
    """Refuse to time what disagrees: counts equal, and the mean IoU where the rule is the same."""
    from torchmetrics.classification import MulticlassJaccardIndex

    metric = MulticlassJaccardIndex(NUM_CLASSES, average="macro", ignore_index=VOID)
    ours = np.zeros((NUM_CLASSES, NUM_CLASSES), np.int64)
    smp = np.zeros((3, NUM_CLASSES), np.int64)
    for prediction, label in pairs:
        ours += count(prediction, label, NUM_CLASSES, VOID)
        tensors = [torch.from_numpy(part).long()[None] for part in (prediction, label)]
        metric.update(*tensors)
        smp += smp_counter(*tensors).numpy()
    right, found, truth = np.diag(ours), ours.sum(0), ours.sum(1)
    np.testing.assert_array_equal(ours, metric.confmat.numpy())
    np.testing.assert_array_equal(np.stack([right, found - right, truth - right]), smp)
    mean_iou = scores(ours).mean_iou
    np.testing.assert_allclose(mean_iou, float(metric.compute()), atol=1e-6)
    return mean_iou


def time_turns(
    contest: dict[str, tuple[Callable[..., object], list[tuple[object, object]]]],
    rounds: int,
    wait: Callable[[], None],
) -> dict[str, float]:
    """Return the fastest turn of each, in milliseconds per image."""
    best = dict.fromkeys(contest, float("inf"))
    for turn in range(rounds + 1):
        for name, (run, pairs) in contest.items():
            wait()
            start = time.perf_counter()
            for prediction, label in pairs:
                run(prediction, label)
            wait()
            if turn:  # the first warms up
                best[name] = min(best[name], 1000 * (time.perf_counter() - start) / len(pairs))
    return best


def peak_megabytes() -> float:
    """Return the most memory this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Check, time, watch the memory, and print Markdown tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    device = choose_device(args.device)
    pairs = draw(args.images)
    mean_iou = check(pairs)

    def place(kind: torch.dtype) -> list[tuple[object, object]]:
        tensors = [[torch.from_numpy(x).to(device, kind)[None] for x in pair] for pair in pairs]
        return [(prediction, label) for prediction, label in tensors]

    matrix = ConfusionMatrix(NUM_CLASSES, VOID)
    contest: dict[str, tuple[Callable[..., object], list[tuple[object, object]]]] = {
        "parsenet ConfusionMatrix": (matrix.update, place(torch.uint8)),
        "torchmetrics MulticlassJaccardIndex": (torchmetrics_counter(device), place(torch.int64)),
        "smp get_stats": (smp_counter, place(torch.int64)),
    }
    if device.type == "cpu":
        random = np.random.default_rng(0)
        noise = [tuple(random.integers(0, NUM_CLASSES, (2, *SIZE), np.uint8)) for _ in pairs]
        contest = {
            "parsenet count": (partial(run, count), list(pairs)),
            "parsenet count, pure noise": (partial(run, count), [(a, b) for a, b in noise]),
            **contest,
            "parsenet contour_areas": (partial(run, contour_areas), list(pairs)),
        }
    wait = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    times = time_turns(contest, args.rounds, wait)
    print(f"{args.images} label maps of {SIZE[0]} x {SIZE[1]}, {NUM_CLASSES} classes, {device},")
    print(f"{torch.get_num_threads()} threads, {datetime.now(UTC):%Y-%m-%d}, {platform.machine()}")
    print(f"Counts equal to the last pixel; mean IoU {mean_iou:.6f} for all.\n")
    print("| | ms per image | times ours |\n|---|---:|---:|")
    ours = times[next(iter(times))]
    for name, milliseconds in times.items():
        print(f"| {name} | {milliseconds:.3f} | {milliseconds / ours:.1f} |")
    print("\n| images counted | peak memory, MB |\n|---:|---:|")
    for target in (100, 1_000, 10_000):
        for index in range(target):
            prediction, label = contest["parsenet ConfusionMatrix"][1][index % len(pairs)]
            matrix.update(prediction, label)  # type: ignore[arg-type]
        print(f"| {target:,} | {peak_megabytes():.1f} |")


if __name__ == "__main__":
    main()
