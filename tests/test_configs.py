"""Every config file can be run: it is parsed by the command line, builds, and takes a step."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from parsenet.config import CocoConfig, DataConfig, FolderConfig, NetworkConfig, OptimConfig
from parsenet.data.reading import shrink
from parsenet.data.transforms import Augmentation
from parsenet.engine.optim import build_optimizer
from parsenet.engine.run import Cli
from parsenet.losses import CrossEntropy
from parsenet.models.build import build_model

REPOSITORY = Path(__file__).parents[1]
CONFIGS = [
    path
    for path in sorted((REPOSITORY / "configs").rglob("*.yaml"))
    if path.parent.name != "ablations"  # grids, see tests/lab/test_grids.py
]
SIDE = 24
"""Pixels of the training crop here: VGG-16 is slow on a CPU."""


def name_of(path):
    return path.relative_to(REPOSITORY / "configs").as_posix()


each_config = pytest.mark.parametrize("path", CONFIGS, ids=name_of)
each_step = pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, marks=[pytest.mark.slow] if path.name.startswith("vgg16") else [])
        for path in CONFIGS
    ],
    ids=name_of,
)


@pytest.fixture(scope="module")
def parser():
    """The parser of `parsenet fit`, made once."""
    shell = Cli.__new__(Cli)
    made = {}

    def keep(parser, arguments):
        made["parser"] = parser
        raise InterruptedError

    shell.parse_arguments = keep
    with pytest.raises(InterruptedError):
        shell.__init__(["fit"])
    return made["parser"]


def parse(parser, path):
    options = parser.parse_args(["fit", "--config", str(path)]).fit
    network = NetworkConfig(**options.model.network.as_dict() | {"weights": None})
    return network, OptimConfig(**options.model.optim.as_dict()), data_of(options.data), options


def data_of(options):
    values = options.as_dict()
    values |= {"folder": FolderConfig(**values["folder"]), "coco": CocoConfig(**values["coco"])}
    return DataConfig(**values)


@each_config
def test_config_builds_and_scores_an_image(parser, path):
    config, _, _, options = parse(parser, path)
    with torch.device("meta"):
        network = build_model(config, 5)

    scores = network.scores(torch.empty(1, 3, 33, 50, device="meta"))

    stride = network.upsample.stride
    assert scores.shape == (1, 5, -(-33 // stride), -(-50 // stride))
    assert options.trainer.max_steps > 0 or options.trainer.max_epochs


OVERRIDES = [
    ([], {}),
    (["--data.augment", "strong"], {"augment": "strong"}),
    (["--data.rotate", "3", "--data.scale", "[1, 3]"], {"rotate": 3.0, "scale": (1.0, 3.0)}),
    (["--data.transforms", "[{Blur: {p: 0.3}}]"], {"transforms": ({"Blur": {"p": 0.3}},)}),
]


@each_config
def test_saved_config_with_an_override_is_the_config_with_it(parser, path, tmp_path):
    fit = parser._subcommands_action.choices["fit"]

    def parse_and_save(name, config, *words):
        """Parse as `fit` does, and save as the run folder has it."""
        options = parser.parse_args(["fit", "--config", str(config), *words]).fit
        del options["config"]
        fit.save(options, tmp_path / name, skip_unset=False)
        return data_of(options.data)

    data = parse_and_save("saved.yaml", path)
    for number, (words, expected) in enumerate(OVERRIDES):
        changed = parse_and_save(f"{number}.yaml", tmp_path / "saved.yaml", *words)
        again = parse_and_save(f"{number}_again.yaml", tmp_path / f"{number}.yaml")

        assert changed == again == replace(data, **expected)
        assert changed.recipe == again.recipe == replace(data, **expected).recipe


@each_config
def test_config_opens_with_its_command(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    header = [line for line in lines[:12] if line.startswith("#")]

    relative = path.relative_to(REPOSITORY).as_posix()
    assert any(f"--config {relative}" in line for line in header)
    assert any("easured" in line for line in header), (
        "a score with its source, or that there is none"
    )


@each_step
def test_config_takes_a_training_step(parser, path):
    config, optim, data, _ = parse(parser, path)
    torch.manual_seed(0)
    network = build_model(config, 5).train()
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (96, 128, 3), generator=generator).byte().numpy()
    label = torch.randint(0, 5, (96, 128), generator=generator).byte().numpy()
    augment = Augmentation(replace(data.recipe, crop=(SIDE, SIDE)))
    image, label = augment(label, partial(shrink, image), 0)
    before = {name: value.clone() for name, value in network.named_parameters()}
    optimizer, schedule = build_optimizer(network, network.new_layers, optim, 10)

    logits = network(torch.from_numpy(image.copy()).permute(2, 0, 1)[None])
    loss = CrossEntropy(optim.loss)(logits, torch.from_numpy(label).long()[None])
    loss.backward()
    optimizer.step()
    schedule.step()

    assert image.shape == (SIDE, SIDE, 3)
    assert torch.isfinite(loss)
    changed = [n for n, p in network.named_parameters() if not torch.equal(p, before[n])]
    assert any(name.startswith("trunk.") for name in changed)
    assert any(name.startswith("head.") for name in changed)
