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


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dataset", "write", "taxonomy", "val_split"),
    [
        ("sbd", write_sbd, "voc2012", "val"),
        ("siftflow", write_siftflow, "siftflow", "test"),
        ("pascal_context59", write_pascal_context, "pascal_context59", "val"),
        ("pascal_context459", write_pascal_context, "pascal_context459", "val"),
        ("camvid", write_camvid, "camvid", "val"),
        ("coco", write_coco, "names: [background, person]", "val"),
        (
            "folder",
            write_folder,
            "classes: [{name: nature, from: [0, 1]}, {name: r, from: 2}]",
            "val",
        ),
    ],
)
def test_known_data_set_is_trained_on_and_scored(tmp_path, dataset, write, taxonomy, val_split):
    write(tmp_path / "data")
    config = tmp_path / "toy.yaml"
    config.write_text(yaml.safe_dump(OPTIONS))
    words = ["--config", str(config), "--data.root", str(tmp_path / "data"), "--trainer.max_epochs"]
    words += ["1", "--data.dataset", dataset, "--data.train_split", "train"]
    words += ["--data.val_split", val_split, "--run_dir", str(tmp_path / "run")]
    if taxonomy in TAXONOMIES:
        names = list(TAXONOMIES[taxonomy].names)
    else:
        (tmp_path / "data" / "classes.yaml").write_text(taxonomy)
        option = {"coco": "categories", "folder": "taxonomy"}[dataset]
        words += [f"--data.{dataset}.{option}", "classes.yaml", "--data.coco.unmapped", "void"]
        names = {"coco": ["background", "person"], "folder": ["nature", "r"]}[dataset]

    run(["fit", *words])

    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text(encoding="utf-8"))
    assert [entry["name"] for entry in metrics["classes"]] == names
    assert metrics["num_images"] > 0
    assert 0 <= metrics["mean_iou"] <= 1
