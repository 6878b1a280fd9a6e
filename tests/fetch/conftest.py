import pytest

from tests.fakes.server import fake_server


@pytest.fixture
def server(monkeypatch):
    """A server of one test; proxies of the machine are left out."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with fake_server() as fake:
        yield fake
