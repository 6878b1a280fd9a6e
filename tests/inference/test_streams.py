"""Videos and animations from end to end."""

import json

import numpy as np
import pytest
from PIL import Image

from parsenet.inference.video import FrameReader
from tests.fakes.video import GREYS, write_video
from tests.inference.conftest import listed


@pytest.fixture
def animation(tmp_path):
    """A GIF of four frames of the classes 0 to 3."""
    frames = [Image.fromarray(np.full((6, 9, 3), 60 * index, np.uint8)) for index in range(4)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    return tmp_path / "a.gif"


def test_video_becomes_a_video_of_frames_beside_their_overlays(run, tmp_path):
    clip = write_video(tmp_path / "clip.mp4")

    report = run(clip)

    assert listed(tmp_path / "out") == ["video/clip.mp4"]
    frames = list(FrameReader(tmp_path / "out" / "video" / "clip.mp4"))
    assert (len(frames), frames[0].shape) == (len(GREYS), (32, 96, 3))
    assert len(report.done) == len(GREYS)
    again = run(clip)
    assert (again.skipped, again.done) == ([str(clip)], [])


def test_frames_of_a_video_become_labels_when_asked(run, tmp_path):
    clip = write_video(tmp_path / "clip.mp4")
    run(clip, save=("label",), max_frames=3)

    report = run(clip, save=("label", "areas"))

    names = [f"clip/{index:06d}" for index in range(1, len(GREYS) + 1)]
    assert [x for x in listed(tmp_path / "out") if x.endswith(".png")] == [
        f"{x}.png" for x in names
    ]
    assert [
        record["image"] for record in json.loads((tmp_path / "out/areas.json").read_text())
    ] == names
    assert len(report.done) == len(GREYS)
    with Image.open(tmp_path / "out" / "clip" / "000004.png") as image:
        assert set(np.unique(np.array(image))) == {140 * 5 // 256}
    assert len(run(clip, save=("label", "areas")).skipped) == len(GREYS)


def test_all_frames_of_an_animation_are_labelled_or_the_first(run, animation, tmp_path):
    run(animation, save=("label", "areas"), frames="all", max_frames=3)

    assert [x for x in listed(tmp_path / "out") if x.endswith("png")] == [
        f"a/{index:06d}.png" for index in range(1, 4)
    ]
    records = json.loads((tmp_path / "out" / "areas.json").read_text())
    assert [record["classes"][0]["index"] for record in records] == [0, 1, 2]
    run(animation)
    assert (tmp_path / "out" / "a.png").is_file()


def test_animation_that_breaks_off_keeps_its_first_frames(run, tmp_path):
    rng = np.random.default_rng(0)
    noise = [Image.fromarray(rng.integers(0, 256, (60, 90, 3), dtype=np.uint8)) for _ in range(4)]
    noise[0].save(tmp_path / "a.tif", save_all=True, append_images=noise[1:])
    content = (tmp_path / "a.tif").read_bytes()
    (tmp_path / "a.tif").write_bytes(content[: len(content) * 6 // 10])

    report = run(tmp_path / "a.tif", frames="all")

    assert len(report.failed) == 1
