"""Keys of runs: equal for equal experiments, whatever the machine."""

import pytest

from parsenet.errors import ConfigError
from parsenet.lab.grid import read_grid
from parsenet.lab.grid_file import Cell
from tests.fakes.lab import make_grid, write_grid


def key_of(path, *words, lr=0.1, seed=0):
    return read_grid(path, words).plan(Cell("fc7", "raw"), lr, seed).key


@pytest.mark.parametrize(
    "words",
    [
        ["--data.root", "elsewhere"],
        ["--data.num_workers", "3"],
        ["--data.cache", "disk"],
        ["--trainer.devices", "1"],
        ["--scoring.samples", "0"],
        ["--trainer.val_check_interval", "5"],
        ["--model.network.norm_scale", "10"],  # the default
    ],
)
def test_key_does_not_know_the_machine(tmp_path, words):
    path = write_grid(tmp_path)

    assert key_of(path, *words) == key_of(path)


@pytest.mark.parametrize(
    "words",
    [
        ["--data.batch_size", "3"],
        ["--model.network.norm_scale", "20"],
        ["--model.network.weights", "imagenet1k_v1"],
        ["--trainer.max_steps", "4"],
        ["--scoring.images", "4"],
        ["--scoring.inference.scales", "[0.5]"],
    ],
)
def test_key_knows_what_is_computed(tmp_path, words):
    path = write_grid(tmp_path)

    assert key_of(path, *words) != key_of(path)


def test_key_knows_rate_and_seed(tmp_path):
    path = write_grid(tmp_path)

    assert len({key_of(path), key_of(path, lr=0.2), key_of(path, seed=1)}) == 3


def test_key_stays_what_it_was(tmp_path):
    # Recorded results are found by it: a change here starts every grid anew.
    assert key_of(write_grid(tmp_path)) == "e00dba9d5983065f"


def test_weights_are_known_by_their_name_not_their_folder(tmp_path):
    path = write_grid(tmp_path)
    keys = {key_of(path, "--model.network.weights", f"{folder}/w.npz") for folder in ("a", "b")}

    assert len(keys) == 1


def test_record_of_the_options_holds_no_path(tmp_path):
    path = write_grid(tmp_path)
    words = ["--data.root", "secret", "--model.network.weights", "secret/w.npz"]

    record = read_grid(path, words).cells["fc7", "raw"].to_dict()

    assert "secret" not in str(record)
    assert record["model"]["network"]["weights"] == "w.npz"


def test_rate_of_a_run_is_in_its_record(tmp_path):
    options = make_grid(tmp_path).cells["fc7", "raw"].at(0.5, 7)

    record = options.to_dict()

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


def test_length_of_a_run_that_is_no_whole_number_is_refused(tmp_path):
    message = (
        f"^`trainer.max_steps` of '{tmp_path / 'tiny.yaml'}', row 'fc7', column 'raw' must be a "
        "whole number, got 2.5. Write 1000, or leave it out.$"
    )

    with pytest.raises(ConfigError, match=message):
        read_grid(write_grid(tmp_path), ["--trainer.max_steps", "2.5"])
