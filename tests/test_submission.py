"""What the check says of archives that somebody packed wrongly."""

import io
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image

from parsenet.errors import ConfigError, FetchError
from parsenet.submission import check_archive, find_split, pack, require_voc
from parsenet.taxonomy import SHAPES, VOC2012
from tests.fakes.voc import write_voc

FOLDER = "results/VOC2012/Segmentation/comp6_val_cls"
IDS = ("2009_000000", "2009_000001", "2009_000002")
FIRST = f"{FOLDER}/{IDS[0]}.png"
COLOURS = np.full((10, 14), 37, np.uint8)


@pytest.fixture
def images(tmp_path):
    """The three images of val by id, (10, 14) pixels each."""
    write_voc(tmp_path)
    return find_split(tmp_path, "val")


def encoded(label=None, palette=None, kind="PNG"):
    image = Image.fromarray(np.zeros((10, 14), np.uint8) if label is None else label)
    if palette != "none":
        image.putpalette(VOC2012.pillow_palette() if palette is None else palette)
    content = io.BytesIO()
    image.save(content, kind)
    return content.getvalue()


def whole():
    return {f"{FOLDER}/{name}.png": encoded() for name in IDS}


def faults(tmp_path, images, changes, more=()):
    """Check an archive whose files are whole but for the changes; None makes a file a link."""
    with tarfile.open(tmp_path / "a.tgz", "w:gz") as tar:
        for name, data in (*(whole() | changes).items(), *more):
            info = tarfile.TarInfo(name)
            info.size = len(data or b"")
            if data is None:
                info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
            tar.addfile(info, io.BytesIO(data or b""))
    return check_archive(tmp_path / "a.tgz", "val", images)


def test_packed_label_maps_are_fine_and_pack_equal(images, tmp_path):
    for name, data in whole().items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)

    for name in ("a.tgz", "b.tgz"):
        pack(tmp_path, IDS, "val", tmp_path / name)

    assert check_archive(tmp_path / "a.tgz", "val", images) == []
    assert (tmp_path / "a.tgz").read_bytes() == (tmp_path / "b.tgz").read_bytes()
    with tarfile.open(tmp_path / "a.tgz") as tar:
        assert tar.getnames() == [f"{FOLDER}/{name}.png" for name in IDS]


def test_zip_with_folders_and_leavings_of_a_mac_is_fine(images, tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.mkdir("results")
        archive.writestr("__MACOSX/x", b"")
        for name, data in whole().items():
            archive.writestr(name, data)

    assert check_archive(tmp_path / "a.zip", "val", images) == []


FAULTS = [
    ({f"{FOLDER}/x{i}.png": b"" for i in range(5)}, "Only ids of the list must be there, got 'x0', "
     "'x1', 'x2' and 2 more. Delete the others, or check `--split`."),
    ({f"{FOLDER}/readme.txt": b"hi"}, f"Files must be '{FOLDER}/ID.png', got "
     f"'{FOLDER}/readme.txt'. Move or delete them."),
    ({f"{FOLDER}/l.png": None}, f"Entries must be plain files, got '{FOLDER}/l.png'. Pack the "
     "files that links lead to."),
    ({FIRST: encoded(palette="none")}, "Label maps must be palette PNGs (mode P), got "
     "'2009_000000' (mode L). Save indices with VOC's palette."),
    ({FIRST: encoded(palette=[9] * 768)}, "Palettes must be VOC's, got '2009_000000'. Save them "
     "with the palette of VOC's own labels."),
    ({FIRST: encoded(COLOURS)}, "Values must be 0..20, or 255, got '2009_000000' (37). Write class "
     "indices, not colours."),
    # Five thousand by five thousand equal pixels are some kilobytes.
    ({FIRST: encoded(np.zeros((5000, 5000), np.uint8))}, "Label maps must be as large as their "
     "images, got '2009_000000' (5000 x 5000, not 10 x 14). Write them at native size."),
    ({FIRST: encoded()[:-20]}, "Files must be whole PNGs, got '2009_000000' (damaged). Write them "
     "again."),
    ({FIRST: encoded(palette="none", kind="JPEG")}, "Files must be whole PNGs, got '2009_000000' "
     "(no PNG). Write them again."),
    ({FIRST: encoded(np.full((10, 14), 255, np.uint8))}, None),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "sentence"), FAULTS)
def test_each_kind_of_fault_is_a_sentence_with_its_first_files(images, tmp_path, changes, sentence):
    assert faults(tmp_path, images, changes) == ([sentence] if sentence else [])


def test_missing_and_repeated_files_are_told(images, tmp_path):
    repeated = f"{FOLDER}/{IDS[1]}.png"

    assert faults(tmp_path, images, {FIRST: None}, [(repeated, encoded())]) == [
        f"Entries must be plain files, got '{FIRST}'. Pack the files that links lead to.",
        "Files must be there once, got '2009_000001'. Pack the folder anew.",
        "Every id of the list must be there, lack '2009_000000'. Add their label maps.",
    ]


def test_without_images_the_rest_is_checked(tmp_path):
    assert faults(tmp_path, None, {FIRST: encoded(COLOURS[:3])})[0].startswith("Values must be ")
    assert faults(tmp_path, None, dict.fromkeys(whole()))[1] == (
        "Every id of the list must be there, lack all of them. Add their label maps."
    )


def test_refusals(tmp_path, images):
    path = tmp_path / "none.tgz"
    with pytest.raises(FetchError) as error:
        check_archive(path, "val", None)
    assert str(error.value) == (
        f"'{path}' must be a tar or zip archive, got nothing there. Check the path, or make one "
        "with `parsenet submit MODEL --root VOC2012`."
    )
    with pytest.raises(FetchError, match=r"must hold names inside its own folder, got '\.\./x'\."):
        faults(tmp_path, images, {"../x": b""})
    with pytest.raises(ConfigError) as error:
        require_voc(SHAPES)
    assert str(error.value) == (
        "The model must have the 21 classes of 'voc2012', got 5 of 'shapes'. Choose one that was "
        "trained on VOC."
    )
