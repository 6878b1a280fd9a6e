import asyncio
import io
import threading

import jsonschema
import numpy as np
import pytest
from openapi_spec_validator import validate
from PIL import Image
from starlette.routing import Route

import parsenet
from parsenet.serve.limits import Limits
from tests.fakes.uploads import image_bytes


@pytest.fixture
def document(client):
    return client.get("/openapi.json").json()


def check(answer, name, document):
    """Check an answer against a schema of the document."""
    schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
    jsonschema.Draft202012Validator(schema).validate(answer)


def test_document_is_valid_openapi(document):
    validate(document)


def test_document_lists_every_endpoint_and_no_other(document, client):
    served = {
        (route.path, method.lower())
        for route in client.app.app.routes
        if isinstance(route, Route)
        for method in route.methods
        if route.path.startswith(("/api", "/healthz")) and method != "HEAD"
    }

    listed = {(path, verb) for path, verbs in document["paths"].items() for verb in verbs}

    assert listed == served


def test_answers_are_as_documented(document, client):
    check(client.get("/healthz").json(), "Health", document)
    check(client.get("/api/models").json(), "Served", document)
    for query in ("", "?uncertainty=true&image=true"):
        answer = client.post(f"/api/segment{query}", content=image_bytes()).json()
        check(answer, "Labels", document)
    check(client.post("/api/segment", content=b"").json(), "Error", document)


def test_every_status_that_a_image_can_cause_is_documented(document, client):
    listed = set(document["paths"]["/api/segment"]["post"]["responses"])

    assert {str(status) for status in (200, 400, 403, 404, 408, 413, 415, 421, 503, 504)} <= listed


def test_health_tells_the_version(client):
    assert client.get("/healthz").json() == {"status": "ok", "version": parsenet.__version__}


def test_limits_are_told_to_the_page(make_client):
    limits = make_client(Limits(megabytes=2, megapixels=3)).get("/api/models").json()["limits"]

    assert (limits["bytes"], limits["pixels"]) == (2 * 2**20, 3_000_000)


def test_mask_is_a_palette_png_as_large_as_the_image(client):
    response = client.post("/api/segment?format=mask", content=image_bytes(size=(7, 12)))

    assert response.headers["content-type"] == "image/png"
    with Image.open(io.BytesIO(response.content)) as mask:
        assert (mask.mode, mask.size) == ("P", (12, 7))


def test_overlay_is_a_jpeg(client):
    response = client.post("/api/segment?format=overlay", content=image_bytes())

    assert response.headers["content-type"] == "image/jpeg"


@pytest.mark.parametrize("word", ["1", "local.safetensors"])
def test_model_is_chosen_by_index_or_name(word, client):
    answer = client.post(f"/api/segment?model={word}", content=image_bytes()).json()

    assert answer["model"] == {"index": 1, "name": "local.safetensors"}


@pytest.mark.parametrize(
    ("query", "status", "sentence"),
    [
        (
            "model=2",
            404,
            "`model` must be one of 0 (context.safetensors), 1 (local.safetensors), got '2'.",
        ),
        ("format=gif", 400, "`format` must be one of json, mask, overlay, got 'gif'."),
        ("uncertainty=perhaps", 400, "`uncertainty` must be true or false, got 'perhaps'."),
        (
            "uncertainly=true",
            400,
            "The query must use `format`, `image`, `model`, `uncertainty`, got 'uncertainly'.",
        ),
    ],
)
def test_query_that_is_not_understood_is_refused(query, status, sentence, client):
    response = client.post(f"/api/segment?{query}", content=image_bytes())

    assert (response.status_code, response.json()) == (status, {"error": sentence})


def test_wrong_method_is_refused(client):
    response = client.get("/api/segment")

    assert (response.status_code, response.json()) == (
        405,
        {"error": "The method must be one that /docs lists for this address, got GET."},
    )


def test_bug_is_a_sentence_without_traceback_and_the_server_goes_on(client, models, monkeypatch):
    def fail(*args, **kwargs):
        raise ZeroDivisionError("in some line")

    with monkeypatch.context() as patch:
        patch.setattr(models[0].predictor, "predict", fail)
        response = client.post("/api/segment", content=image_bytes())

    assert (response.status_code, response.json()) == (
        500,
        {"error": "The server failed with ZeroDivisionError. Its log says more."},
    )
    assert client.post("/api/segment", content=image_bytes()).status_code == 200


def test_bug_is_answered_under_the_same_policy(client, models, monkeypatch):
    monkeypatch.setattr(models[0].predictor, "predict", None)

    response = client.post("/api/segment", content=image_bytes())

    assert response.status_code == 500
    assert "content-security-policy" in response.headers


def test_requests_at_the_same_time_get_their_own_labels(client):
    images = [image_bytes(size=(9 + i, 30), seed=i) for i in range(4)]
    expected = [client.post("/api/segment", content=data).json()["label"] for data in images]
    answers = [""] * 4

    def ask(index):
        answers[index] = client.post("/api/segment", content=images[index]).json()["label"]

    threads = [threading.Thread(target=ask, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert answers == expected


def test_queue_that_is_full_answers_503_at_once(make_client, models, monkeypatch):
    client = make_client(Limits(queue=0))
    entered, release = threading.Event(), threading.Event()
    predict = models[0].predictor.predict

    def slow(*args, **kwargs):
        entered.set()
        assert release.wait(20)
        return predict(*args, **kwargs)

    monkeypatch.setattr(models[0].predictor, "predict", slow)
    statuses = []
    first = threading.Thread(
        target=lambda: statuses.append(
            client.post("/api/segment", content=image_bytes()).status_code
        )
    )
    first.start()
    assert entered.wait(20)

    second = client.post("/api/segment", content=image_bytes())

    release.set()
    first.join()
    assert (second.status_code, second.headers["retry-after"], statuses) == (503, "2", [200])


def test_upload_that_takes_too_long_is_refused(make_client):
    client = make_client(Limits(upload_seconds=0.05))
    sent = []

    # By hand: the test client gathers a body before it sends it.
    async def receive():
        await asyncio.sleep(20)

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/api/segment",
        "raw_path": b"/api/segment",
        "query_string": b"",
        "headers": [(b"host", b"localhost")],
    }
    client.portal.call(client.app, scope, receive, send)

    assert sent[0]["status"] == 408
    assert sent[1]["body"] == (
        b'{"error":"The upload must take at most 0.05 seconds, got no end in that time. Send a '
        b'smaller file."}'
    )


def test_labels_of_the_endpoint_are_those_of_the_command(client, models):
    pixels = np.random.default_rng(3).integers(0, 256, (13, 17, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")

    response = client.post("/api/segment?format=mask", content=buffer.getvalue())

    with Image.open(io.BytesIO(response.content)) as mask:
        np.testing.assert_array_equal(np.array(mask), models[0].predictor(pixels))
