"""The house rules that a machine can check: layers, sizes, names, light imports."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
PACKAGE = REPOSITORY / "parsenet"

# A unit is a module or sub-package directly under parsenet/. It may import units of a lower rank
# and itself, nothing else: neither upwards nor sideways.
RANKS = {
    "errors": 0,
    "version": 0,
    "files": 1,
    "pretrained": 2,
    "taxonomy": 2,
    "hardware": 2,
    "config": 3,
    "options": 3,
    "archives": 2,
    "fetch": 4,
    "models": 4,
    "data": 4,
    "losses": 4,
    "metrics": 4,
    "reports": 4,
    "inference": 5,
    "evaluation": 5,
    "engine": 6,
    "export": 6,
    "serve": 6,
    "check": 6,
    "submission": 6,
    "lab": 7,
    "figures": 7,
    "commands": 8,
    "cli": 9,
    "__main__": 10,
    "__init__": 11,
}


def git_files(*patterns):
    """Tracked files, and those that would be tracked."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *patterns]
    listed = subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, text=True)
    paths = [REPOSITORY / name for name in listed.stdout.split("\0") if name]
    return [path for path in paths if path.is_file()]


def unit_of(module):
    """`parsenet.data.voc` -> `data`; the package itself is `__init__`, the top layer."""
    _, _, rest = module.partition(".")
    return rest.partition(".")[0] or "__init__"


