import io
import re
import threading

import numpy as np
import pytest
from PIL import Image

import parsenet.inference.frames
from parsenet.errors import ConfigError
from parsenet.inference.budget import PixelBudget
from parsenet.inference.frames import ReadConfig, open_stream, read_ahead
from parsenet.inference.sources import Source, find_images
from tests.fakes.images import gradient, write_truncated
from tests.fakes.video import GREYS, write_video
from tests.fakes.web import serving


@pytest.fixture
def images(write_image):
    """Twenty images of different sizes, as sources."""
    paths = [write_image(f"{index}.png", (3 + index, 5), index) for index in range(20)]
    return find_images(paths).found


def read(sources, **options):
    return list(read_ahead(sources, ReadConfig(**options)))


def write_animation(path, count=3):
    frames = [Image.fromarray(np.full((6, 9, 3), 60 * index, np.uint8)) for index in range(count)]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    return find_images([path]).found[0]


def test_images_come_in_their_order(images):
    frames = read(images, threads=3)

    assert [(frame.source, len(frame.image)) for frame in frames] == [
        (source, 3 + index) for index, source in enumerate(images)
    ]


def test_unreadable_image_is_a_frame_with_a_reason(tmp_path, images):
    path = tmp_path / "bad.png"
    write_truncated(path, gradient())

    frames = read([*images[:2], Source(path, "bad"), *images[2:4]])

    assert [frame.error is None for frame in frames] == [True, True, False, True, True]
    assert frames[2].error.startswith(f"'{path}' must be a whole image")


def test_decoder_that_fails_in_its_own_way_is_a_frame_with_a_reason(images, monkeypatch):
    def fail(*arguments):
        raise MemoryError("too large")

    monkeypatch.setattr(parsenet.inference.frames, "read_frames", fail)

    path = images[0].path
    assert read(images[:1])[0].error == f"'{path}' failed with MemoryError: too large"


def test_tight_budget_lets_every_image_through(images, monkeypatch):
    monkeypatch.setattr(parsenet.inference.frames, "AHEAD_PIXELS", 20)

    assert len(read(images, threads=4)) == 20


def test_waiting_images_hold_no_more_than_the_budget(images, monkeypatch):
    monkeypatch.setattr(parsenet.inference.frames, "AHEAD_PIXELS", 60)
    real, live, most = parsenet.inference.frames.read_frames, [0], [0]

    def count(*arguments):
        for image in real(*arguments):
            live[0] += image.shape[0] * image.shape[1]
            most[0] = max(most[0], live[0])
            yield image

    monkeypatch.setattr(parsenet.inference.frames, "read_frames", count)
    for frame in read_ahead(images[:10], ReadConfig(threads=4)):
        threading.Event().wait(0.01)  # lets the threads run ahead as far as they may
        live[0] -= frame.pixels

    # The image that was just handed over has given its place back already.
    assert most[0] <= 60 + 12 * 5


def test_stopping_early_ends_the_threads(images):
    frames = read_ahead(images, ReadConfig())
    next(frames)

    frames.close()

    assert not [thread for thread in threading.enumerate() if "decode" in thread.name]


def test_standard_input_is_a_image(monkeypatch):
    content = io.BytesIO()
    Image.fromarray(gradient()).save(content, "PNG")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content.getvalue())))

    frame = read([Source("-", "stdin", "stdin")])[0]

    np.testing.assert_array_equal(frame.image, gradient())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "`-` must get an image on standard input, got nothing. Pipe one in."),
        (b"x" * 50, "`-` must get at most 49 bytes, got more. Give the file instead."),
        (
            b"x" * 49,
            "'-' must be an image, got a file that Pillow does not know. Convert it to PNG or "
            "JPEG.",
        ),
    ],
)
def test_standard_input_that_is_no_image_is_told(monkeypatch, content, message):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))

    assert read([Source("-", "stdin", "stdin")], max_bytes=49)[0].error == message


