"""Draw the figures of docs/evaluation.md.

The first shows what is counted, on a made-up image; the others are drawn from two scored sets.

    python benchmarks/evaluation_figures.py A/metrics.json B/metrics.json --out docs/figures
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from parsenet.metrics.boundary import contour_areas, distance_to_other_label
from parsenet.metrics.dialects import in_all_dialects
from parsenet.metrics.record import Evaluation, compare_scored
from parsenet.metrics.scores import SCORES, table
from parsenet.metrics.statistics import Resampling
from parsenet.reports.charts import panels, styled, write_chart
from parsenet.reports.page import contact_sheet
from parsenet.taxonomy import VOC2012

VOID = 255
BLUE, GREY = "#3b6fb6", "#9aa5af"


def draw_maps() -> tuple[np.ndarray, np.ndarray]:
    """Draw a disc and a box with VOC's ring of void, and a prediction that is a little off."""
    y, x = np.mgrid[:120, :180]

    def objects(right: int, grow: int) -> np.ndarray:
        label = np.zeros((120, 180), np.uint8)
        label[np.hypot(y - 62, x - 58 - right) < 34 + grow] = 8
        box = (abs(y - 72) < 30 + grow) & (abs(x - 132 - right) < 22 + grow)
        label[box] = 15
        return label

    inner, outer = objects(0, -2), objects(0, 2)
    return objects(3, 1), np.where(inner == outer, inner, np.uint8(VOID))


def what_is_counted(path: Path) -> None:
    """Show ground truth, prediction, the two boundary strips and the trimap's bands."""
    prediction, label = draw_maps()
    counted = label != VOID
    judged = np.where(counted, prediction, np.uint8(VOID))
    strips = np.full((*label.shape, 3), 255, np.uint8)
    truth, found = (counted & (distance_to_other_label(x) <= 4) for x in (label, judged))
    strips[truth & (label > 0)] = (220, 120, 60)
    strips[found & (judged > 0)] = (80, 130, 210)
    strips[truth & found & (label == judged) & (label > 0)] = (60, 160, 90)
    trimap = np.full((*label.shape, 3), 235, np.uint8)
    for width, shade in ((16, 190), (8, 150), (4, 110), (2, 70)):
        trimap[distance_to_other_label(label) <= width] = shade
    trimap[~counted] = (224, 224, 192)
    mean_iou = table(contour_areas(prediction, label, 21))[0, 0]
    right = (label == prediction) & counted
    titles = {
        "ground truth; the ring is void": VOC2012.colourise(label),
        f"prediction; {100 * right.sum() / counted.sum():.1f} % of pixels right": (
            VOC2012.colourise(prediction)
        ),
        f"boundary strips; mean IoU {100 * mean_iou:.1f} %": strips,
        "trimap bands of 2, 4, 8, 16 px": trimap,
    }
    sheet = contact_sheet([[*titles.values()]], [[*titles]], tile=280)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(sheet).save(path, optimize=True)


@styled
def dialects(scored: Evaluation, path: Path) -> None:
    """Show the same predictions' mean IoU in every codebase."""
    names = list(in_all_dialects(scored.images))
    known = [entry["mean_iou"] for entry in in_all_dialects(scored.images).values()]
    values = [np.nan if value is None else 100 * float(value) for value in known]
    figure, ((axis,),) = panels(1, 1, (8, 3.8))
    bars = axis.barh(names, np.nan_to_num(values), color=[BLUE, *[GREY] * (len(names) - 1)])
    labels = ["nan" if np.isnan(value) else f"{value:.2f}" for value in values]
    axis.bar_label(bars, labels, padding=3, fontsize=8)
    axis.invert_yaxis()
    axis.set_xlabel(f"reported mean IoU, per cent ({scored.card.num_images:,} images)")
    axis.tick_params(labelsize=8)
    axis.margins(x=0.12)
    write_chart(path, figure)


@styled
def differences(one: Evaluation, other: Evaluation, path: Path) -> None:
    """Show the interval of every difference; filled where the test finds one."""
    result = compare_scored(one, other, Resampling())
    names = [*(name.replace("_", " ") for name in SCORES), *one.names]
    bounds = result.difference
    figure, ((axis,),) = panels(1, 1, (8, 5.2))
    for row in np.flatnonzero(np.isfinite(bounds.value)):
        low, value, high = (100 * part[row] for part in (bounds.low, bounds.value, bounds.high))
        found = result.p_value[row] < 0.05
        axis.plot([low, high], [row, row], "-", color=BLUE if found else GREY, lw=2)
        axis.plot(value, row, "o", color=BLUE, mfc=BLUE if found else "white", ms=5)
    axis.axvline(0, color="black", lw=0.8)
    axis.set_yticks(range(len(names)), names, fontsize=8)
    axis.invert_yaxis()
    axis.set_xlabel("B - A, points; 95 % interval; filled: p < 0.05 (classes after Holm)")
    write_chart(path, figure)


def main() -> None:
    """Draw all figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("a", type=Path)
    parser.add_argument("b", type=Path)
    parser.add_argument("--out", type=Path, default=Path("docs/figures"))
    args = parser.parse_args()
    one, other = Evaluation.load(args.a), Evaluation.load(args.b)
    what_is_counted(args.out / "evaluation_counted.png")
    dialects(other, args.out / "evaluation_dialects.png")
    differences(one, other, args.out / "evaluation_difference.png")


if __name__ == "__main__":
    main()
