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


def write_tar(path, files, links=()):
    with tarfile.open(path, "w:gz") as tar:
        for name, data in files:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        for name in links:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
            tar.addfile(info)
    return path


def faults(tmp_path, images, changes, links=()):
    """Check an archive whose files are whole but for the changes; None leaves one out."""
    files = [(n, d) for n, d in (whole() | changes).items() if d is not None]
    return check_archive(write_tar(tmp_path / "a.tgz", files, links), "val", images)


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


FIRST = f"{FOLDER}/{IDS[0]}.png"
COLOURS = np.full((10, 14), 37, np.uint8)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({FIRST: None}, "Every id of the list must be there, lack '2009_000000'. Add their label "
         "maps."),
        ({f"{FOLDER}/x.png": encoded()}, "Only ids of the list must be there, got 'x'. Delete the "
         "others, or check `--split`."),
        ({f"{FOLDER}/readme.txt": b"hi"}, f"Files must be '{FOLDER}/ID.png', got "
         f"'{FOLDER}/readme.txt'. Move or delete them."),
        ({"../../x.png": encoded()}, "Names must stay inside the archive, got '../../x.png'. It "
         "was made to do harm."),
        ({FIRST: encoded(palette="none")}, "Label maps must be palette PNGs (mode P), got "
         "'2009_000000' (mode L). Save indices with VOC's palette."),
        ({FIRST: encoded(palette=[9] * 768)}, "Palettes must be VOC's, got '2009_000000'. Save "
         "them with the palette of VOC's own labels."),
        ({FIRST: encoded(COLOURS)}, "Values must be 0..20, or 255, got '2009_000000' (37). Write "
         "class indices, not colours."),
        ({FIRST: encoded(COLOURS[:9])}, "Label maps must be as large as their images, got "
         "'2009_000000' (9 x 14, not 10 x 14). Write them at native size."),
        ({FIRST: encoded()[:-20]}, "Files must be whole PNGs, got '2009_000000' "
         "(damaged). Write them again."),
        ({FIRST: encoded(palette="none", kind="JPEG")}, "Files must be whole PNGs, got "
         "'2009_000000' (no PNG). Write them again."),
        ({FIRST: bytes(5 * 2**20)}, "Files must be label maps of at most 4 MiB, got '2009_000000' "
         "(5242880 bytes). Delete them."),
    ],
)  # fmt: skip
def test_fault_is_a_sentence(images, tmp_path, changes, sentence):
    assert sentence in faults(tmp_path, images, changes)


def test_each_kind_of_fault_is_one_line_with_its_first_files(tmp_path, images):
    changes = {f"{FOLDER}/x{i}.png": encoded() for i in range(5)} | {FIRST: encoded(COLOURS)}

    assert faults(tmp_path, images, changes) == [
        "Values must be 0..20, or 255, got '2009_000000' (37). Write class indices, not colours.",
        "Only ids of the list must be there, got 'x0', 'x1', 'x2' and 2 more. Delete the others, "
        "or check `--split`.",
    ]


def test_links_are_told_and_not_followed(tmp_path, images):
    found = faults(tmp_path, images, {FIRST: None}, links=[FIRST])

    assert found == [
        f"Entries must be plain files, got '{FIRST}'. Pack the files that links lead to.",
        "Every id of the list must be there, lack '2009_000000'. Add their label maps.",
    ]


def test_file_that_is_there_twice_is_told(tmp_path, images):
    files = [*whole().items(), (FIRST, encoded())]

    found = check_archive(write_tar(tmp_path / "a.tgz", files), "val", images)

    assert found == ["Files must be there once, got '2009_000000'. Pack the folder anew."]


def test_void_is_allowed(tmp_path, images):
    assert faults(tmp_path, images, {FIRST: encoded(np.full((10, 14), 255, np.uint8))}) == []


def test_without_images_the_rest_is_checked(tmp_path):
    assert faults(tmp_path, None, {FIRST: encoded(COLOURS[:3])})[0].startswith("Values must be ")
    assert check_archive(write_tar(tmp_path / "b.tgz", []), "val", None) == [
        "Every id of the list must be there, lack all of them. Add their label maps."
    ]


def test_unpacked_size_is_refused_before_it_is_decoded(tmp_path, images):
    # Five thousand by five thousand equal pixels are some kilobytes.
    bomb = encoded(np.zeros((5000, 5000), np.uint8))

    found = faults(tmp_path, images, {FIRST: bomb})

    assert found == [
        "Label maps must be as large as their images, got '2009_000000' (5000 x 5000 pixels). "
        "Write them at native size."
    ]


def test_missing_archive_is_refused(tmp_path):
    path = tmp_path / "none.tgz"
    with pytest.raises(FetchError) as error:
        check_archive(path, "val", None)

    assert str(error.value) == (
        f"'{path}' must be a tar or zip archive, got nothing there. Check the path, or make one "
        "with `parsenet submit MODEL --root VOC2012`."
    )


def test_other_classes_are_refused():
    with pytest.raises(ConfigError) as error:
        require_voc(SHAPES)

    assert str(error.value) == (
        "The model must have the 21 classes of 'voc2012', got 5 of 'shapes'. Choose one that was "
        "trained on VOC."
    )
