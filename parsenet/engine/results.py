"""What a scored run leaves behind: scores as JSON and CSV, sample pictures, the network."""

import csv
import io
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch

from parsenet.config import DataConfig
from parsenet.data.sample import collate
from parsenet.engine.datamodule import SegmentationDataModule
from parsenet.engine.module import Result, SegmentationModule
from parsenet.engine.record import write_json
from parsenet.files import write_bytes_atomically
from parsenet.inference.pictures import draw_sample
from parsenet.taxonomy import Taxonomy

PROTOCOL = (
    "one int64 confusion matrix over the whole split, pictures at native size, single scale; void "
    "pixels left out; classes without ground truth left out of the means"
)


def write_metrics(
    out_dir: Path, result: Result, taxonomy: Taxonomy, data: DataConfig, checkpoint: str | None
) -> None:
    """Write `metrics.json` with the scores and the confusion matrix, and `per_class.csv`.

    Args:
        out_dir: folder to write to.
        result: what the pass gave.
        taxonomy: names of the classes.
        data: tells data set and split.
        checkpoint: name of the file that was scored.
    """
    scores = result.scores
    classes = [
        {"name": name, "iou": _finite(iou), "accuracy": _finite(accuracy), "pixels": pixels}
        for name, iou, accuracy, pixels in zip(
            taxonomy.names,
            scores.class_iou,
            scores.class_accuracy,
            scores.class_pixels,
            strict=True,
        )
    ]
    content: dict[str, Any] = {
        "dataset": data.dataset,
        "split": data.val_split if result.stage == "val" else data.test_split,
        "num_pictures": result.num_pictures,
        "protocol": PROTOCOL,
        "checkpoint": checkpoint,
        "pixel_accuracy": _finite(scores.pixel_accuracy),
        "mean_accuracy": _finite(scores.mean_accuracy),
        "mean_iou": _finite(scores.mean_iou),
        "frequency_weighted_iou": _finite(scores.frequency_weighted_iou),
        "classes": classes,
        "confusion": result.counts.tolist(),
    }
    write_json(out_dir / "metrics.json", content)
    text = io.StringIO()
    writer = csv.DictWriter(text, ["name", "iou", "accuracy", "pixels"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(classes)
    write_bytes_atomically(out_dir / "per_class.csv", text.getvalue().encode())


def write_samples(
    out_dir: Path, module: SegmentationModule, datamodule: SegmentationDataModule, count: int = 8
) -> None:
    """Draw pictures spread evenly over the scored split, with truth and prediction.

    Args:
        out_dir: folder; the pictures go to `samples/` in it, named after their id.
        module: predicts.
        datamodule: holds the split that `module.result` belongs to.
        count: how many.
    """
    assert module.result is not None
    dataset = datamodule.dataset(module.result.stage)
    device = next(module.parameters()).device
    for index in np.linspace(0, len(dataset) - 1, min(count, len(dataset))).astype(int).tolist():
        item = dataset[index]
        batch = collate([item])
        with torch.inference_mode():
            label = module.predict_label(batch._replace(image=batch.image.to(device)))[0]
        sheet = draw_sample(
            item.image.permute(1, 2, 0).numpy(),
            item.label.numpy().astype(np.uint8),
            label.cpu().numpy().astype(np.uint8),
            module.taxonomy,
        )
        content = io.BytesIO()
        sheet.save(content, "PNG")
        name = item.id.replace("/", "_")
        write_bytes_atomically(out_dir / "samples" / f"{name}.png", content.getvalue())


def _finite(value: float) -> float | None:
    """JSON has no nan: a score that does not exist is null."""
    return value if math.isfinite(value) else None
