"""The same predictions in the words of ten codebases: what each would report, and why it differs.

All of them count pixels by true and predicted class. They part where a class has no pixels, where
images are averaged instead of summed, and where classes are pooled. From the stored counts of
every image each rule can be followed exactly, without running anything again.

Sources: score.py (shelhamer/fcn.berkeleyvision.org); wl_evaluateSegment.m (weiliu89/caffe, branch
fcn; PAPER 4b); VOCevalseg.m (VOC development kit 2012); mmseg/evaluation/metrics/iou_metric.py
(mmsegmentation 1.2.2); torchmetrics 1.9 functional/classification/jaccard.py and
segmentation/mean_iou.py; segmentation_models_pytorch 0.6 metrics/functional.py;
metrics/mean_iou/mean_iou.py (huggingface/evaluate); detectron2/evaluation/sem_seg_evaluation.py;
ultralytics 8.4 utils/metrics.py, SemanticMetrics.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from parsenet.metrics.areas import ClassAreas, class_areas
from parsenet.metrics.per_image import ImageCounts


class Reading(NamedTuple):
    """What a codebase reports, in [0, 1]; None where it has no such score."""

    mean_iou: float
    pixel_accuracy: float | None = None
    mean_accuracy: float | None = None
    frequency_weighted_iou: float | None = None


@dataclass(frozen=True)
class Dialect:
    """One codebase's way to score."""

    name: str
    read: Callable[[ClassAreas], Reading]
    """From the areas of every image to what would be printed."""
    reason: str
    """One sentence: in what it differs from ours."""


def in_all_dialects(counts: ImageCounts) -> list[tuple[Dialect, Reading]]:
    """Score the same counts by every rule; the first entry is our own.

    Args:
        counts: confusion counts of every image, void left out.
    """
    areas = class_areas(counts)
    with np.errstate(divide="ignore", invalid="ignore"):  # absent classes are the subject here
        return [(dialect, dialect.read(areas)) for dialect in DIALECTS]


def _ours(areas: ClassAreas) -> Reading:
    """Leave classes without ground truth out, after summing over the images."""
    return _over_present_classes(areas.total())


def _over_present_classes(total: ClassAreas) -> Reading:
    present = total.truth > 0
    right, truth = total.right[present], total.truth[present]
    iou = right / total.union[present]
    pixels = truth.sum()
    return Reading(
        _mean(iou),
        float(right.sum() / pixels),
        _mean(right / truth),
        float((truth * iou).sum() / pixels),
    )


def _fcn(areas: ClassAreas) -> Reading:
    total = areas.total()
    iou = total.right / total.union
    share = total.truth / total.truth.sum()
    present = share > 0
    return Reading(
        _nanmean(iou),
        float(total.right.sum() / total.truth.sum()),
        _nanmean(total.right / total.truth),
        float((share[present] * iou[present]).sum()),
    )


def _voc(areas: ClassAreas) -> Reading:
    total = areas.total()
    return Reading(_mean(total.right / total.union))


def _mmsegmentation(areas: ClassAreas) -> Reading:
    right, truth = _add_in_float32(areas.right), _add_in_float32(areas.truth)
    iou = right / _add_in_float32(areas.union)
    values = (_nanmean(iou), float(right.sum() / truth.sum()), _nanmean(right / truth))
    return Reading(*(round(value, 4) for value in values))


def _hugging_face(areas: ClassAreas) -> Reading:
    return _fcn(areas)._replace(frequency_weighted_iou=None)


def _ultralytics(areas: ClassAreas) -> Reading:
    sums = ClassAreas(*map(_add_in_float32, (areas.right, areas.truth, areas.found)))
    reading = _over_present_classes(sums)
    return Reading(reading.mean_iou, reading.pixel_accuracy)


def _torchmetrics_jaccard(areas: ClassAreas) -> Reading:
    total = areas.total()
    return Reading(_nanmean(total.right / total.union))


