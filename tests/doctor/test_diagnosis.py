"""The doctor over every data set, and over the real images."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from parsenet.data.build import build_dataset
from parsenet.doctor.diagnosis import diagnose
from parsenet.doctor.page import write_page
from parsenet.doctor.source import Source
from parsenet.doctor.text import write_text
from tests.data.test_contract import FAKES
from tests.fakes.healthy import write_healthy


@pytest.mark.parametrize("name", FAKES)
def test_every_data_set_is_read_as_its_loader_reads_it(tmp_path, name):
    config = FAKES[name](tmp_path / "data")
    if name == "shapes":
        pytest.skip("has no faults and no files; see tests/commands/test_doctor.py")

    diagnosis = diagnose(Source(config, ""), workers=2, progress=False)

    for sums in diagnosis.totals:
        dataset = build_dataset(config, sums.name)
        labels = np.concatenate([dataset.read_label(n).ravel() for n in range(len(dataset))])
        counts = np.bincount(labels, minlength=dataset.taxonomy.num_classes)
        assert sums.pixels.tolist() == counts[: dataset.taxonomy.num_classes].tolist()
        assert sums.void == (labels == dataset.taxonomy.void).sum()
    codes = {x.code for x in diagnosis.findings if x.severity == "error"}
    assert codes <= {"leak"}  # tiny drawn images may be equal
    assert json.loads(json.dumps(diagnosis.to_dict()))["classes"]
    assert write_page(diagnosis, tmp_path / "out").stat().st_size > 1000
    assert write_text(diagnosis)


def test_record_names_the_worst_first(tmp_path, look):
    root = write_healthy(tmp_path)
    (root / "images/train/train0.png").write_bytes(b"")
    (root / "images/val/val0.png").unlink()
    (root / "taxonomy.yaml").write_text("names: [background, tree, road, moon]\n")

    record = look(root).to_dict()

    assert [x["severity"] for x in record["findings"]] == ["error", "warning", "note"]
    assert (record["errors"], record["warnings"], record["notes"]) == (1, 1, 1)


@pytest.fixture
def real():
    if "PARSENET_DATA" not in os.environ:
        pytest.skip("PARSENET_DATA does not name the folder of the real images")
    return Path(os.environ["PARSENET_DATA"])


@pytest.mark.realdata
def test_camvid_has_no_errors(real, look):
    diagnosis = look(real / "camvid")

    assert [len(one.split.pairs) for one in diagnosis.surveyed] == [367, 101]
    assert {x.code for x in diagnosis.findings} == {"similar"}


@pytest.mark.realdata
def test_voc_has_no_errors(real, look):
    diagnosis = look(real / "voc2012_subset", overrides=["--data.train_split", "train"])

    assert [len(one.split.pairs) for one in diagnosis.surveyed] == [441, 238]
    assert diagnosis.count("error") == 0


@pytest.mark.realdata
def test_context_with_59_names_is_found_out(real, tmp_path, look):
    for name in (real / "pascal_context59/ids_with_images.txt").read_text().split():
        image = real / f"voc2012_subset/VOC2012/JPEGImages/{name}.jpg"
        for folder, path in (
            ("images", image),
            ("labels", real / f"pascal_context59/labels59/{name}.png"),
        ):
            (tmp_path / folder).mkdir(exist_ok=True)
            (tmp_path / folder / path.name).symlink_to(path)
    (tmp_path / "taxonomy.yaml").write_text(f"names: {[f'c{n}' for n in range(59)]}\n")

    codes = {x.code for x in look(tmp_path).findings if x.severity == "error"}

    assert codes == {"shifted-labels", "value-out-of-range"}
