"""The page over plain HTTP: what it answers, and what it refuses."""

import io
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import requests
import torch
from PIL import Image

from parsenet import cli, serve
from parsenet.config import NetworkConfig
from parsenet.errors import ConfigError
from parsenet.inference.predictor import Predictor
from parsenet.models.build import build_model
from parsenet.serve import ServeOptions
from parsenet.taxonomy import PASCAL_CONTEXT459
from tests.fakes.server import fake_server

KINDS = "PNG, JPEG, WEBP, GIF, BMP, TIFF, PPM, AVIF"


def fetch(address):
    return Image.open(io.BytesIO(requests.get(address, timeout=60).content))


def encoded(kind="PNG", size=(20, 10), cut=None):
    buffer = io.BytesIO()
    Image.new("RGB", size, "red").save(buffer, kind)
    return buffer.getvalue()[:cut]


def test_answer_holds_overlays_with_areas_and_masks(site, segment, predictors, image):
    results = segment(site, image, opacity=0.25)

    views, masks = results[:2], results[2:4]
    for view, mask, predictor in zip(views, masks, predictors, strict=True):
        label, taxonomy = predictor(image), predictor.taxonomy
        with fetch(mask["url"]) as found:
            np.testing.assert_array_equal(np.array(found), label)
            assert found.getpalette()[3:6] == list(taxonomy.palette[1])
        for section in view["value"]["annotations"]:
            name, share = section["label"].split(" ", 1)
            index = taxonomy.names.index(name)
            real = np.mean(label == index)
            assert share == (f"{real:.1%}" if real >= 0.001 else "< 0.1%")
            with fetch(section["image"]["url"]) as shown:
                alpha = np.array(shown)[..., 3]
            strength = 63 if any(taxonomy.palette[index]) else 0
            np.testing.assert_array_equal(alpha, strength * (label == index))
            colour = view["color_map"][section["label"]]
            assert colour == "#{:02x}{:02x}{:02x}".format(*taxonomy.palette[index])


def test_large_image_is_shown_small_and_its_mask_is_whole(site, segment, tmp_path):
    path = tmp_path / "wide.png"
    path.write_bytes(encoded(size=(3000, 20)))

    view, _, mask, *_ = segment(site, path)

    with fetch(view["value"]["image"]["url"]) as shown, fetch(mask["url"]) as found:
        assert (shown.size, found.size) == ((1000, 7), (3000, 20))


def test_mask_of_459_classes_has_16_bits(start, segment, image):
    taxonomy = PASCAL_CONTEXT459
    config = NetworkConfig(trunk="tiny", features=("fc7", "conv3"))
    torch.manual_seed(0)
    predictor = Predictor(build_model(config, taxonomy.num_classes), taxonomy, "cpu", "32-true")

    results = segment(start([predictor]), image)

    with fetch(results[1]["url"]) as found:
        assert found.mode.startswith("I")
        np.testing.assert_array_equal(np.array(found), predictor(image))


NO_IMAGE = f"The upload must be an image ({KINDS}), got something else."
UPLOADS = {
    "empty": (b"", NO_IMAGE),
    "text": (b"hello", NO_IMAGE),
    "EPS": (encoded("EPS"), NO_IMAGE),
    "half a header": (encoded(cut=20), NO_IMAGE),
    "truncated": (encoded(cut=-30), "'x.png' must be a whole image, got '"),
    "too many pixels": (encoded(size=(1001, 1000)), "The image must have at most 1 million pixels, "
                        "got 1001 x 1000. Make it smaller, or start the page with a larger "
                        "`--megapixels`."),
}  # fmt: skip


@pytest.mark.parametrize("case", UPLOADS)
def test_upload_that_cannot_be_right_is_one_sentence(site, segment, tmp_path, case):
    data, sentence = UPLOADS[case]
    (tmp_path / "x.png").write_bytes(data)

    assert segment(site, tmp_path / "x.png").startswith(sentence)


def test_nothing_uploaded_is_one_sentence(site, segment):
    assert segment(site, None) == NO_IMAGE


def test_memory_that_is_not_there_is_one_sentence(start, segment, predictors, image, monkeypatch):
    def fail(self, image):
        raise RuntimeError("CUDA out of memory. Tried to allocate")

    monkeypatch.setattr(Predictor, "__call__", fail)

    assert segment(start(predictors[:1]), image) == (
        "The image must fit into memory, got one that does not. Make it smaller."
    )


@pytest.mark.parametrize("is_chunked", [False, True])
def test_upload_beyond_the_limit_is_refused(site, is_chunked):
    body = b"x" * (2**20 + 2**17)

    reply = requests.post(
        f"{site}/gradio_api/upload", data=iter([body]) if is_chunked else body, timeout=60
    )

    assert (reply.status_code, reply.text) == (
        413, "The request must have a known size of at most 1114112 bytes.",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Host": "127.0.0.1.evil.example:8000"}, 421),
        ({"Host": ""}, 421),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Host": "localhost"}, 200),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
    ],
)
def test_requests_of_other_sites_are_refused(site, headers, status):
    reply = requests.get(f"{site}/config", headers=headers, timeout=60)

    assert reply.status_code == status
    assert reply.headers["Content-Security-Policy"].startswith("default-src 'self' ")


