"""Each dialect against the codebase it speaks for, on the same arrays.

torchmetrics and segmentation_models_pytorch are installed and asked. mmsegmentation and Ultralytics
are asked where they are installed. The others' rules are written out here from their files, on
arrays, with loops, sharing nothing with ours.
"""

import re
import warnings

import numpy as np
import pytest
import torch

from parsenet.metrics.counting import ImageCounts
from parsenet.metrics.dialects import DIALECTS, in_all_dialects
from parsenet.metrics.scores import SCORES, scores

NUM_CLASSES = 6
VOID = 255


def drawn(seed, *, present=(0, 1, 2, 4), predicted=(0, 1, 2, 3, 4), num_images=5):
    """Label maps with void; class 3 is predicted but absent, class 5 is nowhere."""
    random = np.random.default_rng(seed)
    labels = random.choice([*present, VOID], (num_images, 9, 14)).astype(np.uint8)
    labels[0] = np.where(labels[0] == 4, 0, labels[0])
    predictions = random.choice(predicted, labels.shape).astype(np.uint8)
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


def mean_iou(name, counts):
    return in_all_dialects(counts)[name]["mean_iou"]


def histogram(predictions, labels, num_classes=NUM_CLASSES):
    """score.py: `fast_hist`, which keeps labels in 0..n-1."""
    kept = labels < num_classes
    codes = num_classes * labels[kept].astype(int) + predictions[kept]
    return np.bincount(codes, minlength=num_classes**2).reshape(num_classes, num_classes)


@pytest.mark.parametrize("seed", range(3))
def test_ours_are_the_scores_of_the_summed_counts(seed):
    counts = counted(*drawn(seed))

    expected = [getattr(scores(counts.total()), name) for name in SCORES]

    assert reading("ParseNet authors' Matlab (ours)", counts) == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(3))
def test_fcn_is_what_its_script_prints(seed):
    predictions, labels = drawn(seed)
    hist = histogram(predictions, labels)
    with np.errstate(invalid="ignore", divide="ignore"):
        iu = np.diag(hist) / (hist.sum(1) + hist.sum(0) - np.diag(hist))
        accuracy = np.diag(hist) / hist.sum(1)
    freq = hist.sum(1) / hist.sum()

    result = reading("FCN score.py", counted(predictions, labels))

    assert result == pytest.approx([
        np.nanmean(iu),
        np.diag(hist).sum() / hist.sum(),
        np.nanmean(accuracy),
        (freq[freq > 0] * iu[freq > 0]).sum(),
    ])


@pytest.mark.parametrize("nowhere", [False, True])
def test_voc_averages_every_class(nowhere):
    num_classes = 6 if nowhere else 5
    predictions, labels = drawn(0)
    hist = histogram(predictions, labels, num_classes)
    accuracies = []
    for j in range(num_classes):
        union = hist[j].sum() + hist[:, j].sum() - hist[j, j]
        accuracies.append(hist[j, j] / union if union else float("nan"))  # Matlab: 0/0 is NaN

    result = mean_iou("VOC devkit VOCevalseg.m", counted(predictions, labels, num_classes))

    assert result == (None if nowhere else pytest.approx(np.mean(accuracies)))


@pytest.mark.parametrize("seed", range(3))
def test_hugging_face_is_what_its_metric_computes(seed):
    """metrics/mean_iou/mean_iou.py: areas by `np.histogram`, summed in float64, `nanmean`."""
    predictions, labels = drawn(seed)
    areas = np.zeros((3, NUM_CLASSES))
    for prediction, label in zip(predictions, labels, strict=True):
        kept = label != VOID
        parts = (prediction[kept & (prediction == label)], label[kept], prediction[kept])
        for row, values in enumerate(parts):
            areas[row] += np.histogram(values, NUM_CLASSES, (0, NUM_CLASSES - 1))[0]
    right, truth, found = areas
    with np.errstate(invalid="ignore", divide="ignore"):
        expected = [
            np.nanmean(right / (truth + found - right)),
            right.sum() / truth.sum(),
            np.nanmean(right / truth),
        ]

    result = reading("Hugging Face evaluate mean_iou", counted(predictions, labels))

    assert result == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(3))
