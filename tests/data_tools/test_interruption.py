"""A tool that is killed anywhere leaves a folder that the next run completes."""

import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from data_tools import sbd, voc
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
sys.exit(importlib.import_module(tool).main(words))
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
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        words = ["--out", str(folder / made), "--from", str(path), "--sha256", digest]
        assert tool.main(words) == 0
    return folder


@pytest.mark.parametrize(
    ("place", "count"),
    [
        ("parsenet.fetch.download:_read", 4),
        ("parsenet.fetch.unpack:_write", 30),
        ("pathlib/Path:replace", 8),
        slow("parsenet.fetch.download:_read", 1),
        slow("parsenet.fetch.part/Part:finish", 1),
        slow("parsenet.fetch.unpack:_write", 1),
        slow("parsenet.fetch.record/Record:note_folder", 2),
        slow("parsenet.fetch.place:write_bytes_atomically", 1),
        slow("parsenet.fetch.place/Placement:move", 1),
        slow("pathlib/Path:replace", 7),
        slow("pathlib/Path:replace", 9),
        slow("shutil:rmtree", 2),
        slow("parsenet.fetch.job/Job:finish", 1),
    ],
)
def test_killed_voc_is_completed(tmp_path, site, publish, server, place, count):
    out = tmp_path / "out"
    words = ["--out", str(out), *publish(site / voc.ARCHIVE.name)]
    run_and_kill("data_tools.voc", place, count, words)

    code = voc.main(words)

    assert code == 0
    assert read_tree(out) == read_tree(site / "voc")
    assert {path.name for path in (out / ".parsenet").iterdir()} == {"voc.json", "lock"}
    # Nothing that had come was asked for again; nothing had at the first read.
    nothing_came = (place, count) == ("parsenet.fetch.download:_read", 1)
    assert [asked for _, asked in server.requests].count("") == (2 if nothing_came else 1)


@pytest.mark.parametrize(
    ("place", "count"),
    [
        ("data_tools.sbd:convert", 3),
        slow("data_tools.sbd:write_bytes_atomically", 2),
        slow("data_tools.sbd:write_bytes_atomically", 20),
        slow("data_tools.sbd:find_missing", 3),
        slow("pathlib/Path:replace", 9),
    ],
)
def test_killed_sbd_is_completed(tmp_path, site, publish, place, count):
    out = tmp_path / "out"
    shutil.copytree(site / "voc", out)
    words = ["--out", str(out), *publish(site / sbd.ARCHIVE.name)]
    run_and_kill("data_tools.sbd", place, count, words)

    code = sbd.main(words)

    assert code == 0
    assert read_tree(out) == read_tree(site / "sbd")


@pytest.mark.slow
def test_workers_of_a_killed_tool_end(tmp_path):
    code = (
        "import sys, time\n"
        "from parsenet.fetch.convert import run_all\n"
        "if __name__ == '__main__':\n"
        "    run_all(time.sleep, [600.0] * 100, 2, 'sleeping')\n"
    )
    script = tmp_path / "sleeper.py"
    script.write_text(code)
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    process = subprocess.Popen([sys.executable, str(script)], env=environment)
    children = wait_for(lambda: children_of(process.pid, "spawn_main"), 2)

    process.kill()
    process.wait()

    wait_for(lambda: [pid for pid in children if Path(f"/proc/{pid}").exists()], 0)


def children_of(parent, word):
    """List the processes started by another one whose command line has a word in it (Linux)."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            status = (path / "stat").read_text().rpartition(")")[2].split()
            words = (path / "cmdline").read_text()
        except OSError:
            continue
        if int(status[1]) == parent and word in words:
            found.append(int(path.name))
    return found


def wait_for(look, number):
    """Look until that many are seen; a slow machine is given a minute."""
    for _ in range(600):
        seen = look()
        if len(seen) == number:
            return seen
        time.sleep(0.1)
    return pytest.fail(f"saw {seen}, not {number}")
