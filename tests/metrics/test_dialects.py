"""Each dialect against the codebase it speaks for, on the same arrays.

torchmetrics and segmentation_models_pytorch are installed and asked. mmsegmentation and Ultralytics
are asked where they are installed. The others' rules are written out here from their files, on
arrays, sharing nothing with ours.
"""

import warnings

import numpy as np
import pytest
import torch

from parsenet.metrics.counting import ImageCounts
from parsenet.metrics.dialects import DIALECTS, in_all_dialects
from parsenet.metrics.scores import SCORES

NUM_CLASSES, VOID = 6, 255
pytestmark = pytest.mark.filterwarnings("ignore")  # of the others' code


def drawn(seed):
    """Label maps with void; class 3 is predicted but absent, class 5 is nowhere."""
    random = np.random.default_rng(seed)
    labels = random.choice([0, 1, 2, 4, VOID], (5, 9, 14)).astype(np.uint8)
    labels[0] = np.where(labels[0] == 4, 0, labels[0])
    predictions = random.choice([0, 1, 2, 3, 4], labels.shape).astype(np.uint8)
    right = random.random(labels.shape) < 0.5
    return np.where(right & (labels != VOID), labels, predictions), labels


def counted(predictions, labels, num_classes=NUM_CLASSES):
    counts = np.zeros((len(labels), num_classes, num_classes), np.int64)
    for index, (prediction, label) in enumerate(zip(predictions, labels, strict=True)):
        seen = label != VOID
        np.add.at(counts[index], (label[seen], prediction[seen]), 1)
    return ImageCounts.of([str(index) for index in range(len(labels))], counts, num_classes)


def reading(name, counts):
    """The scores that a codebase reports, in the order of `SCORES`."""
    entry = in_all_dialects(counts)[name]
    return [entry[score] for score in SCORES if entry[score] is not None]


def values_of(counts):
    return {name: entry["mean_iou"] for name, entry in in_all_dialects(counts).items()}


def tensors(predictions, labels):
    for prediction, label in zip(predictions, labels, strict=True):
        yield torch.from_numpy(prediction).long()[None], torch.from_numpy(label).long()[None]


def histogram(predictions, labels, num_classes=NUM_CLASSES):
    """score.py: `fast_hist`, which keeps labels in 0..n-1."""
    kept = labels < num_classes
    codes = num_classes * labels[kept].astype(int) + predictions[kept]
    return np.bincount(codes, minlength=num_classes**2).reshape(num_classes, num_classes)


def fcn(predictions, labels):
    """score.py."""
    hist = histogram(predictions, labels)
    iu = np.diag(hist) / (hist.sum(1) + hist.sum(0) - np.diag(hist))
    freq = hist.sum(1) / hist.sum()
    return [
        np.nanmean(iu),
        np.diag(hist).sum() / hist.sum(),
        np.nanmean(np.diag(hist) / hist.sum(1)),
        (freq[freq > 0] * iu[freq > 0]).sum(),
    ]


def mmsegmentation(predictions, labels):
    """iou_metric.py: areas by `torch.histc` in float32, `nanmean`, two digits of a per cent."""
    areas = torch.zeros(3, NUM_CLASSES)
    for prediction, label in zip(predictions, labels, strict=True):
        kept = label != VOID
        parts = (prediction[kept & (prediction == label)], label[kept], prediction[kept])
        for row, values in enumerate(parts):
            floats = torch.from_numpy(values.astype(np.float32))
            areas[row] += torch.histc(floats, NUM_CLASSES, 0, NUM_CLASSES - 1)
    right, truth, found = areas.numpy()
    iou = right / (truth + found - right)
    exact = [np.nanmean(iou), right.sum() / truth.sum(), np.nanmean(right / truth)]
    return [np.round(100 * value, 2) / 100 for value in exact]


def detectron2(predictions, labels):
    """sem_seg_evaluation.py: one row more for void, columns are truth, absent classes leave."""
    side = NUM_CLASSES + 1
    truth = np.where(labels == VOID, NUM_CLASSES, labels).astype(int)
    matrix = np.bincount((side * predictions + truth).ravel(), minlength=side**2)
    matrix = matrix.reshape(side, side)
    tp = np.diag(matrix)[:-1].astype(float)
    pos_gt, pos_pred = matrix[:-1, :-1].sum(0), matrix[:-1, :-1].sum(1)
    valid = pos_gt > 0
    iou = tp[valid] / (pos_gt + pos_pred - tp)[valid]
    return [
        iou.sum() / valid.sum(),
        tp.sum() / pos_gt.sum(),
        (tp[valid] / pos_gt[valid]).sum() / valid.sum(),
        (iou * (pos_gt / pos_gt.sum())[valid]).sum(),
    ]


def jaccard(predictions, labels):
    from torchmetrics.classification import MulticlassJaccardIndex

    metric = MulticlassJaccardIndex(NUM_CLASSES, average="macro", ignore_index=VOID)
    for maps in tensors(predictions, labels):
        metric.update(*maps)
    return [float(metric.compute())]


