"""`parsenet browse` as it is typed."""

from parsenet.cli import main
from tests.fakes.healthy import label_at, write_healthy


def browse(root, *words):
    return main(["browse", str(root), "--out", str(root / "sheets"), *words])


def sheets(root):
    return sorted(path.name for path in (root / "sheets").iterdir())


def test_training_samples_are_drawn_as_they_are_augmented(tmp_path, capsys):
    root = write_healthy(tmp_path)

    assert browse(root, "--epoch", "2") == 0

    assert sheets(root) == ["train_epoch2_001.png"]
    assert capsys.readouterr().out == f"{root / 'sheets' / 'train_epoch2_001.png'}\n"


def test_seed_changes_the_crops_and_nothing_else_does(tmp_path):
    root = write_healthy(tmp_path)
    drawn = []

    for seed in ("1", "1", "2"):
        browse(root, "--seed", seed, "--count", "1")
        drawn.append((root / "sheets" / "train_epoch0_001.png").read_bytes())

    assert drawn[0] == drawn[1] != drawn[2]


def test_other_splits_and_raw_ones_are_drawn_whole(tmp_path):
    root = write_healthy(tmp_path)

    assert browse(root, "--split", "val") == 0
    assert browse(root, "--raw", "--count", "2") == 0

    assert sheets(root) == ["train_raw_001.png", "val_001.png"]


def test_broken_sample_exits_with_1(tmp_path, capsys):
    root = write_healthy(tmp_path)
    label_at(root).write_bytes(b"")

    assert browse(root) == 1

    assert "1 of 4 could not be loaded; see the sheets.\n" in capsys.readouterr().err


def test_no_samples_are_refused(tmp_path, capsys):
    root = write_healthy(tmp_path)

    assert browse(root, "--count", "0") == 2

    assert capsys.readouterr().err == (
        "error: `--count` must be at least 1 and `--epoch` at least 0, got 0 and 0.\n"
    )


def test_unknown_split_is_refused(tmp_path, capsys):
    root = write_healthy(tmp_path)

    assert browse(root, "--split", "trian") == 2

    assert "must find at least one image, got none" in capsys.readouterr().err
