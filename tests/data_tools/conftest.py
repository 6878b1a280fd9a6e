import hashlib

import pytest

from parsenet.cli import run_script
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
        return ["--mirror", server.url, "--sha256", ",".join(hashes)]

    return put_up


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


@pytest.fixture
def run(out, capsys):
    """Run a tool; return its exit code, its result, and the last it wrote to standard error."""

    def call(tool, words):
        name = tool.__name__.rpartition(".")[2]
        code = run_script(f"data_tools/{name}.py", tool.make, ["--out", str(out), *words])
        output = capsys.readouterr()
        return code, output.out.replace(str(out), "OUT"), output.err.replace(str(out), "OUT")

    return call
