"""What the README and the guides tell a reader to type or to follow exists."""

import re
import shlex
from dataclasses import fields
from pathlib import Path

import pytest

from parsenet.cli import main
from parsenet.config import DataConfig, NetworkConfig, OptimConfig

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
    """Return (page, words) of each call of a program."""
    return [
        (path.stem, words)
        for path in GUIDES
        for words in shell_commands(path)
        if words[0] == program
    ]


def relative_links(path):
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    return [
        target
        for target in re.findall(r"\]\(([^)\s]+)\)", text)
        if not re.match(r"[a-z]+:", target)
    ]


def anchors(path):
    """Name the headings of a page the way GitHub does."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def subcommand_of(words):
    """`figures` has commands of its own."""
    return " ".join(words[1 : 3 if words[1] == "figures" else 2])


USED = [(subcommand_of(w), page, w) for page, w in commands_of("parsenet") if w[1:]]
SECTIONS = {"data": DataConfig, "model.network": NetworkConfig, "model.optim": OptimConfig}


@pytest.mark.parametrize("subcommand", sorted({name for name, _, _ in USED if name[0] != "-"}))
def test_command_in_a_guide_is_known_with_all_its_options(subcommand, capsys):
    with pytest.raises(SystemExit) as end:
        main([*subcommand.split(), "--help"])

    text = capsys.readouterr().out.replace("-", "_")  # dashes and underscores are the same
    assert end.value.code == 0
    if subcommand in ("ablate", "browse", "doctor", "figures context", "figures scales"):
        for section, kind in SECTIONS.items():  # taken as they are typed, not listed by --help
            text += "".join(f" __{section}.{field.name} " for field in fields(kind))
    # Anything but a letter may follow: `--data.root ROOT`, `--flag,`, `--nested.key.more`.
    unknown = [
        (page, word)
        for name, page, words in USED
        for word in words[2:]
        if name == subcommand and word.startswith("--")
        if not re.search(rf"{re.escape(word.partition('=')[0].replace('-', '_'))}(?!\w)", text)
    ]
    assert unknown == []


def test_config_of_a_command_in_a_guide_exists():
    lost = [
        (page, word)
        for page, words in commands_of("parsenet")
        for word in words
        if word.startswith("configs/") and not (REPOSITORY / word).is_file()
    ]

    assert lost == []


def test_make_target_in_a_guide_exists():
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")

    targets = re.findall(r"^([a-z]+):", makefile, re.MULTILINE)

    assert {target for _, words in commands_of("make") for target in words[1:]} <= set(targets)


def test_relative_link_leads_somewhere():
    wrong = []
    for path in GUIDES:
        for target in relative_links(path):
            name, _, anchor = target.partition("#")
            file = path.parent / name if name else path
            if not file.exists() or (anchor and anchor not in anchors(file)):
                wrong.append((path.name, target))

    assert wrong == []


def test_python_in_a_guide_compiles():
    for path in GUIDES:
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
        for name, feature in trunk.feature_maps.items():
            rows, columns = -(-height // feature.stride), -(-width // feature.stride)
            assert maps[name].shape == (1, feature.channels, rows, columns)
