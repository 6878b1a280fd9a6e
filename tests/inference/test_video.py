import builtins
import re

import cv2
import numpy as np
import pytest

from parsenet.errors import ConfigError, ImageError
from parsenet.inference.video import FrameReader, VideoWriter
from tests.fakes.video import GREYS, write_video


def greys(frames):
    """The mean grey value of each frame, which survives the codec."""
    return [round(float(frame.mean())) for frame in frames]


def near(values, expected):
    return len(values) == len(expected) and max(np.abs(np.subtract(values, expected))) <= 4


@pytest.mark.parametrize(
    ("options", "count", "expected"),
    [({}, len(GREYS), GREYS), ({"every": 3}, 3, GREYS[::3]), ({"limit": 2}, 2, GREYS[:2])],
)
def test_frames_come_in_order(tmp_path, options, count, expected):
    reader = FrameReader(write_video(tmp_path / "a.mp4", rate=12), **options)

    assert (reader.count, reader.rate) == (count, 12 / options.get("every", 1))
    assert near(greys(reader), expected)


def test_file_that_is_no_video_is_named(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"no video")
    message = f"'{path}' must be a video that OpenCV can open. Convert it to MP4 (H.264)."

    with pytest.raises(ImageError, match=f"^{re.escape(message)}$"):
        FrameReader(path)


def test_missing_opencv_is_told(tmp_path, monkeypatch):
    real = builtins.__import__

    def fail(name, *arguments):
        if name == "cv2":
            raise ImportError(name)
        return real(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", fail)
    message = "Videos need OpenCV, which is not installed. Run `pip install 'parsenet[video]'`."

    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        FrameReader(tmp_path / "a.mp4")


def test_refusal_of_the_codec_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(cv2.VideoWriter, "isOpened", lambda self: False)
    path = tmp_path / "a.mp4"
    message = (
        f"OpenCV must be able to write '{path}', got a refusal. Save `overlay` and join the frames "
        "with ffmpeg."
    )

    with (
        VideoWriter(path, 10.0) as writer,
        pytest.raises(ConfigError, match=f"^{re.escape(message)}$"),
    ):
        writer.add(np.zeros((32, 48, 3), np.uint8))


def test_failed_video_leaves_nothing(tmp_path):
    def write():
        with VideoWriter(tmp_path / "a.mp4", 10.0) as writer:
            writer.add(np.zeros((32, 48, 3), np.uint8))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write()

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("given", "size"), [((33, 49), (32, 48)), ((1, 1), (2, 2)), ((40, 7680), (20, 3840))]
)
def test_sides_are_even_and_no_wider_than_players_can_show(tmp_path, given, size):
    with VideoWriter(tmp_path / "a.mp4", 10.0) as writer:
        writer.add(np.full((*given, 3), 100, np.uint8))

    assert next(iter(FrameReader(tmp_path / "a.mp4"))).shape[:2] == size
