import logging

import numpy as np
import pytest

from parsenet.data.lists import read_ids
from parsenet.data.siftflow import UNANNOTATED, SiftFlow
from parsenet.taxonomy import SIFTFLOW
from tests.fakes.siftflow import FOLDER, TEST, TRAIN, savemat, write_siftflow


@pytest.mark.parametrize(("split", "names"), [("train", TRAIN), ("test", TEST)])
def test_semantic_classes_count_from_zero(tmp_path, split, names):
    stored = write_siftflow(tmp_path)

    dataset = SiftFlow(tmp_path, split)

    assert dataset.ids == list(names)
    for index, name in enumerate(names):
        semantic, _ = stored[name]
        # 0 becomes 255 and 1..33 become 0..32: what minus one does to 8 bits.
        np.testing.assert_array_equal(dataset.read(index).label, semantic - np.uint8(1))


def test_geometric_classes_count_from_zero(tmp_path):
    stored = write_siftflow(tmp_path)

    dataset = SiftFlow(tmp_path, "test", is_geometric=True)

    assert dataset.taxonomy.names == ("sky", "horizontal", "vertical")
    for index, name in enumerate(TEST):
        _, geometric = stored[name]
        expected = np.where(geometric == -1, 255, geometric - 1)
        np.testing.assert_array_equal(dataset.read_label(index), expected)


def test_stored_numbers_have_their_names(tmp_path):
    write_siftflow(tmp_path)
    path = tmp_path / "SemanticLabels" / FOLDER / f"{TEST[0]}.mat"
    savemat(path, {"S": np.array([[1, 9, 11, 16, 28, 33]], np.uint8)})

    label = SiftFlow(tmp_path, "test").read_label(0)

    names = [SIFTFLOW.names[value] for value in label[0].tolist()]
    assert names == ["awning", "cow", "desert", "moon", "sky", "window"]


def test_fcn_list_of_the_test_set_does_as_well(tmp_path):
    write_siftflow(tmp_path)
    (tmp_path / "TestSet1.txt").unlink()
    (tmp_path / "test.txt").write_text("\n".join(TEST))

    assert SiftFlow(tmp_path, "test").ids == list(TEST)


def test_root_may_be_above_the_data(tmp_path):
    write_siftflow(tmp_path / "SiftFlowDataset")

    assert len(SiftFlow(tmp_path, "train")) == len(TRAIN)


def test_unannotated_image_without_label_file_is_left_out(tmp_path, caplog):
    write_siftflow(tmp_path)
    (tmp_path / "SemanticLabels" / FOLDER / "highway_bost181.mat").unlink()

    with caplog.at_level(logging.INFO):
        dataset = SiftFlow(tmp_path, "train")

    assert "highway_bost181" not in dataset.ids
    assert caplog.messages == ["Left out, for want of an annotation: highway_bost181."]


@pytest.mark.realdata
def test_published_lists_have_the_published_counts(real_data):
    test = read_ids(real_data / "lists" / "data_sift-flow_test.txt", "")
    train = read_ids(real_data / "lists" / "data_sift-flow_trainval.txt", "")

    assert len(test) == 200
    assert len(set(train) | UNANNOTATED) == 2488
    assert not set(test) & (set(train) | UNANNOTATED)
