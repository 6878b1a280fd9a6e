"""A run folder with the files that a finished run leaves."""

import json

import numpy as np

from parsenet.inference.drawing import draw_sample
from parsenet.taxonomy import SHAPES


def _entry(name, iou, accuracy, precision, dice, pixels):
    keys = ("iou", "accuracy", "precision", "recall", "dice", "pixels")
    values = (iou, accuracy, precision, accuracy, dice, pixels)
    return {"name": name} | dict(zip(keys, values, strict=True))


METRICS = {
    "dataset": "shapes",
    "split": "val",
    "num_images": 40,
    "protocol": "native size, void left out",
    "pixel_accuracy": 0.9,
    "mean_accuracy": 0.8,
    "mean_iou": 0.7,
    "frequency_weighted_iou": 0.85,
    "classes": [
        _entry("background", 0.9, 0.95, 0.92, 0.94, 8000),
        _entry("ball", 0.5, 0.65, 0.81, 0.72, 2000),
        _entry("moon", None, None, None, None, 0),
    ],
    "confusion": [[7600, 300, 100], [700, 1300, 0], [0, 0, 0]],
}

RECORD = {
    "command": "parsenet fit --config configs/shapes.yaml",
    "started": "2024-05-01T10:00:00",
    "finished": "2024-05-01T11:02:05",
    "seconds": 3725.4,
    "versions": {"parsenet": "0.1.0", "torch": "2.4.0"},
    "git_commit": "0123abc",
    "seed": 0,
    "device": "cpu",
    "precision": "32-true",
    "num_parameters": 1234567,
}


def write_run(run_dir, num_samples=2):
    """Write a run folder; the curves have the gaps that Lightning's CSV logger leaves."""
    (run_dir / "samples").mkdir(parents=True)
    (run_dir / "worst").mkdir()
    (run_dir / "record.json").write_text(json.dumps(RECORD), encoding="utf-8")
    (run_dir / "metrics.json").write_text(json.dumps(METRICS), encoding="utf-8")
    (run_dir / "config.yaml").write_text("seed_everything: 0\n", encoding="utf-8")
    lines = ["epoch,step,train/loss,val/loss,val/mIoU"]
    for epoch in range(6):
        step = 100 * (epoch + 1) - 1
        lines.append(f"{epoch},{step},,{1.1 / (epoch + 1)},{0.7 - 0.6 / (epoch + 1)}")
        lines.append(f"{epoch},{step},{1 / (epoch + 1)},,")
    (run_dir / "metrics.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for index in range(num_samples):
        random = np.random.default_rng(index)
        label = np.kron(random.integers(0, 5, (3, 4)), np.ones((40, 40))).astype(np.uint8)
        image = SHAPES.colourise(label) // 2 + random.integers(0, 90, (120, 160, 3), dtype=np.uint8)
        sheet = draw_sample(image, label, np.roll(label, 15, axis=1), SHAPES)
        sheet.save(run_dir / "samples" / f"sample_{index}.png")
    if num_samples:
        sheet.save(run_dir / "worst" / "01_sample_iou_12.34.png")
