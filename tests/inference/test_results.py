import re

import numpy as np
import pytest
from PIL import Image

from parsenet.errors import ConfigError
from parsenet.inference.frames import Frame
from parsenet.inference.results import ResultFolder, SaveConfig
from parsenet.inference.sheet import write_sheets, write_thumbnail
from parsenet.inference.sources import Source
from parsenet.taxonomy import SHAPES
from tests.fakes.red import red_predictor

IMAGE = np.zeros((10, 16, 3), np.uint8)
IMAGE[:, :8, 0] = 130


@pytest.fixture
def write(tmp_path):
    """Return a function that writes one kind of result of `IMAGE`."""

    def write(kind, **options):
        folder = ResultFolder(tmp_path, SHAPES, SaveConfig((kind,), **options))
        frame = Frame(Source("a.jpg", "a"), "a", IMAGE)
        prediction = red_predictor().predict([IMAGE], probabilities=True, entropy=True)[0]
        folder.write(kind, frame, prediction)
        return folder.files(kind, "a")

    return write


def read(path):
    with Image.open(path) as image:
        return np.array(image)


def test_probabilities_come_with_the_names_of_their_classes(write):
    with np.load(write("probabilities")[0]) as content:
        assert content["classes"].tolist() == list(SHAPES.names)
        assert (content["probabilities"].dtype, content["probabilities"].shape) == (
            np.float16,
            (5, 10, 16),
        )
        np.testing.assert_allclose(content["probabilities"].sum(0), 1, atol=2e-3)


def test_probability_maps_are_a_image_per_class(write):
    paths = write("probability-maps")

    assert [path.name for path in paths[:2]] == ["000_background.png", "001_ball.png"]
    maps = np.stack([read(path) for path in paths])
    # A score of 4 against four of 0.
    certain = np.exp(4) / (np.exp(4) + 4)
    assert (maps[2, :, :8] == round(255 * certain)).all()
    assert (maps[0, :, 8:] == round(255 * certain)).all()


def test_entropy_is_grey_between_sure_and_guessing(write):
    sure, others = np.exp(4) / (np.exp(4) + 4), 1 / (np.exp(4) + 4)
    expected = -(sure * np.log(sure) + 4 * others * np.log(others)) / np.log(5)

    assert (read(write("entropy")[0]) == round(255 * expected)).all()


def test_overlay_has_the_legend_below(write):
    overlay = read(write("overlay")[0])

    assert overlay.shape[0] > 10
    assert overlay.shape[1] >= 160


def test_overlay_without_legend_is_as_large_as_the_image(write):
    assert read(write("overlay", legend=False)[0]).shape == (10, 16, 3)


def test_thumbnail_is_small_but_never_enlarged(tmp_path):
    for name, size in (("a", (10, 16)), ("b", (500, 1000))):
        image, label = np.zeros((*size, 3), np.uint8), np.zeros(size, np.uint8)
        write_thumbnail(tmp_path / f"{name}.jpg", image, label, SHAPES, 0.5)

    assert read(tmp_path / "a.jpg").shape[:2] == (10, 16)
    assert read(tmp_path / "b.jpg").shape[:2] == (120, 240)


def test_sheets_hold_thirty_images_each(tmp_path):
    entries = []
    for index in range(31):
        write_thumbnail(tmp_path / "thumbnails" / f"{index}.jpg", IMAGE, IMAGE[..., 0], SHAPES, 0.5)
        entries.append({"name": str(index), "areas": {"0": 80, "2": 80}})

    write_sheets(tmp_path, entries, SHAPES)

    assert sorted(path.name for path in (tmp_path / "sheet").iterdir()) == ["01.png", "02.png"]
    colours = {tuple(colour) for colour in read(tmp_path / "sheet" / "02.png").reshape(-1, 3)}
    assert SHAPES.palette[2] in colours
    assert SHAPES.palette[1] not in colours


def test_pages_of_an_earlier_run_are_removed(tmp_path):
    (tmp_path / "sheet").mkdir()
    (tmp_path / "sheet" / "09.png").touch()

    write_sheets(tmp_path, [], SHAPES)

    assert list((tmp_path / "sheet").iterdir()) == []


def test_long_names_are_cut_in_the_middle(tmp_path):
    write_thumbnail(
        tmp_path / "thumbnails" / f"{'w' * 200}.jpg", IMAGE, IMAGE[..., 0] // 255, SHAPES, 0.5
    )

    write_sheets(tmp_path, [{"name": "w" * 200, "areas": {"0": 1}}], SHAPES)

    assert read(tmp_path / "sheet" / "01.png").shape[1] == 256


def test_unknown_kind_is_answered_with_the_closest():
    message = "`save` must name known results, got 'labels'. Did you mean `label`?"

    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        SaveConfig(("labels",))


def test_nothing_to_save_is_refused():
    message = "`save` must name at least one result, got none. Use `label`."

    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        SaveConfig(())


def test_opacity_out_of_range_is_refused():
    message = "`overlay` must be in [0, 1], got 2.0. Half and half is 0.5."

    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        SaveConfig(opacity=2.0)