def test_address_gives_its_image():
    def answer(request):
        content = io.BytesIO()
        Image.fromarray(gradient()).save(content, "PNG")
        request.send_response(200)
        request.end_headers()
        request.wfile.write(content.getvalue())

    with serving(answer) as address:
        frame = read([Source(f"{address}/a.png", "a", "address")])[0]

    np.testing.assert_array_equal(frame.image, gradient())


def test_address_that_gives_a_page_is_told():
    def answer(request):
        request.send_response(200)
        request.end_headers()
        request.wfile.write(b"<html>")

    with serving(answer) as address:
        frame = read([Source(address, "a", "address")])[0]

    assert frame.error == (
        f"'{address}' must be an image, got a file that Pillow does not know. Convert it to PNG "
        "or JPEG."
    )


@pytest.mark.parametrize("suffix", [".gif", ".png", ".webp", ".tif"])
def test_all_frames_of_an_animation(tmp_path, suffix):
    source = write_animation(tmp_path / f"a{suffix}")

    frames = list(open_stream(source, ReadConfig(frames="all")).frames)

    assert [frame.name for frame in frames] == ["a/000001", "a/000002", "a/000003"]
    assert [round(frame.image.mean()) // 30 for frame in frames] == [0, 2, 4]


def test_first_frame_of_an_animation_is_the_default(tmp_path):
    assert len(read([write_animation(tmp_path / "a.gif")])) == 1


def test_first_frames_of_an_animation(tmp_path):
    source = write_animation(tmp_path / "a.gif", 5)

    frames = list(open_stream(source, ReadConfig(frames="all", max_frames=3)).frames)

    assert len(frames) == 3


def test_image_with_one_frame_keeps_its_name(write_image):
    source = find_images([write_image("a.png")]).found[0]

    assert [x.name for x in open_stream(source, ReadConfig(frames="all")).frames] == ["a"]


def test_frames_of_a_video_are_numbered(tmp_path):
    source = find_images([write_video(tmp_path / "a.mp4")]).found[0]

    stream = open_stream(source, ReadConfig())

    assert [x.name for x in stream.frames] == [f"a/{i:06d}" for i in range(1, len(GREYS) + 1)]


def test_stream_that_is_left_early_is_closed(tmp_path):
    stream = open_stream(find_images([write_video(tmp_path / "a.mp4")]).found[0], ReadConfig())
    next(stream.frames)

    stream.frames.close()

    assert not [thread for thread in threading.enumerate() if "decode" in thread.name]


@pytest.mark.parametrize("name", ["every", "max_pixels", "max_bytes", "threads"])
def test_option_below_one_is_refused(name):
    with pytest.raises(ConfigError, match=f"^`{name}` must be at least 1, got 0.$"):
        ReadConfig(**{name: 0})


def test_no_frames_are_refused():
    message = "`max_frames` must be at least 1, got 0. Leave it out for all."

    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        ReadConfig(max_frames=0)


def test_no_time_is_refused():
    message = "`timeout` must be positive, got 0.0. It is in seconds."

    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        ReadConfig(timeout=0.0)


def test_budget_lets_a_image_through_that_is_larger_than_itself():
    budget = PixelBudget(10)

    budget.take(1000)
    budget.give_back(1000)
    budget.take(1000)


def test_budget_makes_the_next_one_wait():
    budget = PixelBudget(10)
    budget.take(6)
    is_through = threading.Event()

    def take():
        budget.take(5)
        is_through.set()

    thread = threading.Thread(target=take)
    thread.start()
    assert not is_through.wait(0.05)
    budget.give_back(6)
    thread.join(5)

    assert is_through.is_set()


def test_budget_that_is_closed_holds_nobody_up():
    budget = PixelBudget(10)
    budget.take(10)
    budget.close()

    budget.take(10)
    budget.take_in_turn(7, 10)
