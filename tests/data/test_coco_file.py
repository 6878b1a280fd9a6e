import re

import pytest

from parsenet.data.coco_file import read_categories, read_coco
from parsenet.errors import ConfigError, DataNotFoundError, LabelError
from tests.fakes.coco import add_image, start_record, write_coco, write_record

JSON = "annotations/instances_train.json"


def refuses(error, message):
    return pytest.raises(error, match=f"^{re.escape(message)}$")


def test_images_and_categories_are_those_of_the_file(tmp_path):
    labels = write_coco(tmp_path)

    file = read_coco(tmp_path / JSON)

    assert file.categories == {1: "person", 3: "car", 90: "toothbrush"}
    assert [f"{name}.jpg" for name in labels if "train" in name] == [
        image.file_name for image in file.images
    ]
    assert {image.size for image in file.images} == {(12, 16)}
    assert not file.is_panoptic


def test_missing_annotation_file_is_named(tmp_path):
    with refuses(
        DataNotFoundError,
        f"The annotation file '{tmp_path / JSON}' must exist. Check `data.root`, the split and "
        "`data.coco.annotations`.",
    ):
        read_coco(tmp_path / JSON)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "'FILE' must be a JSON file, got "),
        ("7", "'FILE' must hold lists `images`, `annotations` and `categories`, as "),
        ("[]", "'FILE' must hold lists `images`, `annotations` and `categories`, as COCO's "),
        ('{"shapes": []}', "'FILE' must hold lists `images`, `annotations` and `categories`, as "),
        ('{"images": [{}], "categories": []}', "Every image in 'FILE' must have `id` and "),
        ('{"images": [], "categories": [{}]}', "Every category in 'FILE' must have `id` and `na"),
        (
            '{"images": [], "categories": [], "annotations": [{"id": 7, "image_id": 1}]}',
            "'FILE' must have an image for every annotation, got none for 'image_id' 1 of annot",
        ),
        (
            '{"images": [{"id": 1, "file_name": "a"}], "categories": [], "annotations": [7]}',
            "'FILE' must be of COCO's form, got TypeError 'argument of type 'int' is not ",
        ),
        (
            '{"images": [{"id": 1, "file_name": "a"}], "categories": [],'
            ' "annotations": [{"image_id": 1, "segments_info": [{}], "file_name": "a.png"}]}',
            "Every annotation in 'FILE' must have `file_name` and `segments_info` with ids, got one"
            " of 'image_id' 1 without. Export the file again.",
        ),
        (
            '{"images": [{"id": 1, "file_name": "a"}, {"id": 1, "file_name": "b"}],'
            ' "categories": []}',
            "Every image in 'FILE' must have an id of its own, got one twice.",
        ),
    ],
)
def test_file_of_another_form_is_refused(tmp_path, text, message):
    path = tmp_path / JSON
    path.parent.mkdir()
    path.write_text(text)

    with pytest.raises(LabelError, match=re.escape(message.replace("FILE", str(path)))):
        read_coco(tmp_path / JSON)


def test_file_without_images_is_refused(tmp_path):
    write_record(tmp_path / JSON, start_record())

    with refuses(DataNotFoundError, f"'{tmp_path / JSON}' must name at least one image, got none."):
        read_coco(tmp_path / JSON)


def test_two_categories_of_one_name_are_refused(tmp_path):
    record = start_record()
    add_image(record, "a.jpg")
    record["categories"][1]["name"] = "person"
    write_record(tmp_path / JSON, record)

    with refuses(
        ConfigError,
        f"The categories in '{tmp_path / JSON}' must have names and ids of their own, got 'person' "
        "twice. Rename one in the annotation tool and export again.",
    ):
        read_coco(tmp_path / JSON)


def test_file_that_changed_is_read_again(tmp_path):
    record = start_record()
    add_image(record, "a.jpg")
    write_record(tmp_path / JSON, record)
    read_categories(tmp_path / JSON)
    record["categories"][0]["name"] = "somebody else"
    write_record(tmp_path / JSON, record)

    assert read_categories(tmp_path / JSON)[0] == "somebody else"
