"""`parsenet doctor` as it is typed: what it prints, what it leaves, its exit codes."""

import json

import yaml

from parsenet.cli import main
from tests.fakes.healthy import image_at, label_at, write_healthy
from tests.fakes.voc import write_voc


def test_healthy_data_exit_with_0(tmp_path, capsys):
    root = write_healthy(tmp_path)

    assert main(["doctor", str(root)]) == 0

    assert capsys.readouterr().out.endswith("Nothing wrong was found.\n")


def test_errors_exit_with_1(tmp_path, capsys):
    root = write_healthy(tmp_path)
    image_at(root).write_bytes(b"")

    assert main(["doctor", str(root), "--workers", "1"]) == 1

    assert "ERROR unreadable-image: 1 image of `train` cannot be read." in capsys.readouterr().out


def test_warnings_exit_with_0(tmp_path):
    root = write_healthy(tmp_path)
    image_at(root).unlink()

    assert main(["doctor", str(root)]) == 0


def test_json_on_the_screen_is_all_there_is(tmp_path, capsys):
    root = write_healthy(tmp_path)
    label_at(root).unlink()

    main(["doctor", str(root), "--json", "-"])

    record = json.loads(capsys.readouterr().out)
    assert record["errors"] == 1
    assert record["findings"][0]["code"] == "image-without-label"
    assert record["findings"][0]["cases"][0]["file"] == str(image_at(root))
    assert record["splits"]["val"]["labels"] == 4
    assert record["splits"]["val"]["class_images"] == {"background": 4, "tree": 4, "road": 4}
    assert len(record["class_weights"]["enet"]) == 3


def test_out_leaves_record_and_page(tmp_path):
    root = write_healthy(tmp_path / "data")

    main(["doctor", str(root), "--out", str(tmp_path / "out"), "--json", str(tmp_path / "r.json")])

    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "doctor.json",
        "report.html",
    ]
    assert (tmp_path / "r.json").read_bytes() == (tmp_path / "out/doctor.json").read_bytes()


def test_config_and_root_give_the_data(tmp_path, capsys):
    write_voc(tmp_path / "data", size=(40, 60))
    (tmp_path / "voc.yaml").write_text(
        yaml.safe_dump({"data": {"dataset": "voc2012", "train_split": "train"}})
    )

    assert main(["doctor", str(tmp_path / "voc.yaml"), "--root", str(tmp_path / "data")]) == 0

    assert "train: 3 images with labels, 40 x 60 pixels" in capsys.readouterr().out


def test_drawn_data_set_needs_no_files(tmp_path, capsys):
    config = {"data": {"dataset": "shapes", "train_split": "val"}}
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(config))

    assert main(["doctor", str(tmp_path / "c.yaml"), "--json", "-"]) == 0

    codes = {finding["code"] for finding in json.loads(capsys.readouterr().out)["findings"]}
    assert codes - {"similar"} == {"same-split"}


def test_nothing_there_is_refused(tmp_path, capsys):
    assert main(["doctor", str(tmp_path / "none")]) == 2

    assert capsys.readouterr().err == (
        f"error: '{tmp_path / 'none'}' must be a config or a folder of data, got nothing there. "
        "Check the path.\n"
    )


def test_missing_root_is_refused(tmp_path, capsys):
    (tmp_path / "voc.yaml").write_text("data: {dataset: voc2012}\n")

    assert main(["doctor", str(tmp_path / "voc.yaml")]) == 2

    assert "`data.root` must be set for `dataset: voc2012`." in capsys.readouterr().err


def test_folder_that_cannot_be_made_is_refused_before_the_reading(tmp_path, capsys):
    root = write_healthy(tmp_path / "data")
    (tmp_path / "file").write_bytes(b"")

    assert main(["doctor", str(root), "--out", str(tmp_path / "file")]) == 2

    assert capsys.readouterr().err == (
        f"error: `--out` must be a folder to write to, got '{tmp_path / 'file'}' (File exists).\n"
    )


def test_negative_numbers_are_refused(tmp_path, capsys):
    assert main(["doctor", str(tmp_path), "--workers", "-2"]) == 2

    assert capsys.readouterr().err == (
        "error: `--workers` and `--show` must not be negative, got -2 and 5.\n"
    )
