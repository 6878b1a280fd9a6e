"""Keys of runs: equal for equal experiments, whatever the machine."""

import shutil

import pytest

from parsenet.errors import ConfigError
from parsenet.lab.grid import Cell, read_grid
from parsenet.lab.options import read_inputs
from tests.fakes.lab import make_grid, write_grid
from tests.fakes.voc import write_voc


def key_of(path, *words, lr=0.1, seed=0):
    return read_grid(path, words).plan(Cell("fc7", "raw"), lr, seed).key


@pytest.mark.parametrize(
    ("words", "is_equal"),
    [
        ("--data.root elsewhere", True),
        ("--data.num_workers 3", True),
        ("--trainer.devices 1", True),
        ("--scoring.samples 0", True),
        ("--trainer.val_check_interval 5", True),
        ("--model.network.norm_scale 10", True),  # the default
        ("--data.batch_size 3", False),
        ("--model.network.norm_scale 20", False),
        ("--model.network.weights imagenet1k_v1", False),
        ("--trainer.max_steps 4", False),
        ("--scoring.images 4", False),
        ("--scoring.inference.scales [0.5]", False),
    ],
)
def test_key_knows_what_is_computed_and_not_the_machine(tmp_path, words, is_equal):
    path = write_grid(tmp_path)

    assert (key_of(path, *words.split()) == key_of(path)) == is_equal


def test_key_knows_rate_and_seed(tmp_path):
    path = write_grid(tmp_path)

    assert len({key_of(path), key_of(path, lr=0.2), key_of(path, seed=1)}) == 3


def test_key_stays_what_it_was(tmp_path):
    # Recorded results are found by it: a change here starts every grid anew.
    assert key_of(write_grid(tmp_path)) == "99e65a3c609dd775-44136fa3"


def voc(tmp_path, root, **changes):
    data = {"dataset": "voc2012", "train_split": "train", "val_split": "val", "root": str(root)}
    grid = make_grid(tmp_path, set={"data": data} | changes)
    return grid.cells["fc7", "raw"]


@pytest.fixture
def root(tmp_path):
    write_voc(tmp_path)
    return tmp_path / "VOC2012"


def test_equal_data_in_another_folder_have_equal_keys(tmp_path, root):
    before = voc(tmp_path, root)
    shutil.copytree(root, tmp_path / "copy")

    after = voc(tmp_path, tmp_path / "copy")

    assert set(before.inputs) == {"voc2012/train", "voc2012/val"}
    assert after.key == before.key


def shorten_list(root):
    path = root / "ImageSets" / "Segmentation" / "val.txt"
    path.write_text("\n".join(path.read_text().split()[:-1]))


def lengthen_label(root):
    name = (root / "ImageSets" / "Segmentation" / "val.txt").read_text().split()[0]
    with (root / "SegmentationClass" / f"{name}.png").open("ab") as file:
        file.write(b"more")


@pytest.mark.parametrize("change", [shorten_list, lengthen_label])
def test_key_knows_the_lists_of_the_data_and_the_sizes_of_files(tmp_path, root, change):
    before = voc(tmp_path, root)
    change(root)

    after = voc(tmp_path, root)

    changed = {name for name in before.inputs if after.inputs[name] != before.inputs[name]}
    assert changed == {"voc2012/val"}
    assert after.key.partition("-")[0] == before.key.partition("-")[0]
    assert after.key != before.key


def test_weights_are_known_by_their_content_not_their_folder(tmp_path):
    for folder, content in {"a": b"one", "b": b"one", "c": b"other"}.items():
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "w.npz").write_bytes(content)
    keys = {}
    for folder in "abc":
        weights = str(tmp_path / folder / "w.npz")
        grid = make_grid(tmp_path, set={"model": {"network": {"weights": weights}}})
        keys[folder] = grid.cells["fc7", "raw"].key

    assert keys["a"] == keys["b"] != keys["c"]


def test_data_are_needed_only_where_runs_are_made(tmp_path):
    words = ["--data.dataset", "voc2012", "--model.network.weights", "none.npz"]
    options = read_grid(write_grid(tmp_path), words).cells["fc7", "raw"]

    names = ["voc2012/train", "voc2012/val", "none.npz"]
    assert read_inputs(options, required=False) == dict.fromkeys(names)
    with pytest.raises(ConfigError, match=r"^`data\.root` must be set for `dataset: voc2012`\."):
        read_inputs(options)


def test_record_of_a_run_has_its_rate_and_seed_and_no_path(tmp_path):
    words = ["--data.root", "secret", "--model.network.weights", "secret/w.npz"]

    record = read_grid(write_grid(tmp_path), words).cells["fc7", "raw"].at(0.5, 7).to_dict()

    assert "secret" not in str(record)
    assert record["model"]["network"]["weights"] == "w.npz"
    assert (record["model"]["optim"]["lr"], record["seed_everything"]) == (0.5, 7)


def test_recorded_run_agrees_unless_a_default_has_changed_since(tmp_path):
    options = make_grid(tmp_path).cells["fc7", "raw"]
    record = options.to_dict()
    elsewhere = read_grid(write_grid(tmp_path), ["--data.num_workers", "3", "--data.root", "x"])

    assert elsewhere.cells["fc7", "raw"].agree_with(record)
    del record["model"]["network"]["norm_scale"]  # recorded before there was such an option
    del record["scoring"]["inference"]["flip"]
    record["data"]["an_old_option"] = 1
    assert options.agree_with(record)
    record["model"]["optim"]["power"] += 0.1
    assert not options.agree_with(record)
