"""The command as it is typed: a process of its own, an address to open, Ctrl-C."""

import os
import re
import signal
import subprocess
import sys
import urllib.request

import pytest

from parsenet.cli import main


def refused(capsys, *words):
    """Run the command, which must be refused; return its one line."""
    assert main(["serve", *map(str, words)]) == 2

    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    return lines[0].removeprefix("error: ")


def test_three_checkpoints_are_refused(capsys):
    assert refused(capsys, "a.ckpt", "b.ckpt", "c.ckpt") == (
        "`checkpoint` must be one or two files, got 3. The page shows two side by side."
    )


def test_missing_library_is_named_with_what_to_install(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    monkeypatch.delitem(sys.modules, "parsenet.serve.server", raising=False)

    assert refused(capsys, "a.ckpt") == (
        "`parsenet serve` needs 'uvicorn', which is not installed. "
        "Run `pip install 'parsenet[serve]'`."
    )


def test_limit_that_makes_no_sense_is_refused(capsys):
    assert refused(capsys, "--megapixels", 0) == "`megapixels` must be in 1..178, got 0."


def test_taken_port_is_refused_before_the_network_is_loaded(capsys, tmp_path):
    from parsenet.serve.server import bind

    with bind("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]

        message = refused(capsys, tmp_path / "missing.ckpt", "--port", port)

    assert message.startswith(f"`port` must be free and allowed, got {port} (")


def start(*words):
    """Start the command; return the process and the lines it prints until it listens."""
    process = subprocess.Popen(
        [sys.executable, "-m", "parsenet", "serve", *map(str, words), "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    lines = []
    for line in process.stdout:
        lines.append(line.rstrip("\n"))
        if line.startswith("Open "):
            break
    return process, lines


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C is sent as a POSIX signal")
def test_command_serves_until_ctrl_c(checkpoints):
    process, lines = start(*checkpoints)
    address = re.match(r"Open (http://127\.0\.0\.1:\d+/) ", lines[-1])[1]

    with urllib.request.urlopen(f"{address}healthz") as response:
        health = response.read()
    process.send_signal(signal.SIGINT)
    rest, errors = process.communicate(timeout=60)

    assert lines[:-1] == [
        "Model: context.safetensors (global context on, L2Norm on, late fusion of pool6 + fc7 + "
        "conv3, tiny).",
        "Model: local.safetensors (global context off, L2Norm off, late fusion of fc7 + conv3, "
        "tiny).",
    ]
    assert health.startswith(b'{"status":"ok"')
    assert (process.returncode, rest, errors) == (0, "Ended.\n", "")


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C is sent as a POSIX signal")
def test_server_open_to_a_network_warns(checkpoints):
    process, lines = start(checkpoints[0], "--host", "0.0.0.0")
    with urllib.request.urlopen(f"{lines[-1].split()[1]}healthz"):
        pass  # it runs

    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)

    assert lines[-1].startswith("Open http://127.0.0.1:")
    assert errors == (
        "warning: `--host 0.0.0.0` lets everybody who reaches this machine send images; there is "
        "no password and no encryption.\n"
    )
