"""What a scored run leaves behind: scores as JSON and CSV, sample images, the network."""

from pathlib import Path

import numpy as np
import torch

from parsenet.config import DataConfig
from parsenet.data.sample import Item, collate
from parsenet.engine.datamodule import SegmentationDataModule
from parsenet.engine.module import Result, SegmentationModule
from parsenet.evaluation.record import Evaluation
from parsenet.inference.drawing import Triple, draw_sample, write_image, write_worst
from parsenet.metrics.protocol import hash_file
from parsenet.taxonomy import Taxonomy


def write_metrics(
    out_dir: Path, result: Result, taxonomy: Taxonomy, data: DataConfig, checkpoint: Path | None
) -> Evaluation:
    """Write the scores with their card, the confusion matrix, and the counts per image.

    Args:
        out_dir: folder to write to.
        result: what the pass gave.
        taxonomy: names of the classes.
        data: tells the split.
        checkpoint: file that was scored.

    Returns:
        what was written.
    """
    evaluation = Evaluation(
        images=result.images,
        taxonomy=taxonomy,
        split=data.val_split if result.stage == "val" else data.test_split,
        checkpoint=checkpoint.name if checkpoint else None,
        checkpoint_hash=hash_file(checkpoint) if checkpoint else None,
    )
    evaluation.write(out_dir)
    return evaluation


def write_samples(
    out_dir: Path,
    module: SegmentationModule,
    datamodule: SegmentationDataModule,
    evaluation: Evaluation,
    count: int = 8,
) -> None:
    """Draw images spread evenly over the scored split, and the worst ones, beside the truth.

    Args:
        out_dir: folder; the images go to `samples/` in it, named after their id, and `worst/`.
        module: predicts.
        datamodule: holds the split that `module.result` belongs to.
        evaluation: tells which images are the worst.
        count: how many of each.
    """
    assert module.result is not None
    dataset = datamodule.dataset(module.result.stage)
    spread = np.linspace(0, len(dataset) - 1, min(count, len(dataset))).astype(int).tolist()
    for index in spread:
        item = dataset[index]
        sheet = draw_sample(*_predict(module, item), module.taxonomy)
        write_image(out_dir / "samples" / f"{item.id.replace('/', '_')}.png", sheet)

    def read(name: str) -> Triple:
        return _predict(module, dataset[dataset.ids.index(name)])

    write_worst(out_dir / "worst", evaluation.worst(count), read, module.taxonomy)


def _predict(module: SegmentationModule, item: Item) -> Triple:
    """Return image, truth and prediction."""
    batch = collate([item])
    device = next(module.parameters()).device
    with torch.inference_mode():
        label = module.predict_label(batch._replace(image=batch.image.to(device)))[0]
    return (
        item.image.permute(1, 2, 0).numpy(),
        item.label.numpy().astype(module.taxonomy.label_type),
        label.cpu().numpy().astype(module.taxonomy.label_type),
    )
