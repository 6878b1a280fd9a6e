"""What was found, as JSON, as text and as a page; class weights by hand; the real images."""

import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from parsenet.check.findings import TEXTS
from parsenet.check.report import class_repeats, class_weights, write_page, write_text
from parsenet.data.sample import repeat_factors
from tests.fakes.healthy import image_at, label_at, read, write_label

PIXELS = np.array([[50, 50, 0], [100, 0, 0]])
"""Two images of 100 pixels: class 0 has 150, class 1 has 50 in one of them, class 2 none."""


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("inverse_frequency", [200 / (2 * 150), 200 / (2 * 50), 1.0]),
        ("median_frequency", [0.625 / 0.75, 0.625 / 0.5, 1.0]),  # frequencies 0.75 and 0.5
        ("enet", [1 / np.log(1.77), 1 / np.log(1.27), 1.0]),
    ],
)
def test_weights_by_hand(name, expected):
    assert class_weights(PIXELS)[name].tolist() == pytest.approx(expected)


def test_repeats_are_those_of_the_sampler():
    repeats = class_repeats(PIXELS, 0.8)

    assert repeats.tolist() == pytest.approx([1.0, np.sqrt(0.8 / 0.5), 1.0])
    assert repeat_factors(PIXELS > 0, 0.8)[0] == pytest.approx(repeats.max())


def test_no_labels_give_equal_weights():
    empty = np.zeros((0, 3), np.int64)

    every = [*class_weights(empty).values(), class_repeats(empty, 0.1)]

    assert all(values.tolist() == [1, 1, 1] for values in every)


def spoil(root):
    """Make an error, a warning and a note."""
    image_at(root).write_bytes(b"")
    image_at(root, "val").unlink()
    (root / "taxonomy.yaml").write_text("names: [background, tree, road, moon]\n")


def test_record_names_the_worst_first_and_the_terminal_last(root, look):
    spoil(root)
    diagnosis = look(root)

    record = json.loads(json.dumps(diagnosis.to_dict()))
    text = write_text(diagnosis)

    assert [x["severity"] for x in record["findings"]] == ["error", "warning", "note"]
    assert (record["errors"], record["warnings"], record["notes"]) == (1, 1, 1)
    assert record["splits"]["train"]["class_images"]["tree"] == 4
    assert record["splits"]["train"]["void"] == 12
    assert len(record["repeat_factors"]["factors"]) == 4
    assert re.search(r"\| 1 tree +\| +\d\d\.\d\d \| +4 \|", text)
    weights = yaml.safe_load("\n".join(re.findall(r"^\w+: \[.*\]$", text, re.MULTILINE)))
    assert {name: len(values) for name, values in weights.items()} == {
        "inverse_frequency": 4, "median_frequency": 4, "enet": 4,
    }  # fmt: skip
    assert text.index("NOTE absent-class") < text.index("ERROR unreadable-image")
    assert text.endswith("\n\n1 error, 1 warning, 1 note.\n")


def test_page_shows_each_finding_and_needs_no_other_file(root, look):
    label = read(label_at(root))
    label[5:12, 7:20] = 17
    for number in (0, 3):
        write_label(root, "train", f"train{number}", label)
    image_at(root, "train", 1).write_bytes(b"")
    shutil.copy(image_at(root, "train", 2), image_at(root, "val", 1))
    (root / "taxonomy.yaml").write_text("names: [background, tree, '<b>']\n")
    diagnosis = look(root)

    page = write_page(diagnosis, show=1)

    for code in ("value-out-of-range", "unreadable-image", "leak"):
        assert f"<h3>error: {code}</h3>" in page
    assert page.count("and 1 more, see doctor.json") == 1
    assert write_text(diagnosis, show=1).count("\n  and 1 more\n") == 1
    sources = re.findall(r'(?:src|href)="(.{30})', page)
    assert len(sources) == 3
    assert all(source.startswith("data:image/jpeg;base64,") for source in sources)
    assert "2 &lt;b&gt;" in page
    assert "<b></td>" not in page


def test_guide_lists_every_finding():
    guide = (Path(__file__).parents[2] / "docs" / "doctor.md").read_text(encoding="utf-8")

    assert [code for code in TEXTS if f"`{code}`" not in guide] == []


REAL = [
    ("camvid", {}, ["--data.dataset=camvid"], [367, 101], []),
    ("voc2012_subset", {}, ["--data.dataset=voc2012", "--data.train_split=train"], [441, 238], []),
    ("camvid", {"images": "{split}/*.jpg", "labels": "{split}annot/{stem}.png"},
     ["--data.folder.taxonomy=NAMES"], [367, 101],
     ["shifted-labels", "value-out-of-range", "value-out-of-range"]),
]  # fmt: skip


@pytest.mark.realdata
@pytest.mark.parametrize(("folder", "layout", "words", "counts", "errors"), REAL)
def test_what_real_images_show(look, tmp_path, folder, layout, words, counts, errors):
    if "PARSENET_DATA" not in os.environ:
        pytest.skip("PARSENET_DATA does not name the folder of the real images")
    names = tmp_path / "names.yaml"  # 11 for labels of 0..11
    names.write_text(f"names: {[f'c{n}' for n in range(11)]}\n")
    words = [word.replace("NAMES", str(names)) for word in words]

    diagnosis = look(Path(os.environ["PARSENET_DATA"]) / folder, overrides=words, **layout)

    assert [len(split.images) for split in diagnosis.splits] == counts
    assert [x.code for x in diagnosis.findings if x.severity == "error"] == errors
