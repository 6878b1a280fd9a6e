"""`parsenet doctor` and `parsenet browse` as they are typed, and the data that they mean."""

import json
from pathlib import Path

import pytest
import yaml

from parsenet.cli import main
from parsenet.commands.data import DataChoice, find_data
from tests.fakes.healthy import image_at, label_at, write_healthy

TAXONOMY = ("--taxonomy", "taxonomy.yaml")


def write_config(path, **sections):
    path.write_text(yaml.safe_dump(sections))
    return path


def test_exit_code_is_1_with_errors_only(tmp_path, capsys):
    words = ["doctor", str(write_healthy(tmp_path)), *TAXONOMY, "--workers", "1"]

    assert main(words) == 0
    assert capsys.readouterr().out.endswith("Nothing wrong was found.\n")

    image_at(tmp_path).unlink()
    assert main(words) == 0
    assert "WARNING label-without-image: 1 label of `train`" in capsys.readouterr().out

    label_at(tmp_path, "val").unlink()
    assert main([*words, "--json", "-"]) == 1
    record = json.loads(capsys.readouterr().out)  # and nothing else
    assert record["findings"][0]["code"] == "image-without-label"
    assert record["findings"][0]["cases"][0]["file"] == str(image_at(tmp_path, "val"))
    assert record["splits"]["val"]["class_images"] == {"background": 3, "tree": 3, "road": 3}


def test_out_leaves_record_and_page_also_of_a_data_set_without_files(tmp_path):
    path = write_config(tmp_path / "c.yaml", data={"dataset": "shapes", "train_split": "val"})
    out, other = tmp_path / "out", tmp_path / "r.json"

    assert main(["doctor", str(path), "--out", str(out), "--json", str(other)]) == 0

    assert sorted(path.name for path in out.iterdir()) == ["doctor.json", "report.html"]
    assert other.read_bytes() == (out / "doctor.json").read_bytes()
    codes = {finding["code"] for finding in json.loads(other.read_text())["findings"]}
    assert codes - {"similar"} == {"same-split"}


def sheets(root):
    return sorted(path.name for path in (root / "sheets").iterdir())


def browse(root, *words):
    return main(["browse", str(root), *TAXONOMY, "--out", str(root / "sheets"), *words])


def test_training_samples_are_drawn_as_they_are_augmented(tmp_path, capsys):
    root = write_healthy(tmp_path, num_images=13)

    assert browse(root, "--epoch", "2") == 0
    assert browse(root, "--epoch", "2", "--count", "12") == 0  # replaces both

    assert sheets(root) == ["train_epoch2_001.png"]
    assert capsys.readouterr().out.splitlines()[:2] == [
        str(root / "sheets" / f"train_epoch2_00{n}.png") for n in (1, 2)
    ]


def test_seed_changes_the_crops_and_nothing_else_does(tmp_path):
    root = write_healthy(tmp_path)
    drawn = []

    for seed in ("1", "1", "2"):
        browse(root, "--seed", seed, "--count", "1")
        drawn.append((root / "sheets" / "train_epoch0_001.png").read_bytes())

    assert drawn[0] == drawn[1] != drawn[2]


def test_other_splits_and_raw_ones_are_drawn_whole(tmp_path, capsys):
    root = write_healthy(tmp_path)
    label_at(root).write_bytes(b"")

    assert browse(root, "--split", "val") == 0
    assert browse(root, "--raw", "--count", "2") == 1  # a broken sample

    assert sheets(root) == ["train_raw_001.png", "val_001.png"]
    assert "1 of 2 could not be loaded; see the sheets.\n" in capsys.readouterr().err


def test_config_gives_its_data_section_and_its_seed(tmp_path):
    path = write_config(
        tmp_path / "config.yaml",
        seed_everything=7,
        model={"network": {"trunk": "tiny"}},
        data={"dataset": "shapes", "crop": [30, 40], "val_split": "test"},
    )

    config, seed = find_data(DataChoice(path))

    assert (config.dataset, config.crop, config.val_split) == ("shapes", (30, 40), "test")
    assert seed == 7
    assert find_data(DataChoice(tmp_path)) == (config, 7)  # a run folder


def test_options_win_over_the_config_and_name_a_known_layout(tmp_path):
    path = write_config(tmp_path / "c.yaml", data={"dataset": "voc2012", "root": "a"})
    words = ["--data.root", "b", "--data.folder.taxonomy=t"]

    config, _ = find_data(DataChoice(path, train="train", val="trainval"), words)
    folder, _ = find_data(DataChoice(tmp_path), ["--data.dataset", "camvid"])

    assert (config.root, config.folder.taxonomy) == (Path("b"), "t")
    assert (config.train_split, config.val_split) == ("train", "trainval")
    assert (folder.dataset, folder.root, folder.train_split) == ("camvid", tmp_path, "train")


def test_every_config_of_the_project_is_understood():
    paths = (Path(__file__).parents[2] / "configs").rglob("*.yaml")
    for path in (x for x in paths if x.parent.name != "ablations"):  # grids of configs
        assert find_data(DataChoice(path), ["--data.root", "somewhere"])


REFUSALS = [
    (["doctor", "DATA", "--workers", "-2"],
     "`--workers` and `--show` must not be negative, got -2 and 5."),
    (["browse", "DATA", "--out", "DATA/sheets", "--count", "0"],
     "`--count` must be at least 1 and `--epoch` at least 0, got 0 and 0."),
    (["doctor", "DATA", *TAXONOMY, "--out", "DATA/taxonomy.yaml"],
     "'DATA/taxonomy.yaml' cannot be read or written (File exists). Choose another place."),
    (["browse", "DATA", *TAXONOMY, "--out", "DATA/sheets", "--split", "trian"],
     "'DATA/images/trian/*' must find at least one image, got none. Check `data.root`, the split "
     "and `folder.images`."),
    (["doctor", "DATA/voc.yaml"],
     "`data.root` must be set for `dataset: voc2012`. Give the folder that holds the data, or use "
     "`dataset: shapes`, which needs none."),
    (["doctor", "DATA/none.yaml"],
     "'DATA/none.yaml' must be a YAML file, got nothing there. Check the path."),
    (["doctor", "DATA"],
     "'DATA' must be a config, a run folder, or come with `--taxonomy`, got a folder alone. "
     "`--images`, `--labels`, `--train` and `--val` tell where data of your own do not lie as "
     "`images/{split}/*` and `labels/{split}/{stem}.png`."),
    (["doctor", "DATA/voc.yaml", "--taxonomy", "voc2012"],
     "`--images`, `--labels` and `--taxonomy` must come with a folder, got 'DATA/voc.yaml'. Use "
     "`--data.folder.images` and so on to change what a config says."),
    (["doctor", "DATA/taxonomy.yaml"],
     "'DATA/taxonomy.yaml' must have a section `data:`, got none. Give the config of a run, or the "
     "folder of the data."),
    (["doctor", "DATA/voc.yaml", "--data.rot", "x"],
     "The options of 'DATA/voc.yaml' must be right, got: unrecognized arguments: --data.rot x."),
]  # fmt: skip


@pytest.mark.parametrize(("words", "message"), REFUSALS)
def test_refusal_is_one_line_and_exits_with_2(tmp_path, capsys, words, message):
    root = str(write_healthy(tmp_path))
    write_config(tmp_path / "voc.yaml", data={"dataset": "voc2012"})

    assert main([word.replace("DATA", root) for word in words]) == 2

    assert capsys.readouterr().err == f"error: {message.replace('DATA', root)}\n"
