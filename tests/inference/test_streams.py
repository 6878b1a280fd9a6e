"""Videos, cameras and animations from end to end."""

import json

import numpy as np
import pytest
from PIL import Image

import parsenet.inference.frames
from parsenet.inference.folder import RunConfig, predict_all
from parsenet.inference.frames import ReadConfig
from parsenet.inference.predictor import Predictor
from parsenet.inference.results import SaveConfig
from parsenet.inference.sources import Source, find_images
from parsenet.inference.video import FrameReader
from tests.fakes.red import red_predictor
from tests.fakes.video import GREYS, write_video


@pytest.fixture
def run(tmp_path):
    """Return a function that predicts sources into `tmp_path`/out."""

    def predict(sources, kinds=None, frames="first", max_frames=None, **options):
        saving = SaveConfig() if kinds is None else SaveConfig(kinds, kinds)
        reading = ReadConfig(frames, max_frames=max_frames)
        options = RunConfig(progress=False, **options)
        return predict_all(red_predictor(), sources, tmp_path / "out", saving, reading, options)

    return predict


@pytest.fixture
def clip(tmp_path):
    return find_images([write_video(tmp_path / "clip.mp4")]).found


def listed(folder):
    names = (x.relative_to(folder).as_posix() for x in folder.rglob("*") if x.is_file())
    return sorted(name for name in names if name != "journal.jsonl")


def test_video_becomes_a_video_of_as_many_frames(run, clip, tmp_path):
    report = run(clip)

    assert listed(tmp_path / "out") == ["video/clip.mp4"]
    assert len(list(FrameReader(tmp_path / "out" / "video" / "clip.mp4"))) == len(GREYS)
    assert len(report.done) == len(GREYS)


def test_frames_of_a_video_become_labels_when_asked(run, clip, tmp_path):
    run(clip, ("label",))

    made = listed(tmp_path / "out")
    assert made == [f"clip/{index:06d}.png" for index in range(1, len(GREYS) + 1)]
    with Image.open(tmp_path / "out" / "clip" / "000004.png") as image:
        assert set(np.unique(np.array(image))) == {140 * 5 // 256}


def test_finished_video_is_skipped(run, clip):
    run(clip)

    report = run(clip)

    assert (report.skipped, report.done) == ([str(clip[0].path)], [])


def test_labelled_frames_are_skipped(run, clip, tmp_path):
    run(clip, ("label",), max_frames=3)

    report = run(clip, ("label",))

    assert (len(report.skipped), len(report.done)) == (3, len(GREYS) - 3)


def test_videos_and_images_mix(run, clip, write_image, tmp_path):
    sources = find_images([write_image("a.png"), clip[0].path, write_image("b.png")]).found

    run(sources)

    assert listed(tmp_path / "out") == ["a.png", "b.png", "video/clip.mp4"]


def test_broken_video_does_not_end_the_run(run, write_image, tmp_path):
    (tmp_path / "clip.mp4").write_bytes(b"no video")
    sources = find_images([tmp_path / "clip.mp4", write_image("a.png")]).found

    report = run(sources)

    path = tmp_path / "clip.mp4"
    assert report.failed == {
        str(path): f"'{path}' must be a video that OpenCV can open. Convert it to MP4 (H.264)."
    }
    assert listed(tmp_path / "out") == ["a.png", "failed.json"]


def test_interrupted_video_leaves_no_half_of_it(run, clip, tmp_path, monkeypatch):
    call, count = Predictor.predict, iter(range(10))

    def predict(self, *arguments, **options):
        if next(count) == 3:
            raise KeyboardInterrupt
        return call(self, *arguments, **options)

    monkeypatch.setattr(Predictor, "predict", predict)

    with pytest.raises(KeyboardInterrupt):
        run(clip)

    assert listed(tmp_path / "out") == []


def test_camera_is_stopped_by_an_interruption_and_kept(run, clip, tmp_path, monkeypatch):
    real, call, count = FrameReader, Predictor.predict, iter(range(10))
    monkeypatch.setattr(
        parsenet.inference.frames, "FrameReader", lambda path, *rest: real(clip[0].path, *rest)
    )

    def predict(self, *arguments, **options):
        if next(count) == 3:
            raise KeyboardInterrupt
        return call(self, *arguments, **options)

    monkeypatch.setattr(Predictor, "predict", predict)

    run([Source("camera:0", "camera0", "camera")])

    assert listed(tmp_path / "out") == ["video/camera0.mp4"]
    assert len(list(FrameReader(tmp_path / "out" / "video" / "camera0.mp4"))) >= 3


def test_all_frames_of_an_animation_are_labelled(run, tmp_path):
    frames = [Image.fromarray(np.full((6, 9, 3), 60 * index, np.uint8)) for index in range(4)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])

    run(find_images([tmp_path / "a.gif"]).found, ("label", "areas"), frames="all")

    assert [x for x in listed(tmp_path / "out") if x.endswith("png")] == [
        f"a/{index:06d}.png" for index in range(1, 5)
    ]
    records = json.loads((tmp_path / "out" / "areas.json").read_text())
    assert [record["classes"][0]["index"] for record in records] == [0, 1, 2, 3]


def test_animation_that_breaks_off_keeps_its_first_frames(run, tmp_path):
    rng = np.random.default_rng(0)
    noise = [Image.fromarray(rng.integers(0, 256, (60, 90, 3), dtype=np.uint8)) for _ in range(4)]
    noise[0].save(tmp_path / "a.tif", save_all=True, append_images=noise[1:])
    content = bytearray((tmp_path / "a.tif").read_bytes())
    (tmp_path / "a.tif").write_bytes(content[: len(content) * 6 // 10])

    report = run(find_images([tmp_path / "a.tif"]).found, ("label",), frames="all")

    assert len(report.failed) == 1