def test_detectron2_is_what_its_evaluator_computes(seed):
    """sem_seg_evaluation.py: one row more for void, columns are truth, absent classes leave."""
    predictions, labels = drawn(seed)
    side = NUM_CLASSES + 1
    truth = np.where(labels == VOID, NUM_CLASSES, labels).astype(int)
    matrix = np.bincount((side * predictions + truth).ravel(), minlength=side**2)
    matrix = matrix.reshape(side, side)
    tp = np.diag(matrix)[:-1].astype(float)
    pos_gt, pos_pred = matrix[:-1, :-1].sum(0), matrix[:-1, :-1].sum(1)
    valid = pos_gt > 0
    iou = tp[valid] / (pos_gt + pos_pred - tp)[valid]

    result = reading("detectron2 SemSegEvaluator", counted(predictions, labels))

    assert result == pytest.approx([
        iou.sum() / valid.sum(),
        tp.sum() / pos_gt.sum(),
        (tp[valid] / pos_gt[valid]).sum() / valid.sum(),
        (iou * (pos_gt / pos_gt.sum())[valid]).sum(),
    ])


@pytest.mark.parametrize("seed", range(3))
def test_torchmetrics_jaccard_agrees(seed):
    from torchmetrics.classification import MulticlassJaccardIndex

    predictions, labels = drawn(seed)
    metric = MulticlassJaccardIndex(NUM_CLASSES, average="macro", ignore_index=VOID)
    for prediction, label in zip(predictions, labels, strict=True):
        metric.update(torch.from_numpy(prediction).long(), torch.from_numpy(label).long())

    result = mean_iou("torchmetrics JaccardIndex, macro", counted(predictions, labels))

    assert result == pytest.approx(float(metric.compute()), abs=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_torchmetrics_mean_iou_agrees_once_void_is_masked_by_hand(seed):
    from torchmetrics.segmentation import MeanIoU

    predictions, labels = drawn(seed)
    metric = MeanIoU(NUM_CLASSES, input_format="one-hot")
    for prediction, label in zip(predictions, labels, strict=True):
        classes = np.arange(NUM_CLASSES)[:, None, None]
        found, truth = classes == np.where(label == VOID, VOID, prediction), classes == label
        metric.update(torch.from_numpy(found)[None], torch.from_numpy(truth)[None])

    result = mean_iou("torchmetrics segmentation.MeanIoU", counted(predictions, labels))

    assert result == pytest.approx(float(metric.compute()), abs=1e-6)


@pytest.mark.slow  # importing smp takes seconds
@pytest.mark.parametrize("reduction", ["micro", "macro", "micro-imagewise", "macro-imagewise"])
@pytest.mark.parametrize("seed", range(3))
def test_smp_agrees(seed, reduction):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own imports
        from segmentation_models_pytorch.metrics import get_stats, iou_score

    predictions, labels = drawn(seed)
    stats = get_stats(
        torch.from_numpy(predictions).long(),
        torch.from_numpy(labels).long(),
        mode="multiclass",
        num_classes=NUM_CLASSES,
        ignore_index=VOID,
    )

    result = mean_iou(f"smp iou_score, {reduction}", counted(predictions, labels))

    assert result == pytest.approx(float(iou_score(*stats, reduction=reduction)), abs=1e-6)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", range(3))
def test_mmsegmentation_agrees_where_it_is_installed(seed):
    metric = pytest.importorskip("mmseg.evaluation.metrics.iou_metric").IoUMetric()
    predictions, labels = drawn(seed)
    metric.dataset_meta = {"classes": [str(index) for index in range(NUM_CLASSES)]}
    for prediction, label in zip(predictions, labels, strict=True):
        metric.process(
            {},
            [
                {
                    "pred_sem_seg": {"data": torch.from_numpy(prediction).long()[None]},
                    "gt_sem_seg": {"data": torch.from_numpy(label).long()[None]},
                }
            ],
        )
    expected = metric.compute_metrics(metric.results)

    result = reading("mmsegmentation IoUMetric", counted(predictions, labels))

    assert [100 * value for value in result] == pytest.approx(
        [expected["mIoU"], expected["aAcc"], expected["mAcc"]], abs=1e-5
    )


@pytest.mark.parametrize("seed", range(3))
def test_mmsegmentation_is_what_its_file_computes(seed):
    """iou_metric.py: areas by `torch.histc` in float32, `nanmean`, two digits of a per cent."""
    predictions, labels = drawn(seed)
    areas = torch.zeros(3, NUM_CLASSES)
    for prediction, label in zip(predictions, labels, strict=True):
        kept = label != VOID
        parts = (prediction[kept & (prediction == label)], label[kept], prediction[kept])
        for row, values in enumerate(parts):
            floats = torch.from_numpy(values.astype(np.float32))
            areas[row] += torch.histc(floats, NUM_CLASSES, 0, NUM_CLASSES - 1)
    right, truth, found = areas.numpy()
    with np.errstate(invalid="ignore", divide="ignore"):
        iou = right / (truth + found - right)

    result = reading("mmsegmentation IoUMetric", counted(predictions, labels))

    assert result[0] == pytest.approx(np.round(np.nanmean(iou) * 100, 2) / 100)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", range(3))
def test_ultralytics_agrees_where_it_is_installed(seed):
    module = pytest.importorskip("ultralytics.utils.metrics")
    predictions, labels = drawn(seed)
    metric = module.SemanticMetrics({index: str(index) for index in range(NUM_CLASSES)})
    for prediction, label in zip(predictions, labels, strict=True):
        metric.update_stats(
            torch.from_numpy(prediction).int()[None], torch.from_numpy(label).int()[None]
        )
    metric.process()

    result = reading("Ultralytics SemanticMetrics", counted(predictions, labels))

    assert result == pytest.approx([metric._miou, metric._pixel_accuracy], abs=1e-6)


def test_float32_sums_lose_pixels_of_a_large_set_as_the_codebases_do():
    pixels = np.array([2**24, 1, 1, 1])
    counts = np.zeros((4, 2, 2), np.int64)
    counts[:, 0, 0] = pixels
    counts[0, 1, 0] = 2**24
    images = ImageCounts.of(list("abcd"), counts, 2)

    with_float32 = mean_iou("Ultralytics SemanticMetrics", images)

    assert with_float32 == pytest.approx(2**24 / 2**25 / 2, abs=0)
    assert mean_iou("detectron2 SemSegEvaluator", images) > with_float32


def test_absent_class_that_is_predicted_by_hand():
    """Truth 0 0 0 0, prediction 0 0 0 1, two classes: IoU 3/4 and 0/1."""
    counts = ImageCounts.of(["a"], np.array([[[3, 1], [0, 0]]]), 2)

    values = {name: entry["mean_iou"] for name, entry in in_all_dialects(counts).items()}

    assert values == {
        "ParseNet authors' Matlab (ours)": 0.75,
        "FCN score.py": 0.375,
        "VOC devkit VOCevalseg.m": 0.375,
        "mmsegmentation IoUMetric": 0.375,
        "torchmetrics JaccardIndex, macro": 0.375,
        "torchmetrics segmentation.MeanIoU": 0.375,
        "smp iou_score, micro": 0.6,
        "smp iou_score, macro": 0.375,
        "smp iou_score, micro-imagewise": 0.6,
        "smp iou_score, macro-imagewise": 0.375,
        "Hugging Face evaluate mean_iou": 0.375,
        "detectron2 SemSegEvaluator": 0.75,
        "Ultralytics SemanticMetrics": 0.75,
    }


def test_image_of_void_alone_leaves_ours_as_it_was():
    predictions, labels = drawn(1)
    counts = counted(predictions, labels)
    more = counted(
        np.concatenate([predictions, predictions[:1]]),
        np.concatenate([labels, np.full_like(labels[:1], VOID)]),
    )

    for name in ("ParseNet authors' Matlab (ours)", "FCN score.py", "smp iou_score, micro"):
        assert reading(name, more) == pytest.approx(reading(name, counts))


def test_all_dialects_agree_on_one_image_with_every_class():
    counts = ImageCounts.of(["a"], np.array([[[6, 0, 0], [0, 3, 0], [0, 0, 2]]]), 3)

    assert {entry["mean_iou"] for entry in in_all_dialects(counts).values()} == {1.0}


@pytest.mark.parametrize("name", DIALECTS)
def test_reason_is_one_sentence(name):
    assert re.fullmatch(r"[A-Z][^.]*(\.\d[^.]*)*\.", DIALECTS[name][1])
