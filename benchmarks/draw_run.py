"""Draw a run for `docs/results`: loss and mean IoU over time, IoU by class, predicted label maps.

Label maps only: the photographs of VOC belong to their owners and stay out of this repository.

    python benchmarks/draw_run.py runs/NAME --labels labels/ --out docs/results/voc2012_subset
"""

import argparse
from pathlib import Path

import matplotlib as mpl
from PIL import Image

from parsenet.reports.runs import Run, read_run
from parsenet.taxonomy import Taxonomy, taxonomy_named

mpl.use("Agg")
import matplotlib.pyplot as plt


def draw_curves(run: Run, path: Path) -> None:
    """Draw training loss, mean IoU and pixel accuracy over the iterations."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
    left.plot(*zip(*run.curves["train/loss"], strict=True), marker="o", color="#2f6fde")
    left.set(title="training loss", xlabel="iteration", ylim=(0, None))
    for name, title in (("val/pixel_acc", "pixel accuracy"), ("val/mIoU", "mean IoU")):
        right.plot(*zip(*run.curves[name], strict=True), marker="o", label=title)
    right.set(title="validation", xlabel="iteration", ylim=(0, 1))
    right.legend()
    for axes in (left, right):
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def draw_classes(run: Run, taxonomy: Taxonomy, path: Path) -> None:
    """Draw a bar per class that has ground truth, in the class's colour, largest first."""
    classes = [c for c in run.metrics["classes"] if c["pixels"]]
    classes.sort(key=lambda c: c["pixels"], reverse=True)
    colours = dict(zip(taxonomy.names, taxonomy.palette, strict=True))
    figure, axes = plt.subplots(figsize=(9, 3.6), layout="constrained")
    names = [c["name"] for c in classes]
    bars = axes.bar(
        names,
        [c["iou"] for c in classes],
        color=[tuple(channel / 255 for channel in colours[name]) for name in names],
        edgecolor="#444444",
    )
    axes.bar_label(bars, [f"{100 * c['iou']:.0f}" for c in classes], fontsize=8)
    axes.set(ylabel="IoU", ylim=(0, 1), title="IoU by class, most pixels first")
    axes.tick_params(axis="x", rotation=60)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def draw_labels(labels: Path, path: Path, count: int = 12, height: int = 150) -> None:
    """Set label maps spread evenly over a folder side by side, in their palette's colours."""
    files = sorted(labels.glob("*.png"))
    chosen = [files[round(i * (len(files) - 1) / (count - 1))] for i in range(count)]
    rows: list[list[Image.Image]] = [[], []]
    for index, file in enumerate(chosen):
        with Image.open(file) as label:
            size = (round(label.width * height / label.height), height)
            rows[index * 2 // count].append(label.resize(size, Image.Resampling.NEAREST))
    width = max(sum(label.width + 6 for label in row) for row in rows)
    sheet = Image.new("RGB", (width, 2 * (height + 6)), "white")
    for number, row in enumerate(rows):
        left = 0
        for cell in row:
            sheet.paste(cell.convert("RGB"), (left, number * (height + 6)))
            left += cell.width + 6
    sheet.quantize(64).save(path, optimize=True)


def main() -> None:
    """Read the command line and draw."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("run_dir", type=Path)
    parser.add_argument("--labels", type=Path, help="label maps that `parsenet predict` wrote")
    parser.add_argument("--taxonomy", default="voc2012")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    given = parser.parse_args()
    run = read_run(given.run_dir)
    given.out.mkdir(parents=True, exist_ok=True)
    draw_curves(run, given.out / "curves.png")
    draw_classes(run, taxonomy_named(given.taxonomy), given.out / "classes.png")
    if given.labels:
        draw_labels(given.labels, given.out / "labels.png")
    print(f"{given.out}: " + ", ".join(sorted(path.name for path in given.out.glob("*.png"))))


if __name__ == "__main__":
    main()
