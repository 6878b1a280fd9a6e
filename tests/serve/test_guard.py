import pytest

from parsenet.serve.guard import host_name

REBOUND = (
    "The host must be one of 127.0.0.1, ::1, localhost, got '{}'. Open the address that "
    "`parsenet serve` printed, or start it with `--host`."
)
FOREIGN = (
    "The request must come from this server's own page or from a program, got one from another "
    "web site."
)


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("localhost", "localhost"),
        ("LOCALHOST:8000", "localhost"),
        ("[::1]:8000", "::1"),
        ("127.0.0.1:x", "127.0.0.1"),
        ("", ""),
        ("[", ""),
        ("localhost@evil.example", "evil.example"),
    ],
)
def test_host_name_is_that_of_the_header(host, name):
    assert host_name(host) == name


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1:1", "[::1]:8000", "LocalHost"])
def test_names_of_this_machine_are_answered(host, client):
    assert client.get("/healthz", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "localhost.", "["])
def test_other_names_are_refused(host, client):
    response = client.get("/", headers={"Host": host})

    assert (response.status_code, response.json()) == (421, {"error": REBOUND.format(host)})


def test_open_to_a_network_every_name_is_answered(make_client):
    client = make_client(hosts=None)

    assert client.get("/healthz", headers={"Host": "machine.example"}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:8001"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
    ids=str,
)
def test_other_web_sites_cannot_ask(headers, client):
    response = client.post("/api/segment", content=b"x", headers=headers)

    assert (response.status_code, response.json()) == (403, {"error": FOREIGN})


@pytest.mark.parametrize(
    "headers",
    [{}, {"Origin": "http://127.0.0.1:8000"}, {"Sec-Fetch-Site": "same-origin"}],
    ids=str,
)
def test_own_page_and_programs_can_ask(headers, client):
    # The upload is no image, which is found out later.
    assert client.post("/api/segment", content=b"x", headers=headers).status_code == 415


def test_other_web_sites_are_given_no_permission(client):
    response = client.options(
        "/api/segment",
        headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"},
    )

    assert response.status_code == 403
    assert not [name for name in response.headers if name.startswith("access-control")]


@pytest.mark.parametrize("path", ["/", "/docs", "/static/page.js", "/healthz", "/nowhere"])
def test_every_answer_forbids_foreign_content(path, client):
    headers = client.get(path).headers

    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


def test_answers_are_not_kept(client):
    assert client.get("/api/models").headers["cache-control"] == "no-store"