def test_no_path_leads_to_a_file_that_nobody_uploaded(site, segment, image):
    meta = {"meta": {"_type": "gradio.FileData"}}
    for path in (image, os.path.relpath(image), "/etc/passwd", "../../etc/passwd"):
        told = segment(site, {"path": str(path), **meta})
        assert "because it was not uploaded by a user" in told
        assert isinstance(segment(site, None, opacity={"path": str(path), **meta}), str)
    for path in (
        f"gradio_api/file={image}", "gradio_api/file=/etc/passwd", f"file={image}",
        "static/..%2f..%2f..%2f..%2f..%2fetc/passwd", "assets/..%2f..%2f..%2f..%2fetc/passwd",
    ):  # fmt: skip
        assert requests.get(f"{site}/{path}", timeout=60).status_code in (403, 404)


def test_no_address_is_fetched(site, segment, image):
    with fake_server() as other:
        url = other.serve("a.png", image.read_bytes())
        payload = {"path": url, "meta": {"_type": "gradio.FileData"}}

        told = segment(site, payload)
        assert told == "The image must be uploaded, got an address. Download it first."
        assert isinstance(segment(site, {**payload, "path": "a", "url": url}), str)
        assert isinstance(segment(site, None, opacity=payload), str)
        requests.get(f"{site}/gradio_api/proxy={url}", timeout=60)
        assert other.requests == []


def test_half_sent_requests_do_not_hold_the_server(start, predictors, monkeypatch, segment, image):
    monkeypatch.setattr(serve, "PATIENCE", 0.2)
    site = start(predictors[:1])
    address = "127.0.0.1", int(site.rpartition(":")[2])
    starts = (b"", b"GET / HTTP/1.1\r\nHost: local", b"POST /gradio_api/upload HTTP/1.1\r\n"
              b"Host: localhost\r\nContent-Length: 9000\r\n\r\nx")  # fmt: skip
    held = [socket.create_connection(address, timeout=20) for _ in range(90)]
    for number, connection in enumerate(held):
        connection.sendall(starts[number % 3])

    assert len(segment(site, image)) == 3
    for connection in held:
        with connection:
            while connection.recv(4096):  # to its end, which the server makes
                pass


def test_one_image_is_labelled_at_a_time(start, predictors, segment, image, monkeypatch):
    label, running, seen = predictors[0](image), [], []

    def work(self, image):
        running.append(1)
        seen.append(len(running))
        time.sleep(0.1)
        running.pop()
        return label

    monkeypatch.setattr(Predictor, "__call__", work)
    site = start(predictors[:1])
    threads = [threading.Thread(target=segment, args=(site, image)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert seen == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a", "b", "c"], "`checkpoint` must be one or two files, got 3. The page shows two side "
         "by side."),
        (["--port", "70000"], "`port` must be in 0..65535, got 70000."),
        (["--megabytes", "0"], "`megabytes` must be in 1..1024, got 0."),
        (["--megapixels", "500"], "`megapixels` must be in 1..178, got 500."),
    ],
)  # fmt: skip
def test_wrong_option_is_refused(capsys, words, message):
    assert cli.main(["serve", *words]) == 2
    assert capsys.readouterr().err == f"error: {message}\n"


def test_port_that_is_taken_is_refused():
    with serve._bind(0) as listener:
        port = listener.getsockname()[1]
        assert listener.getsockname()[0] == "127.0.0.1"
        with pytest.raises(ConfigError, match=rf"^`port` must be free and allowed, got {port} \("):
            serve._bind(port)


def test_page_without_gradio_names_the_extra(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    monkeypatch.setattr(os, "environ", dict(os.environ))

    assert cli.main(["serve", "--port", "0"]) == 2
    assert capsys.readouterr().err == (
        "error: `parsenet serve` needs 'gradio', which is not installed. Run `pip install "
        "'parsenet[serve]'`.\n"
    )


@pytest.mark.slow
def test_command_serves_until_it_is_interrupted_and_leaves_nothing(checkpoints, tmp_path, image):
    command = [sys.executable, "-m", "parsenet", "serve", str(checkpoints[0]), "--port", "0"]
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        line = process.stdout.readline()
        site = re.search(r"http://127\.0\.0\.1:\d+", line)[0]
        files = {"files": image.read_bytes()}
        assert requests.post(f"{site}/gradio_api/upload", files=files, timeout=60).ok
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)

    assert (process.returncode, out) == (0, "Ended.\n")
    assert line == f"Open {site}/ in a browser. Ctrl-C ends.\n"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("parsenet-")] == []


def test_defaults_are_those_of_the_docs():
    assert ServeOptions() == ServeOptions((), 8000, False, 32, 50, 2.0, "auto", "auto")
