import pytest

from parsenet.serve.limits import Limits
from tests.fakes.uploads import image_bytes

TOO_LARGE = (
    "The upload must have at most 1 MiB, got more. Make it smaller, or start the server with a "
    "larger `--megabytes`."
)
MEBIBYTE = 2**20


@pytest.fixture
def small(make_client):
    """A client of a server that takes one mebibyte."""
    return make_client(Limits(megabytes=1))


def chunks(total, size=50_000):
    """Yield bytes without saying how many: sent chunked, without Content-Length."""
    while total:
        yield bytes(min(size, total))
        total -= min(size, total)


@pytest.mark.parametrize(
    "kind", ["image/png", "image/anything", "application/octet-stream", "", "IMAGE/PNG; q=1"]
)
def test_bytes_of_a_image_are_read(kind, client):
    response = client.post("/api/segment", content=image_bytes(), headers={"Content-Type": kind})

    assert response.status_code == 200


def test_file_of_a_form_is_read(client):
    raw = client.post("/api/segment?format=mask", content=image_bytes())

    response = client.post("/api/segment?format=mask", files={"image": image_bytes()})

    assert response.content == raw.content


def test_words_beside_the_file_of_a_form_are_passed_over(client):
    response = client.post(
        "/api/segment", files={"any": ("../../x", image_bytes())}, data={"word": "value"}
    )

    assert response.status_code == 200


def test_large_form_touches_no_disk(client, monkeypatch):
    def fail(*args, **kwargs):
        raise AssertionError("a temporary file")

    monkeypatch.setattr("tempfile.SpooledTemporaryFile.rollover", fail)

    response = client.post("/api/segment", files={"image": bytes(3 * MEBIBYTE)})

    assert response.status_code == 415  # no image; but read


@pytest.mark.parametrize("kind", ["application/json", "text/html", "video/mp4", "x"])
def test_other_content_types_are_refused(kind, client):
    response = client.post("/api/segment", content=b"{}", headers={"Content-Type": kind})

    assert (response.status_code, response.json()) == (
        415,
        {
            "error": "The content type must be an image's or multipart/form-data, got "
            f"'{kind}'. Send the image's bytes with `Content-Type: image/jpeg`."
        },
    )


@pytest.mark.parametrize(
    "content", [bytes(MEBIBYTE + 1), chunks(MEBIBYTE + 1)], ids=["length", "chunked"]
)
def test_upload_above_the_limit_is_refused(content, small):
    response = small.post("/api/segment", content=content)

    assert (response.status_code, response.json()) == (413, {"error": TOO_LARGE})


def test_upload_at_the_limit_is_read(small):
    padded = image_bytes() + bytes(MEBIBYTE)

    assert small.post("/api/segment", content=padded[:MEBIBYTE]).status_code == 200


def test_endless_upload_is_cut_off(small):
    taken = 0

    def endless():
        nonlocal taken
        while taken < 100 * MEBIBYTE:
            taken += 50_000
            yield bytes(50_000)

    assert small.post("/api/segment", content=endless()).status_code == 413


@pytest.mark.parametrize("size", [MEBIBYTE + 1, 2 * MEBIBYTE])
def test_form_with_a_file_above_the_limit_is_refused(size, small):
    response = small.post("/api/segment", files={"image": bytes(size)})

    assert (response.status_code, response.json()) == (413, {"error": TOO_LARGE})


@pytest.mark.parametrize(
    ("kind", "content", "sentence"),
    [
        (
            "multipart/form-data",
            b"x",
            "The form must be valid multipart data, got: Missing boundary in multipart.",
        ),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\nword\r\n--b--\r\n',
            "The form must hold a file, got none. With curl use `-F image=@photo.jpg`.",
        ),
        (
            "multipart/form-data; boundary=b",
            b"--b\r\nContent-Type: image/png\r\n\r\nx\r\n--b--\r\n",
            "The form must be valid multipart data, got: The Content-Disposition header field "
            '"name" must be provided.',
        ),
    ],
)
def test_broken_form_is_refused(kind, content, sentence, client):
    response = client.post("/api/segment", content=content, headers={"Content-Type": kind})

    assert (response.status_code, response.json()) == (400, {"error": sentence})


def test_two_files_in_a_form_are_refused(client):
    response = client.post("/api/segment", files=[("a", image_bytes()), ("b", image_bytes())])

    assert response.status_code == 400
    assert "Too many files" in response.json()["error"]
