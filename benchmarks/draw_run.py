"""Draw a run for `docs/results`: loss and mean IoU over time, IoU by class, predicted label maps.

Label maps only: the photographs of VOC belong to their owners and stay out of this repository.

    python benchmarks/draw_run.py runs/NAME --labels labels/ --out docs/results/voc2012_subset
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from parsenet.reports.charts import bar_chart, panels, styled, write_chart
from parsenet.reports.page import contact_sheet
from parsenet.reports.runs import Run, read_run


@styled
def draw_curves(run: Run, path: Path) -> None:
    """Draw training loss, mean IoU and pixel accuracy over the iterations."""
    figure, ((left, right),) = panels(1, 2, (9, 3.2))
    left.plot(*zip(*run.curves["train/loss"], strict=True))
    left.set(title="training loss", xlabel="iteration", ylim=(0, None))
    for name, title in {"val/pixel_acc": "pixel accuracy", "val/mIoU": "mean IoU"}.items():
        right.plot(*zip(*run.curves[name], strict=True), label=title)
    right.set(title="validation", xlabel="iteration", ylim=(0, 1))
    right.legend()
    write_chart(path, figure)


def draw_classes(run: Run, path: Path) -> None:
    """Draw a bar per class that has ground truth, most pixels first."""
    classes = [c for c in run.metrics["classes"] if c["pixels"]]
    classes.sort(key=lambda c: c["pixels"], reverse=True)
    shares = {c["name"]: c["iou"] for c in classes}
    chart = bar_chart("IoU by class, %, most pixels first", shares)
    if chart is not None:
        write_chart(path, chart)


def draw_labels(labels: Path, path: Path, count: int = 12, columns: int = 6) -> None:
    """Set label maps spread evenly over a folder side by side, in their palette's colours."""
    files = sorted(labels.glob("*.png"))
    chosen = [files[round(i * (len(files) - 1) / (count - 1))] for i in range(count)]
    maps = [np.asarray(Image.open(file).convert("RGB")) for file in chosen]
    rows = [maps[start : start + columns] for start in range(0, count, columns)]
    sheet = contact_sheet(rows, [[""] * len(row) for row in rows], tile=180)
    Image.fromarray(sheet).quantize(64).save(path, optimize=True)


def main() -> None:
    """Read the command line and draw."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("run_dir", type=Path)
    parser.add_argument("--labels", type=Path, help="label maps that `parsenet predict` wrote")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    given = parser.parse_args()
    run = read_run(given.run_dir)
    given.out.mkdir(parents=True, exist_ok=True)
    draw_curves(run, given.out / "curves.png")
    draw_classes(run, given.out / "classes.png")
    if given.labels:
        draw_labels(given.labels, given.out / "labels.png")
    print(f"{given.out}: " + ", ".join(sorted(path.name for path in given.out.glob("*.png"))))


if __name__ == "__main__":
    main()
