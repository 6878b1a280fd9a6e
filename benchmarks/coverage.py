"""Measure whether a 95 % interval holds the true score 95 times in 100, and whether the test lies.

Data sets are drawn from a made-up population whose true scores are known in closed form: images
with a background and a few of 20 objects, rare as in VOC, of lognormal size, right for a share that
varies from image to image. Two checkpoints see the same images. For each data set the
interval either holds the truth or not; where the checkpoints are equally good, a p-value below 0.05
is a false alarm.

    python benchmarks/coverage.py                          # 300 images, 1,000 data sets
    python benchmarks/coverage.py --images 1449 --trials 500
"""

import argparse
import platform
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from parsenet.metrics.counting import ImageCounts
from parsenet.metrics.scores import SCORES, areas_of, table
from parsenet.metrics.statistics import Resampling, compare

NUM_CLASSES = 21
SPREAD = 0.8
"""Standard deviation of the logarithm of an object's area."""
BACKGROUND, OBJECT = 120_000, 25_000
"""Mean areas in pixels."""


class Population:
    """Images that can be drawn without end, scored by two checkpoints.

    Args:
        gain: how much larger the second checkpoint's share of right pixels is.
        seed: start of the randomness that makes the classes.
    """

    def __init__(self, gain: float = 0.0, seed: int = 0) -> None:
        random = np.random.default_rng(seed)
        self.presence = np.concatenate([[1.0], random.uniform(0.03, 0.12, NUM_CLASSES - 1)])
        self.area = np.concatenate([[BACKGROUND], OBJECT * random.uniform(0.3, 2, NUM_CLASSES - 1)])
        share = np.concatenate([[0.93], random.uniform(0.4, 0.8, NUM_CLASSES - 1)])
        self.share = np.stack([share, share + gain])
        self.mistaken_for = np.concatenate([[1], np.zeros(NUM_CLASSES - 1, int)])
        self.mistaken_for[1::3] = np.roll(np.arange(1, NUM_CLASSES, 3), 1)

    def draw(self, num_images: int, random: np.random.Generator) -> tuple[ImageCounts, ImageCounts]:
        """Draw images; the two checkpoints' shares of right pixels go up and down together."""
        shape = (num_images, NUM_CLASSES)
        present = random.random(shape) < self.presence
        size = self.area * random.lognormal(-(SPREAD**2) / 2, SPREAD, shape)
        pixels = np.rint(present * size).astype(np.int64)
        hard = random.normal(size=(num_images, 1))
        return (
            self._count(pixels, self.share[0], hard, random),
            self._count(pixels, self.share[1], hard, random),
        )

    def truth(self, checkpoint: int) -> np.ndarray:
        """Return the scores of endlessly many images, in the order of `statistics.table`."""
        pixels, share = self.presence * self.area, self.share[checkpoint]
        confusion = np.diag(pixels * share)
        confusion[np.arange(NUM_CLASSES), self.mistaken_for] += pixels * (1 - share)
        return table(areas_of(confusion))

    def _count(
        self, pixels: np.ndarray, share: np.ndarray, hard: np.ndarray, random: np.random.Generator
    ) -> ImageCounts:
        noise = 0.7 * hard + 0.7 * random.normal(size=pixels.shape)
        # Symmetric about its mean and within [0, 1], so that the mean share is `share` exactly.
        width = np.minimum(share, 1 - share)
        right = np.rint(pixels * (share + width * np.tanh(noise))).astype(np.int64)
        counts = np.zeros((*pixels.shape, NUM_CLASSES), np.int64)
        classes = np.arange(NUM_CLASSES)
        counts[:, classes, classes] = right
        counts[:, classes, self.mistaken_for] += pixels - right
        return ImageCounts.of([str(index) for index in range(len(pixels))], counts, NUM_CLASSES)


@dataclass(frozen=True)
class Coverage:
    """Shares over all data sets drawn, in the order of `statistics.table`."""

    interval: np.ndarray
    """Intervals that hold the true score."""
    difference: np.ndarray
    """Intervals of the difference that hold the true difference."""
    alarms: np.ndarray
    """p-values below 0.05."""
    family: float
    """Data sets in which any class has a Holm p-value below 0.05."""


def measure(population: Population, images: int, trials: int, resamples: int) -> Coverage:
    """Draw data sets and check every interval against the truth."""
    one, other = population.truth(0), population.truth(1)
    holds, holds_difference, alarms, family = [], [], [], []
    for trial in range(trials):
        drawn = population.draw(images, np.random.default_rng([1, trial]))
        result = compare(*drawn, Resampling(resamples, seed=trial))
        holds.append((result.one.low <= one) & (one <= result.one.high))
        difference = result.difference
        holds_difference.append((difference.low <= other - one) & (other - one <= difference.high))
        alarms.append(result.p_value < 0.05)
        family.append(np.nanmin(result.p_value[len(SCORES) :]) < 0.05)
    means = [np.mean(part, axis=0) for part in (holds, holds_difference, alarms)]
    return Coverage(means[0], means[1], means[2], float(np.mean(family)))


def main() -> None:
    """Measure without and with a true difference, and print a Markdown table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--gain", type=float, default=0.02)
    args = parser.parse_args()
    same = measure(Population(), args.images, args.trials, args.resamples)
    better = measure(Population(args.gain), args.images, args.trials, args.resamples)
    print(f"{args.images} images, {args.trials} data sets, {args.resamples} resamples, 95 %")
    print(f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, numpy {np.__version__}\n")
    print("| | interval holds | difference holds | false alarms | found when true |")
    print("|---|---:|---:|---:|---:|")
    rows = [(name, slice(index, index + 1)) for index, name in enumerate(SCORES)]
    for name, where in [*rows, ("IoU of a class, on average", slice(len(SCORES), None))]:
        parts = (same.interval, better.difference, same.alarms, better.alarms)
        shares = " | ".join(f"{100 * part[where].mean():.1f} %" for part in parts)
        print(f"| {name} | {shares} |")
    print(f"| any class, Holm | | | {100 * same.family:.1f} % | {100 * better.family:.1f} % |")


if __name__ == "__main__":
    main()