def _torchmetrics_mean_iou(areas: ClassAreas) -> Reading:
    return Reading(_nanmean(areas.right / areas.union))


def _smp_micro(areas: ClassAreas) -> Reading:
    return Reading(float(areas.right.sum() / areas.union.sum()))


def _smp_macro(areas: ClassAreas) -> Reading:
    total = areas.total()
    return Reading(_mean(_one_when_empty(total.right / total.union)))


def _smp_micro_imagewise(areas: ClassAreas) -> Reading:
    return Reading(_mean(_one_when_empty(areas.right.sum(1) / areas.union.sum(1))))


def _smp_macro_imagewise(areas: ClassAreas) -> Reading:
    return Reading(_mean(_one_when_empty(areas.right / areas.union)))


def _one_when_empty(ratio: Float[np.ndarray, ...]) -> Float[np.ndarray, ...]:
    """Follow smp's default `zero_division=1.0`."""
    return np.where(np.isnan(ratio), 1.0, ratio)


def _add_in_float32(areas: Float[np.ndarray, "n c"]) -> Float[np.ndarray, " c"]:
    """Sum image after image with 24 significant bits, as float32 state does."""
    sums: Float[np.ndarray, "n c"] = np.cumsum(areas, axis=0, dtype=np.float32)
    last: Float[np.ndarray, " c"] = sums[-1]
    return last


def _mean(values: Float[np.ndarray, ...]) -> float:
    return float(values.mean()) if values.size else float("nan")


def _nanmean(values: Float[np.ndarray, ...]) -> float:
    return _mean(values[~np.isnan(values)])


DIALECTS = (
    Dialect(
        "ParseNet authors' Matlab (ours)",
        _ours,
        "Counts are summed over all images, and classes without ground truth leave the means.",
    ),
    Dialect(
        "FCN score.py",
        _fcn,
        "A class that is absent but predicted counts as 0; only one absent from both is left out.",
    ),
    Dialect(
        "VOC devkit VOCevalseg.m",
        _voc,
        "Every class is averaged: one that is absent counts 0 if predicted, else the mean is nan.",
    ),
    Dialect(
        "mmsegmentation IoUMetric",
        _mmsegmentation,
        "FCN's rule, but pixels are summed in float32 and per cents are rounded to two digits.",
    ),
    Dialect(
        "torchmetrics JaccardIndex, macro",
        _torchmetrics_jaccard,
        "FCN's rule: a class that is absent but predicted counts as 0.",
    ),
    Dialect(
        "torchmetrics segmentation.MeanIoU",
        _torchmetrics_mean_iou,
        "One IoU per image and class that occurs in it, all averaged: a class of ten pixels "
        "weighs as much as one that fills the image; void must be masked by hand.",
    ),
    Dialect(
        "smp iou_score, micro",
        _smp_micro,
        "All classes are pooled into one intersection and one union, so the background decides.",
    ),
    Dialect(
        "smp iou_score, macro",
        _smp_macro,
        "FCN's rule, but a class absent from truth and prediction counts as 1.",
    ),
    Dialect(
        "smp iou_score, micro-imagewise",
        _smp_micro_imagewise,
        "Classes are pooled in each image, then images are averaged, whatever their size.",
    ),
    Dialect(
        "smp iou_score, macro-imagewise",
        _smp_macro_imagewise,
        "All classes of each image are averaged, and the many that are not in it count as 1.",
    ),
    Dialect(
        "Hugging Face evaluate mean_iou",
        _hugging_face,
        "FCN's rule in float64; its own example scores resized masks and ignores class 0.",
    ),
    Dialect(
        "detectron2 SemSegEvaluator",
        _ours,
        "Our rule: classes without ground truth leave the means.",
    ),
    Dialect(
        "Ultralytics SemanticMetrics",
        _ultralytics,
        "Our rule on a float32 matrix; its validator counts at the letterboxed network size, which "
        "stored counts cannot undo.",
    ),
)
