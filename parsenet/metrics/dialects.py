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
from itertools import zip_longest
from typing import TypeAlias

import numpy as np
from jaxtyping import Float

from parsenet.metrics.counting import ImageCounts
from parsenet.metrics.scores import SCORES, known, table

_Rule: TypeAlias = Callable[[Float[np.ndarray, "3 n c"]], list[float]]
"""From right, true and predicted pixels of every image to what is printed, in `SCORES`' order."""


def in_all_dialects(images: ImageCounts) -> dict[str, dict[str, float | str | None]]:
    """Score the same counts by every rule, our own first, and say why they differ.

    Scores are in [0, 1], None where a codebase has none.
    """
    areas = images.areas()
    with np.errstate(divide="ignore", invalid="ignore"):  # absent classes are the subject here
        return {
            name: {**dict(zip_longest(SCORES, map(known, rule(areas)))), "reason": reason}
            for name, (rule, reason) in DIALECTS.items()
        }


def _ours(areas: Float[np.ndarray, "3 n c"]) -> list[float]:
    """Leave classes without ground truth out, after summing over the images."""
    return list(table(areas.sum(1))[: len(SCORES)])


def _fcn(areas: Float[np.ndarray, "3 n c"]) -> list[float]:
    right, truth, _ = areas.sum(1)
    return _leave_out_nan(right, truth, _union(areas.sum(1)))


def _leave_out_nan(
    right: Float[np.ndarray, " c"], truth: Float[np.ndarray, " c"], union: Float[np.ndarray, " c"]
) -> list[float]:
    """Leave out what is 0 / 0, and nothing else."""
    iou, share = right / union, truth / truth.sum()
    accuracy = float(right.sum() / truth.sum())
    return [_mean_known(iou), accuracy, _mean_known(right / truth), float(np.nansum(share * iou))]


def _mmsegmentation(areas: Float[np.ndarray, "3 n c"]) -> list[float]:
    right, truth, union = map(_add_in_float32, (areas[0], areas[1], _union(areas)))
    return [round(value, 4) for value in _leave_out_nan(right, truth, union)[:3]]


def _ultralytics(areas: Float[np.ndarray, "3 n c"]) -> list[float]:
    return list(table(np.stack([_add_in_float32(part) for part in areas]))[:2])


def _union(areas: Float[np.ndarray, "3 ..."]) -> np.ndarray:
    return np.asarray(areas[1] + areas[2] - areas[0])


def _iou(areas: Float[np.ndarray, "3 ..."]) -> np.ndarray:
    return np.asarray(areas[0] / _union(areas))


def _mean_filled(ratio: Float[np.ndarray, ...]) -> float:
    """Follow smp's default `zero_division=1.0`."""
    return float(np.nan_to_num(ratio, nan=1.0).mean())


def _mean_known(values: Float[np.ndarray, ...]) -> float:
    there = values[~np.isnan(values)]
    return float(there.mean()) if there.size else float("nan")


def _add_in_float32(areas: Float[np.ndarray, "n c"]) -> np.ndarray:
    """Sum image after image with 24 significant bits, as float32 state does."""
    return np.asarray(np.cumsum(areas, axis=0, dtype=np.float32)[-1])


DIALECTS: dict[str, tuple[_Rule, str]] = {
    "ParseNet authors' Matlab (ours)": (
        _ours,
        "Counts are summed over all images, and classes without ground truth leave the means.",
    ),
    "FCN score.py": (
        _fcn,
        "A class that is absent but predicted counts as 0; only one absent from both is left out.",
    ),
    "VOC devkit VOCevalseg.m": (
        lambda areas: [float(_iou(areas.sum(1)).mean())],
        "Every class is averaged: one that is absent counts 0 if predicted, else the mean is nan.",
    ),
    "mmsegmentation IoUMetric": (
        _mmsegmentation,
        "FCN's rule, but pixels are summed in float32 and per cents are rounded to two digits.",
    ),
    "torchmetrics JaccardIndex, macro": (
        lambda areas: _fcn(areas)[:1],
        "FCN's rule: a class that is absent but predicted counts as 0.",
    ),
    "torchmetrics segmentation.MeanIoU": (
        lambda areas: [_mean_known(_iou(areas))],
        "One IoU per image and class that occurs in it, all averaged: a class of ten pixels "
        "weighs as much as one that fills the image; void must be masked by hand.",
    ),
    "smp iou_score, micro": (
        lambda areas: [_iou(areas.sum((1, 2), keepdims=True)).item()],
        "All classes are pooled into one intersection and one union, so the background decides.",
    ),
    "smp iou_score, macro": (
        lambda areas: [_mean_filled(_iou(areas.sum(1)))],
        "FCN's rule, but a class absent from ground truth and prediction counts as 1.",
    ),
    "smp iou_score, micro-imagewise": (
        lambda areas: [_mean_filled(_iou(areas.sum(2)))],
        "Classes are pooled in each image, then images are averaged, whatever their size.",
    ),
    "smp iou_score, macro-imagewise": (
        lambda areas: [_mean_filled(_iou(areas))],
        "All classes of each image are averaged, and the many that are not in it count as 1.",
    ),
    "Hugging Face evaluate mean_iou": (
        lambda areas: _fcn(areas)[:3],
        "FCN's rule in float64; its own example scores resized masks and ignores class 0.",
    ),
    "detectron2 SemSegEvaluator": (
        _ours,
        "Our rule: classes without ground truth leave the means.",
    ),
    "Ultralytics SemanticMetrics": (
        _ultralytics,
        "Our rule on a float32 matrix; its validator counts at the letterboxed network size, which "
        "stored counts cannot undo.",
    ),
}
