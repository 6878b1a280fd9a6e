import re

import numpy as np
import pytest
from scipy.io import savemat

from parsenet.data.sbd import SBD
from parsenet.errors import ConfigError, DataNotFoundError, ImageError, LabelError
from tests.fakes.sbd import write_record, write_sbd


def refuses(error, message):
    return pytest.raises(error, match=f"^{re.escape(message)}$")


@pytest.mark.parametrize(
    ("split", "years"), [("train", {"2008"}), ("val", {"2010"}), ("trainval", {"2008", "2010"})]
)
def test_labels_are_those_drawn(tmp_path, split, years):
    labels = write_sbd(tmp_path)

    dataset = SBD(tmp_path, split)

    assert {name[:4] for name in dataset.ids} == years
    for index, name in enumerate(dataset.ids):
        np.testing.assert_array_equal(dataset.read(index).label, labels[name])


@pytest.mark.parametrize("below", ["", "benchmark_RELEASE", "benchmark_RELEASE/dataset"])
def test_root_may_be_above_the_data(tmp_path, below):
    write_sbd(tmp_path)

    assert len(SBD(tmp_path / below, "val")) == 3


def test_list_without_voc_val_is_read_where_it_was_added(tmp_path):
    write_sbd(tmp_path)
    path = tmp_path / "benchmark_RELEASE" / "dataset" / "train_noval.txt"

    with refuses(
        DataNotFoundError,
        f"SBD is not complete: '{path}' is missing. Extract `benchmark.tgz` of SBD there.",
    ):
        SBD(tmp_path, "train_noval")

    path.write_text("2010_000001\n")
    assert SBD(tmp_path, "train_noval").ids == ["2010_000001"]


def test_missing_data_say_where_to_get_them(tmp_path):
    with refuses(
        DataNotFoundError,
        f"SBD was not found in '{tmp_path}': 'cls' is missing. Extract `benchmark.tgz` of SBD there"
        " and set `data.root` to the folder that holds 'cls'.",
    ):
        SBD(tmp_path, "train")


def test_unknown_split_suggests_the_nearest(tmp_path):
    with refuses(
        ConfigError,
        "`split` of SBD must be one of train, val, trainval, train_noval, got 'trainaval'. Did you "
        "mean `trainval`?",
    ):
        SBD(tmp_path, "trainaval")


def test_file_of_the_boundaries_is_refused(tmp_path):
    write_sbd(tmp_path)
    path = tmp_path / "benchmark_RELEASE" / "dataset" / "cls" / "2008_000000.mat"
    savemat(path, {"GTcls": {"Boundaries": np.zeros((2, 2))}})

    with refuses(
        ImageError,
        f"'{path}' must hold `GTcls.Segmentation`, got a record without. Is it a file of the folder"
        " `cls`?",
    ):
        SBD(tmp_path, "train").read_label(0)


def test_value_beyond_the_classes_is_refused(tmp_path):
    write_sbd(tmp_path)
    path = tmp_path / "benchmark_RELEASE" / "dataset" / "cls" / "2008_000000.mat"
    write_record(path, np.array([[0, 1], [21, 0]], np.uint8))

    with refuses(
        LabelError,
        f"The label '{path}' must hold values that 'voc2012' knows, got 21 at row 1, column 0. "
        "Correct the file.",
    ):
        SBD(tmp_path, "train").read_label(0)
