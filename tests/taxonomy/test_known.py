import os
import re
from pathlib import Path

import pytest

from parsenet.taxonomy import (
    CAMVID,
    PASCAL_CONTEXT60,
    PASCAL_CONTEXT459,
    SIFTFLOW,
    SIFTFLOW_GEO,
    TAXONOMIES,
    VOC2012,
)


@pytest.mark.parametrize(
    ("name", "num_classes"),
    [
        ("voc2012", 21),
        ("siftflow", 33),
        ("siftflow_geo", 3),
        ("pascal_context59", 59),
        ("pascal_context60", 60),
        ("pascal_context459", 459),
        ("camvid", 11),
    ],
)
def test_label_set_has_its_classes_each_in_a_colour_of_its_own(name, num_classes):
    taxonomy = TAXONOMIES[name]

    assert taxonomy.num_classes == num_classes
    assert len(set(taxonomy.palette)) == num_classes


def lists():
    if "PARSENET_DATA" not in os.environ:
        pytest.skip("PARSENET_DATA is not set")
    return Path(os.environ["PARSENET_DATA"]) / "lists"


@pytest.mark.realdata
def test_names_are_those_of_the_published_lists():
    def read(name):
        lines = (lists() / name).read_text(encoding="utf-8").split("\n")
        return tuple(line.split(": ")[1].strip() for line in lines if ": " in line)

    assert read("data_pascal-context_classes-59.txt") == PASCAL_CONTEXT60.names
    assert read("data_pascal-context_classes-400.txt") == PASCAL_CONTEXT459.names
    text = (lists() / "data_sift-flow_classes.txt").read_text(encoding="utf-8")
    assert re.findall(r"^\d\d (.*)$", text, re.MULTILINE) == [*SIFTFLOW.names, *SIFTFLOW_GEO.names]
    voc = (lists() / "data_pascal_classes.txt").read_text(encoding="utf-8").split("\n")
    assert tuple(voc[:21]) == VOC2012.names


def test_camvid_has_the_classes_of_segnet_in_its_order():
    assert (CAMVID.names[0], CAMVID.names[3], CAMVID.names[10]) == ("sky", "road", "bicyclist")
