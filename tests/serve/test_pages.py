import re
from importlib.resources import files

import pytest

from parsenet.serve.pages import openapi_document, page_routes

STATIC = files("parsenet.serve") / "static"
NAMES = sorted(path.name for path in STATIC.iterdir())


def test_every_file_of_the_page_is_served_except_the_document(client):
    bodies = [client.get(route.path).content for route in page_routes()]

    unserved = [name for name in NAMES if (STATIC / name).read_bytes() not in bodies]

    assert unserved == ["openapi.json"]


@pytest.mark.parametrize("name", NAMES)
def test_file_names_no_other_server(name):
    text = (STATIC / name).read_text(encoding="utf-8")

    addresses = re.findall(r"(?:https?:)?//[\w.-]+\.\w+", text)

    assert [found for found in addresses if "www.w3.org" not in found] == []


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith(".html")])
def test_html_holds_no_script_and_no_style_of_its_own(name):
    # The content security policy would drop them without a word.
    text = (STATIC / name).read_text(encoding="utf-8")

    assert re.findall(r"<style|style=|\son\w+=|<script(?![^>]*src=)", text) == []


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith((".html", ".js"))])
def test_parts_that_a_file_names_are_served(name, client):
    text = (STATIC / name).read_text(encoding="utf-8")

    for path in re.findall(r"[\"'](/static/[\w.]+|/docs|/openapi\.json)[\"']", text):
        assert client.get(path).status_code == 200, path


def test_page_that_has_not_changed_is_not_sent_again(client):
    first = client.get("/static/page.js")

    again = client.get("/static/page.js", headers={"If-None-Match": first.headers["etag"]})

    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    "path",
    [
        "/static/",
        "/static/../app.py",
        "/static/..%2fapp.py",
        "/static/%2e%2e/app.py",
        "/static//etc/passwd",
        "/%2fetc/passwd",
        "/docs/",
        "/static/openapi.json",
    ],
)
def test_other_paths_lead_nowhere(path, client):
    response = client.get(path)

    assert (response.status_code, response.json()) == (
        404,
        {"error": "The address must be one that /docs lists, got another."},
    )


def test_document_carries_the_version():
    assert openapi_document("1.2.3")["info"]["version"] == "1.2.3"
