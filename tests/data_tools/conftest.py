import hashlib

import pytest

from tests.fakes.server import fake_server


@pytest.fixture
def server(monkeypatch):
    """A server of one test; proxies of the machine are left out."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with fake_server() as fake:
        yield fake


@pytest.fixture
def publish(server):
    """Put archives up on the server; return the options with which a tool fetches them there."""

    def put_up(*paths):
        for path in paths:
            server.serve(path.name, path.read_bytes())
        hashes = [f"{path.name}={hashlib.sha256(path.read_bytes()).hexdigest()}" for path in paths]
        return ["--mirror", server.url, "--only-mirrors", "--sha256", ",".join(hashes)]

    return put_up