def imported_units(tree):
    """Yield (line, unit) for each import of our own, also those inside functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level:
            modules = ["parsenet"]  # a relative import; the house has none
        elif isinstance(node, ast.ImportFrom) and node.module == "parsenet":
            modules = [
                f"parsenet.{alias.name}" if alias.name in RANKS else "parsenet"
                for alias in node.names
            ]
        elif isinstance(node, ast.ImportFrom):
            modules = [node.module or ""]
        else:
            continue
        for module in modules:
            if module.partition(".")[0] == "parsenet":
                yield node.lineno, unit_of(module)


def wrong_imports(source, unit):
    """Return the (line, unit) pairs that `unit` must not import."""
    return [
        (line, other)
        for line, other in imported_units(ast.parse(source))
        if other != unit and RANKS[other] >= RANKS[unit]
    ]


def run_python(code):
    return subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True
    )


@pytest.mark.parametrize(
    ("source", "unit", "expected"),
    [
        ("from parsenet.config import NetworkConfig", "models", []),
        ("from parsenet.data.sample import Sample", "data", []),
        ("import torch", "errors", []),
        ("from parsenet.data.sample import Sample", "models", [(1, "data")]),
        ("import parsenet.engine.run", "inference", [(1, "engine")]),
        ("from parsenet import metrics", "losses", [(1, "metrics")]),
        ("from parsenet import Predictor", "engine", [(1, "__init__")]),
        ("from .sample import Sample", "data", [(1, "__init__")]),
        ("def f():\n    from parsenet.models.build import build_model", "config", [(2, "models")]),
    ],
)
def test_layer_rule_tells_right_from_wrong_imports(source, unit, expected):
    assert wrong_imports(source, unit) == expected


def test_imports_point_downward_only():
    wrong, outside = [], {"tests", "benchmarks", "data_tools", "notebooks"}
    for path in sorted(PACKAGE.rglob("*.py")):
        unit = path.relative_to(PACKAGE).with_suffix("").parts[0]
        assert unit in RANKS, "give it a rank in RANKS, and CONTRIBUTING a word"
        source = path.read_text(encoding="utf-8")
        for line, other in wrong_imports(source, unit):
            wrong.append(f"{path.relative_to(REPOSITORY)}:{line} imports {other}")
        for name in re.findall(r"^\s*(?:from|import) (\w+)", source, re.MULTILINE):
            if name in outside:
                wrong.append(f"{path.relative_to(REPOSITORY)} imports {name}")

    assert wrong == []


def test_no_file_has_more_than_400_lines():
    sizes = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in git_files("*.py")}

    assert {path.name: size for path, size in sizes.items() if size > 400} == {}


def test_no_function_has_more_than_60_lines_without_its_docstring():
    long = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                first = (
                    node.body[1] if ast.get_docstring(node) and len(node.body) > 1 else node.body[0]
                )
                size = (node.end_lineno or 0) - first.lineno + 1
                if size > 60:
                    long[f"{path.name}:{node.name}"] = size

    assert long == {}


def test_only_the_module_of_options_makes_a_parser():
    makers = ("ArgumentParser", "add_parser")
    wrong = []
    for path in git_files("parsenet/*.py", "data_tools/*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(makers):
                wrong.append(f"{path.relative_to(REPOSITORY)}:{node.lineno}")

    assert [place for place in wrong if not place.startswith("parsenet/options.py")] == []


def imported_modules(path):
    """Modules of ours that a file imports, with those inside functions, not those for types."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("parsenet"):
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_no_modules_import_one_another_in_a_circle():
    paths = {
        ".".join(path.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__"): path
        for path in PACKAGE.rglob("*.py")
        if path != PACKAGE / "__init__.py"  # it imports its names when they are first used
    }
    below = {name: set(imported_modules(path)) & paths.keys() for name, path in paths.items()}
    # What imports nothing that is left is in no circle; take it away until nothing changes.
    while free := {name for name, others in below.items() if not others & below.keys() - {name}}:
        below = {name: others for name, others in below.items() if name not in free}

    assert sorted(below) == []


def test_no_file_is_named_after_nothing():
    nothing = {"util", "utils", "helper", "helpers", "common", "misc"}

    wrong = [
        path.relative_to(REPOSITORY).as_posix()
        for path in git_files("*.py")
        if nothing & set(path.relative_to(REPOSITORY).with_suffix("").parts)
    ]

    assert wrong == []


def test_no_file_is_over_one_megabyte_but_the_bundled_model():
    limits = {PACKAGE / "pretrained" / "model.safetensors": 4_000_000}

    sizes = {path: path.stat().st_size for path in git_files()}

    assert [path for path, size in sizes.items() if size > limits.get(path, 1_000_000)] == []


def test_files_name_no_path_of_one_machine():
    # Not preceded by what makes it a part of a URL or of a relative path.
    pattern = re.compile(r"(?<![\w.~}/-])/(?:work|home|root|tmp|Users|mnt|opt)/\w")
    wrong = []
    for path in git_files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # an image
        for number, line in enumerate(text.splitlines(), start=1):
            if pattern.search(line):
                wrong.append(f"{path.relative_to(REPOSITORY)}:{number}: {line.strip()}")

    assert wrong == []


def test_every_direct_dependency_is_pinned():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = list(project["dependencies"])
    for extra in project["optional-dependencies"].values():
        wanted += extra
    names = {re.match(r"[\w-]+", line)[0].lower() for line in wanted} - {project["name"]}

    lines = (REPOSITORY / "constraints.txt").read_text(encoding="utf-8").splitlines()

    pins = [re.fullmatch(r"([\w-]+)==[\w.]+", line) for line in lines if not line.startswith("#")]
    assert all(pins), "a line must be `name==version`"
    assert {pin[1].lower() for pin in pins} == names


def test_help_and_light_modules_leave_torch_and_the_environment_alone():
    modules = ("errors", "taxonomy", "config", "fetch", "reports.tables", "evaluation")
    code = (
        "import os, sys, importlib\n"
        "before = dict(os.environ)\n"
        "from parsenet.cli import main\n"
        "assert main(['--help']) == 0\n"
        f"for name in ('parsenet', *('parsenet.' + n for n in {modules})):\n"
        "    importlib.import_module(name)\n"
        "    assert 'torch' not in sys.modules, name\n"
        "assert before == dict(os.environ)"
    )

    answer = run_python(code)

    assert (answer.returncode, answer.stderr) == (0, "")


def test_core_needs_nothing_of_the_extras():
    extras = (
        "albumentations",
        "cv2",
        "matplotlib",
        "pytorch_lightning",
        "tensorboard",
        "pycocotools",
        "gradio",
        "onnx",
        "onnxruntime",
        "onnxscript",
    )
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({extras}))\n"  # None makes an import fail
        "import parsenet\n"
        "for name in parsenet.__all__:\n    getattr(parsenet, name)\n"
        "print('ok')"
    )

    answer = run_python(code)

    assert answer.stdout == "ok\n", answer.stderr


def test_public_names_are_listed_and_found():
    import parsenet

    assert [name for name in parsenet.__all__ if getattr(parsenet, name, None) is None] == []
    assert set(parsenet.__all__) <= set(dir(parsenet))
    assert parsenet.__version__ == metadata.version("parsenet")
    with pytest.raises(AttributeError, match=r"^module 'parsenet' has no attribute 'ParseNot'$"):
        parsenet.ParseNot  # noqa: B018
