import errno
import os

import pytest

from parsenet.fetch.archive import Archive, Digest
from parsenet.fetch.lock import locked
from parsenet.fetch.tool import build_parser, run_tool

ONE = (Archive("a.tar", ()),)
TWO = (Archive("a.tar", (), Digest("md5", "0" * 32)), Archive("b.zip", ()))
HASH = "0123456789abcdef" * 4


@pytest.fixture
def run(tmp_path, capsys):
    """Run a tool; return its exit code, standard output, standard error, and the job's options."""

    def call(*words, archives=ONE, make=None):
        seen = []

        def note(job, given):
            seen.append(job._options)
            return make(job) if make else "done."

        parser = build_parser("tool.py", "Do it.\n\nMore.", archives)
        code = run_tool(parser, archives, note, ["--out", str(tmp_path / "out"), *map(str, words)])
        output = capsys.readouterr()
        return code, output.out, output.err, seen[0] if seen else None

    return call


@pytest.fixture
def tar(tmp_path):
    path = tmp_path / "a.tar"
    path.touch()
    return path


def test_result_is_the_last_line_and_alone_on_standard_output(run):
    assert run()[:2] == (0, "done.\n")


def test_given_file_is_matched_by_its_name(run, tmp_path, tar):
    other = tmp_path / "b.zip"
    other.touch()

    *_, options = run("--from", other, tar, archives=TWO)

    assert options.given == {"a.tar": tar, "b.zip": other}


@pytest.mark.parametrize("name", ["a (1).tar", "a(2).tar"])
def test_browsers_number_in_a_name_is_understood(run, tmp_path, name):
    path = tmp_path / name
    path.touch()

    *_, options = run("--from", path, archives=TWO)

    assert options.given == {"a.tar": path}


def test_only_archive_may_have_any_name(run, tmp_path):
    path = tmp_path / "other.bin"
    path.touch()

    *_, options = run("--from", path)

    assert options.given == {"a.tar": path}


def test_unknown_file_is_refused(run, tmp_path):
    code, out, err, _ = run("--from", tmp_path / "c.tar", archives=TWO)

    assert (code, out) == (2, "")
    assert err == (
        f"error: `--from` must name a.tar or b.zip, got '{tmp_path / 'c.tar'}'. Give the file that "
        "name.\n"
    )


def test_missing_file_is_refused(run, tmp_path):
    code, _, err, _ = run("--from", tmp_path / "a.tar")

    assert code == 2
    assert err == (
        f"error: `--from` must name a file that exists, got '{tmp_path / 'a.tar'}'. Check the "
        "path.\n"
    )


def test_hash_without_a_name_is_for_the_archive_that_has_none(run):
    *_, options = run("--sha256", HASH.upper(), archives=TWO)

    assert options.hashes == {"b.zip": Digest("sha256", HASH)}


def test_hash_with_a_name_is_for_that_archive(run):
    *_, options = run("--sha256", f"a.tar={HASH}", archives=TWO)

    assert options.hashes == {"a.tar": Digest("sha256", HASH)}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--sha256", f"c.tar={HASH}"],
            f"`--sha256` must be NAME=HEX with NAME one of a.tar, b.zip, got 'c.tar={HASH}'. "
            "Correct the name.",
        ),
        (
            ["--sha256", "12"],
            "A hash `sha256` must have 64 digits of 0-9 and a-f, got '12'. Copy it again.",
        ),
        (
            ["--only-mirrors"],
            "`--only-mirrors` must come with `--mirror`, got none. Name an address.",
        ),
        (["--workers", "0"], "`--workers` must be at least 1, got 0. Leave it out for all cores."),
        (["--retries", "-1"], "`--retries` must not be negative, got -1. 4 is usual."),
    ],
)
def test_wrong_option_is_refused(run, words, message):
    code, out, err, _ = run(*words, archives=TWO)

    assert (code, out, err) == (2, "", f"error: {message}\n")


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "Make room and run the same command again: it goes on from here."),
        (errno.EACCES, "Choose a folder that you may write to."),
        (errno.EIO, "Look after the disk and run the command again."),
    ],
)
def test_trouble_with_the_disk_is_one_sentence(run, number, advice):
    def fail(job):
        raise OSError(number, os.strerror(number), "x.png")

    code, out, err, _ = run(make=fail)

    assert (code, out) == (2, "")
    assert err == f"error: 'x.png' must be usable, got '{os.strerror(number)}'. {advice}\n"


def test_folder_that_is_a_file_is_refused(run, tmp_path):
    (tmp_path / "out").touch()

    code, _, err, _ = run()

    assert code == 2
    assert err.startswith(f"error: '{tmp_path / 'out'}")
    assert err.count("\n") == 1


def test_ctrl_c_says_that_nothing_is_lost(run):
    def interrupt(job):
        raise KeyboardInterrupt

    assert run(make=interrupt)[:3] == (
        130,
        "",
        "error: interrupted. Run the same command again: it goes on from here.\n",
    )


def test_folder_in_use_is_refused(run, tmp_path):
    with locked(tmp_path / "out" / ".parsenet" / "lock"):
        code, _, err, _ = run()

    assert code == 2
    assert err == (
        f"error: '{tmp_path / 'out'}' must be free, got another tool at work in it. Wait for it to "
        "end.\n"
    )


def test_help_shows_the_first_line_and_the_archives(capsys):
    parser = build_parser("tool.py", "Do it.\n\nMore.", TWO)

    text = parser.format_help()

    assert "Do it.\n" in text
    assert "a.tar, b.zip" in " ".join(text.split())
