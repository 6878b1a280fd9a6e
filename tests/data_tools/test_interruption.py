"""A tool that is killed anywhere leaves a folder that the next run completes."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from data_tools import sbd, voc
from parsenet.cli import run_script
from tests.fakes.archives import pack_tar, read_tree, sbd_files, voc_files

REPOSITORY = Path(__file__).parents[2]

# Runs a tool whose function stops for ever when it is called for the n-th time.
STOP = """
import importlib, sys, time
tool, place, count, *words = sys.argv[1:]
owner, name = place.split(":")
module, _, kind = owner.partition("/")
target = importlib.import_module(module)
target = getattr(target, kind) if kind else target
real, calls = getattr(target, name), []

def stop(*given, **named):
    calls.append(None)
    if len(calls) == int(count):
        print("stopped", flush=True)
        time.sleep(600)
    return real(*given, **named)

setattr(target, name, stop)
from parsenet.cli import run_script
sys.exit(run_script(tool, importlib.import_module(tool).make, words))
"""


def run_and_kill(tool, place, count, words):
    """Start a tool in a process of its own and kill it (SIGKILL) where it stops."""
    command = [sys.executable, "-c", STOP, tool, place, str(count), *words]
    with subprocess.Popen(
        command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        line = process.stdout.readline()
        process.kill()
        errors = process.stderr.read()
    assert line == "stopped\n", errors


def slow(*values):
    return pytest.param(*values, marks=pytest.mark.slow)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The archives, and what the tools make of them without a kill."""
    folder = tmp_path_factory.mktemp("site")
    files, _ = voc_files(num_images=8)
    # Larger than what one read of the connection brings.
    files["VOCdevkit/VOC2012/Annotations/large.xml"] = bytes(1_000_000)
    pack_tar(folder / voc.ARCHIVE.name, files)
    pack_tar(folder / sbd.ARCHIVE.name, sbd_files(num_images=8)[0], "w:gz")
    for tool, made in ((voc, "voc"), (sbd, "sbd")):
        if tool is sbd:
            shutil.copytree(folder / "voc", folder / "sbd")
        path = folder / tool.ARCHIVE.name
        known = f"{path.name}={hashlib.sha256(path.read_bytes()).hexdigest()}"
        words = ["--out", str(folder / made), "--from", str(path), "--sha256", known]
        assert run_script("", tool.make, words) == 0
    return folder


@pytest.mark.parametrize(
    ("tool", "place", "count"),
    [
        ("voc", "rich.progress/Progress:advance", 4),
        ("sbd", "data_tools.sbd:convert", 3),
        slow("voc", "rich.progress/Progress:advance", 1),
        slow("voc", "pooch.core:hash_matches", 1),
        slow("voc", "shutil:move", 1),
        *(slow("voc", "shutil:copyfileobj", count) for count in (2, 30)),
        *(slow("voc", "pathlib/Path:replace", count) for count in (1, 2, 20)),
        *(slow("voc", "shutil:rmtree", count) for count in (1, 2)),
        *(slow("sbd", "data_tools.sbd:write_bytes_atomically", count) for count in (2, 17)),
        slow("sbd", "pathlib/Path:replace", 9),
    ],
)
def test_killed_tool_is_completed(tmp_path, site, publish, server, tool, place, count):
    module, out = {"voc": voc, "sbd": sbd}[tool], tmp_path / "out"
    if tool == "sbd":
        shutil.copytree(site / "voc", out)
    words = ["--out", str(out), *publish(site / module.ARCHIVE.name)]
    run_and_kill(f"data_tools.{tool}", place, count, words)
    asked = len(server.requests)

    assert run_script("", module.make, words) == 0
    assert read_tree(out) == read_tree(site / tool)
    assert not [path.name for path in out.rglob("*") if path.name.endswith((".part", "unpacked"))]
    assert {path.name for path in (out / ".parsenet").iterdir()} == {"lock"}
    # What had come was not asked for again.
    if place.endswith("advance") and count > 1:
        assert server.requests[asked][1] >= "bytes=4"
