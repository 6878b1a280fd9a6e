"""Every kind of data set through the command line: an epoch, and a score with its own names."""

import json

import pytest
import yaml

from parsenet.engine.run import run
from parsenet.taxonomy import TAXONOMIES
from tests.engine.conftest import OPTIONS
from tests.fakes.camvid import write_camvid
from tests.fakes.coco import write_coco
from tests.fakes.folder import write_folder
from tests.fakes.pascal_context import write_pascal_context
from tests.fakes.sbd import write_sbd
from tests.fakes.siftflow import write_siftflow


def train(root, dataset, *words, val_split="val"):
    """Train for an epoch and return metrics.json."""
    config = root / "toy.yaml"
    config.write_text(yaml.safe_dump(OPTIONS))
    options = ["--config", str(config), "--data.root", str(root / "data")]
    options += ["--data.dataset", dataset, "--data.train_split", "train"]
    options += ["--data.val_split", val_split, "--trainer.max_epochs", "1"]
    run(["fit", *options, "--run_dir", str(root / "run"), *words])
    return json.loads((root / "run" / "metrics.json").read_text(encoding="utf-8"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dataset", "write", "taxonomy", "val_split"),
    [
        ("sbd", write_sbd, "voc2012", "val"),
        ("siftflow", write_siftflow, "siftflow", "test"),
        ("siftflow_geo", write_siftflow, "siftflow_geo", "test"),
        ("pascal_context59", write_pascal_context, "pascal_context59", "val"),
        ("pascal_context60", write_pascal_context, "pascal_context60", "val"),
        ("pascal_context459", write_pascal_context, "pascal_context459", "val"),
        ("camvid", write_camvid, "camvid", "val"),
    ],
)
def test_known_data_set_is_trained_on_and_scored(tmp_path, dataset, write, taxonomy, val_split):
    write(tmp_path / "data")

    metrics = train(tmp_path, dataset, val_split=val_split)

    names = [entry["name"] for entry in metrics["classes"]]
    assert names == list(TAXONOMIES[taxonomy].names)
    assert metrics["num_images"] == 3
    assert 0 <= metrics["mean_iou"] <= 1


@pytest.mark.slow
def test_coco_annotations_are_trained_on_and_scored(tmp_path):
    write_coco(tmp_path / "data")
    (tmp_path / "data" / "classes.yaml").write_text("names: [background, person]\n")

    metrics = train(
        tmp_path, "coco", "--data.coco.categories", "classes.yaml", "--data.coco.unmapped", "void"
    )

    assert [entry["name"] for entry in metrics["classes"]] == ["background", "person"]


@pytest.mark.slow
def test_merged_classes_are_trained_on_and_scored(tmp_path):
    write_folder(tmp_path / "data")
    (tmp_path / "data" / "merged.yaml").write_text(
        "classes: [{name: nature, from: [0, 1]}, {name: road, from: 2}]\n"
    )

    metrics = train(tmp_path, "folder", "--data.folder.taxonomy", "merged.yaml")

    assert [entry["name"] for entry in metrics["classes"]] == ["nature", "road"]