def torchmetrics_mean_iou(predictions, labels):
    """Void is masked by hand, as its users must."""
    from torchmetrics.segmentation import MeanIoU

    metric = MeanIoU(NUM_CLASSES, input_format="one-hot")
    classes = torch.arange(NUM_CLASSES)[:, None, None]
    for prediction, label in tensors(predictions, labels):
        found = classes == prediction.where(label != VOID, VOID)
        metric.update(found[None], (classes == label)[None])
    return [float(metric.compute())]


def real_mmsegmentation(predictions, labels):
    metric = pytest.importorskip("mmseg.evaluation.metrics.iou_metric").IoUMetric()
    metric.dataset_meta = {"classes": [str(index) for index in range(NUM_CLASSES)]}
    for prediction, label in tensors(predictions, labels):
        sample = {"pred_sem_seg": {"data": prediction}, "gt_sem_seg": {"data": label}}
        metric.process({}, [sample])
    result = metric.compute_metrics(metric.results)
    return [result[name] / 100 for name in ("mIoU", "aAcc", "mAcc")]


def real_ultralytics(predictions, labels):
    module = pytest.importorskip("ultralytics.utils.metrics")
    metric = module.SemanticMetrics({index: str(index) for index in range(NUM_CLASSES)})
    for prediction, label in tensors(predictions, labels):
        metric.update_stats(prediction.int(), label.int())
    metric.process()
    return [metric._miou, metric._pixel_accuracy]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("FCN score.py", fcn),
        ("Hugging Face evaluate mean_iou", lambda *maps: fcn(*maps)[:3]),
        ("mmsegmentation IoUMetric", mmsegmentation),
        ("mmsegmentation IoUMetric", real_mmsegmentation),
        ("detectron2 SemSegEvaluator", detectron2),
        ("ParseNet authors' Matlab (ours)", detectron2),
        ("torchmetrics JaccardIndex, macro", jaccard),
        ("torchmetrics segmentation.MeanIoU", torchmetrics_mean_iou),
        ("Ultralytics SemanticMetrics", real_ultralytics),
    ],
)
def test_dialect_is_what_the_codebase_computes(name, reference, seed):
    maps = drawn(seed)
    with np.errstate(invalid="ignore", divide="ignore"):
        expected = reference(*maps)

    assert reading(name, counted(*maps)) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("num_classes", [5, 6])
def test_voc_averages_every_class(num_classes):
    """Matlab: 0 / 0 is NaN, and so is a mean with it; the last of six classes is nowhere."""
    predictions, labels = drawn(0)
    hist = histogram(predictions, labels, num_classes)
    unions = [hist[j].sum() + hist[:, j].sum() - hist[j, j] for j in range(num_classes)]

    result = values_of(counted(predictions, labels, num_classes))["VOC devkit VOCevalseg.m"]

    exact = None if num_classes == 6 else np.mean([hist[j, j] / unions[j] for j in range(5)])
    assert result == (exact if exact is None else pytest.approx(exact))


@pytest.mark.slow  # importing smp takes seconds
@pytest.mark.parametrize("reduction", ["micro", "macro", "micro-imagewise", "macro-imagewise"])
@pytest.mark.parametrize("seed", range(3))
def test_smp_agrees(seed, reduction):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own imports
        from segmentation_models_pytorch.metrics import get_stats, iou_score
    maps = drawn(seed)
    stats = get_stats(
        *(torch.from_numpy(part).long() for part in maps),
        mode="multiclass",
        num_classes=NUM_CLASSES,
        ignore_index=VOID,
    )

    result = values_of(counted(*maps))[f"smp iou_score, {reduction}"]

    assert result == pytest.approx(float(iou_score(*stats, reduction=reduction)), abs=1e-6)


def test_float32_sums_lose_pixels_of_a_large_set_as_the_codebases_do():
    counts = np.zeros((4, 2, 2), np.int64)
    counts[:, 0, 0] = [2**24, 1, 1, 1]
    counts[0, 1, 0] = 2**24

    values = values_of(ImageCounts.of(list("abcd"), counts, 2))

    assert values["Ultralytics SemanticMetrics"] == pytest.approx(2**24 / 2**25 / 2, abs=0)
    assert values["detectron2 SemSegEvaluator"] > values["Ultralytics SemanticMetrics"]


def test_absent_class_that_is_predicted_by_hand():
    """Truth 0 0 0 0, prediction 0 0 0 1, two classes: IoU 3/4 and 0/1."""
    values = values_of(ImageCounts.of(["a"], np.array([[[3, 1], [0, 0]]]), 2))

    left_out = ("ParseNet authors' Matlab (ours)", "detectron2 SemSegEvaluator", "Ultralytics SemanticMetrics")  # fmt: skip  # noqa: E501
    pooled = ("smp iou_score, micro", "smp iou_score, micro-imagewise")
    assert values == {
        name: 0.75 if name in left_out else 0.6 if name in pooled else 0.375 for name in DIALECTS
    }
