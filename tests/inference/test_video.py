import builtins
import re
import time

import cv2
import numpy as np
import pytest

from parsenet.errors import ConfigError, ImageError
from parsenet.inference.frames import Frame
from parsenet.inference.predictor import Prediction
from parsenet.inference.recorder import Recorder
from parsenet.inference.sources import Source
from parsenet.inference.video import FrameReader, VideoWriter
from parsenet.taxonomy import SHAPES
from tests.fakes.video import GREYS, write_video


def greys(frames):
    """The mean grey value of each frame, which survives the codec."""
    return [round(float(frame.mean())) for frame in frames]


def near(values, expected):
    return len(values) == len(expected) and max(np.abs(np.subtract(values, expected))) <= 4


def written(path):
    return greys(FrameReader(path))


def test_frames_come_in_order(tmp_path):
    reader = FrameReader(write_video(tmp_path / "a.mp4"))

    assert near(greys(reader), GREYS)


def test_frames_are_rgb(tmp_path):
    red = np.zeros((32, 48, 3), np.uint8)
    red[..., 0] = 250

    frame = next(iter(FrameReader(write_video(tmp_path / "a.mp4", [red]))))

    assert (frame[..., 0].mean() > 200, frame[..., 2].mean() < 50) == (True, True)


def test_count_and_rate_are_those_of_the_video(tmp_path):
    reader = FrameReader(write_video(tmp_path / "a.mp4", rate=10))

    assert (reader.count, reader.rate) == (len(GREYS), 10)


def test_every_third_frame(tmp_path):
    reader = FrameReader(write_video(tmp_path / "a.mp4", rate=12), every=3)

    assert (reader.count, reader.rate) == (3, 4)
    assert near(greys(reader), GREYS[::3])


def test_first_frames(tmp_path):
    reader = FrameReader(write_video(tmp_path / "a.mp4"), limit=2)

    assert reader.count == 2
    assert near(greys(reader), GREYS[:2])


def test_file_that_is_no_video_is_named(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"no video")
    message = f"'{path}' must be a video that OpenCV can open. Convert it to MP4 (H.264)."

    with pytest.raises(ImageError, match=f"^{re.escape(message)}$"):
        FrameReader(path)


def test_camera_that_is_not_there_is_named():
    message = "'camera:97' must be a video that OpenCV can open. Check the number."

    with pytest.raises(ImageError, match=f"^{re.escape(message)}$"):
        FrameReader("camera:97")


def test_missing_opencv_is_told(tmp_path, monkeypatch):
    real = builtins.__import__

    def fail(name, *arguments):
        if name == "cv2":
            raise ImportError(name)
        return real(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", fail)
    message = (
        "Videos and cameras need OpenCV, which is not installed. Run `pip install "
        "'parsenet[video]'`."
    )

    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        FrameReader(tmp_path / "a.mp4")


def test_video_is_written_as_it_was_given(tmp_path):
    with VideoWriter(tmp_path / "a.mp4", 10.0) as writer:
        for grey in GREYS:
            writer.add(np.full((32, 48, 3), grey, np.uint8))

    assert near(written(tmp_path / "a.mp4"), GREYS)


def test_failed_video_leaves_nothing(tmp_path):
    def write():
        with VideoWriter(tmp_path / "a.mp4", 10.0) as writer:
            writer.add(np.zeros((32, 48, 3), np.uint8))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write()

    assert list(tmp_path.iterdir()) == []


def test_video_without_frames_is_none(tmp_path):
    with VideoWriter(tmp_path / "a.mp4", 10.0):
        pass

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("given", "size"), [((33, 49), (32, 48)), ((1, 1), (2, 2))])
def test_odd_sides_are_made_even(tmp_path, given, size):
    with VideoWriter(tmp_path / "a.mp4", 10.0) as writer:
        writer.add(np.full((*given, 3), 100, np.uint8))

    assert next(iter(FrameReader(tmp_path / "a.mp4"))).shape[:2] == size


def test_wide_video_is_scaled_to_what_players_can_show(tmp_path):
    with VideoWriter(tmp_path / "a.mp4", 10.0) as writer:
        writer.add(np.full((40, 7680, 3), 100, np.uint8))

    assert next(iter(FrameReader(tmp_path / "a.mp4"))).shape[:2] == (20, 3840)


def record(path, count=3, **options):
    image = np.full((32, 48, 3), 120, np.uint8)
    prediction = Prediction(np.ones((32, 48), np.uint8))
    with Recorder(path, 10.0, SHAPES, **options) as recorder:
        for index in range(count):
            recorder.add(Frame(Source("a.mp4", "a", "video"), f"a/{index}", image), prediction)
            time.sleep(0.1 if options.get("is_live") else 0)


def test_recording_shows_frame_and_overlay_side_by_side(tmp_path):
    record(tmp_path / "video" / "a.mp4", opacity=1.0)

    frame = next(iter(FrameReader(tmp_path / "video" / "a.mp4")))
    left, right = frame[:, :40].mean((0, 1)), frame[:, 56:].mean((0, 1))
    assert np.abs(left - 120).max() < 8
    assert np.abs(right - SHAPES.palette[1]).max() < 25


def test_recording_of_a_camera_takes_as_long_as_it_took(tmp_path):
    record(tmp_path / "a.mp4", is_live=True, count=8)

    assert 6 <= len(written(tmp_path / "a.mp4")) <= 30  # at least 0.7 s at 10 frames per second


def test_recording_that_cannot_be_written_is_told(tmp_path, monkeypatch):
    def fail(self, image):
        raise ConfigError("no codec")

    monkeypatch.setattr(VideoWriter, "add", fail)

    with pytest.raises(ConfigError, match=r"^no codec$"):
        record(tmp_path / "a.mp4")

    assert list(tmp_path.iterdir()) == []


def test_opencv_has_the_codec():
    assert cv2.VideoWriter.fourcc(*"mp4v") == 0x7634706D
