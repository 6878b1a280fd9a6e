"""What the README and the guides tell a reader to type or to follow exists."""

import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
README = REPOSITORY / "README.md"
GUIDES = [
    README,
    REPOSITORY / "CONTRIBUTING.md",
    REPOSITORY / "CHANGELOG.md",
    *sorted((REPOSITORY / "docs").rglob("*.md")),
]
SHELLS = ("bash", "sh", "console")


def code_blocks(text, languages):
    blocks = re.findall(r"^```(\w+)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [code for language, code in blocks if language in languages]


def shell_commands(path):
    """Split the commands of a guide's shell blocks into words; comments and prompts left out."""
    if not path.is_file():
        return []
    lines = []
    for block in code_blocks(path.read_text(encoding="utf-8"), SHELLS):
        lines += block.replace("\\\n", " ").splitlines()
    return [
        words for line in lines if (words := shlex.split(line.removeprefix("$ "), comments=True))
    ]


def commands_of(program):
    return [
        pytest.param(words, id=f"{path.stem}: {' '.join(words)}"[:80])
        for path in GUIDES
        for words in shell_commands(path)
        if words[0] == program
    ]


def relative_links():
    for path in GUIDES:
        if path.is_file():
            text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
            for target in re.findall(r"\]\(([^)\s]+)\)", text):
                if not re.match(r"[a-z]+:", target):
                    name = f"{path.relative_to(REPOSITORY)}: {target}"
                    yield pytest.param(path, target, id=name)


def anchors(path):
    """Name the headings of a page the way GitHub does."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@cache
def help_of(subcommand):
    """Return the help of a subcommand; asked for once, since `fit` imports torch for it."""
    return subprocess.run(
        [sys.executable, "-m", "parsenet", subcommand, "--help"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )


def test_readme_names_commands_of_ours():
    assert commands_of("parsenet"), "README.md shows no `parsenet` command"


@pytest.mark.parametrize("words", commands_of("parsenet"))
def test_command_in_a_guide_is_known_with_all_its_options(words):
    if len(words) < 2 or words[1].startswith("-"):
        pytest.skip("no subcommand; `parsenet --help` has its own test")

    answer = help_of(words[1])

    assert answer.returncode == 0, answer.stderr
    options = [word.partition("=")[0] for word in words[2:] if word.startswith("--")]
    # Anything but a letter may follow: `--data.root ROOT`, `--flag,`, `--nested.key.more`.
    unknown = [
        name for name in options if not re.search(rf"{re.escape(name)}(?![\w-])", answer.stdout)
    ]
    assert unknown == []


@pytest.mark.parametrize("words", commands_of("parsenet"))
def test_config_of_a_command_in_a_guide_exists(words):
    configs = [word for word in words if word.startswith("configs/")]

    assert [name for name in configs if not (REPOSITORY / name).is_file()] == []


@pytest.mark.parametrize("words", commands_of("make"))
def test_make_target_in_a_guide_exists(words):
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")

    targets = re.findall(r"^([a-z]+):", makefile, re.MULTILINE)

    assert set(words[1:]) <= set(targets)


@pytest.mark.parametrize(("path", "target"), list(relative_links()))
def test_relative_link_leads_somewhere(path, target):
    name, _, anchor = target.partition("#")
    file = path.parent / name if name else path

    assert file.exists()
    assert not anchor or anchor in anchors(file)


@pytest.mark.parametrize("path", GUIDES, ids=lambda path: path.relative_to(REPOSITORY).as_posix())
def test_python_in_a_guide_compiles(path):
    for number, code in enumerate(code_blocks(path.read_text(encoding="utf-8"), ("python",))):
        compile(code, f"{path.name}, block {number}", "exec")


def test_public_names_in_the_readme_exist():
    import parsenet

    code = "".join(code_blocks(README.read_text(encoding="utf-8"), ("python",)))

    assert set(re.findall(r"\bparsenet\.(\w+)", code)) <= set(parsenet.__all__)


def test_trunk_of_the_guide_keeps_the_contract():
    import torch

    from parsenet.models.trunk import Trunk

    guide = (REPOSITORY / "docs" / "adding_a_trunk.md").read_text(encoding="utf-8")
    names = {}
    exec(code_blocks(guide, ("python",))[0], names)

    trunk = names["Toy"](0.5).eval()

    assert isinstance(trunk, Trunk)
    for height, width in ((1, 1), (17, 9), (32, 40)):
        maps = trunk(torch.zeros(1, 3, height, width))
        for name, tap in trunk.taps.items():
            rows, columns = -(-height // tap.stride), -(-width // tap.stride)
            assert maps[name].shape == (1, tap.channels, rows, columns)
