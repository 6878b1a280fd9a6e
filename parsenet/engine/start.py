"""Where a run begins: options that are right, a folder of its own, a checkpoint that fits."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml
from jsonargparse import Namespace

from parsenet.errors import ConfigError
from parsenet.models.checkpoint import LoadedNetwork, load_network
from parsenet.models.weights import read_weights
from parsenet.taxonomy import Taxonomy

_MAY_CHANGE = ("weights", "preprocess", "download", "dropout", "context_dropout")
"""Fields of `NetworkConfig` that a resumed run may set anew: they have no parameters."""


_FREE_TO_CHANGE = ("root", "num_workers", "check_labels", "test_split")
"""Fields of `DataConfig` that change where and how fast, never what is learned."""


def refuse_impossible(options: Namespace) -> None:
    """Refuse numbers that would end in a traceback of a library.

    Raises:
        ConfigError: one is out of its range.
    """
    ranges = {
        "seed_everything": (0, 2**32 - 1),
        "checkpoint_every": (1, None),
        "trainer.accumulate_grad_batches": (1, None),
    }
    for name, (lowest, highest) in ranges.items():
        value = options[name]
        if value is not None and not (lowest <= value <= (highest or value)):
            rule = f"at least {lowest}" if highest is None else f"in {lowest}..{highest}"
            raise ConfigError(f"`{name}` must be {rule}, got {value}.")


def settle_folder(options: Namespace, command: str) -> Path:
    """Name the run folder; never write over a training run.

    Raises:
        ConfigError: there is a run in it, or none to resume.
    """
    if options.run_dir is None:
        configs = options.get("config") or []
        stem = Path(str(configs[-1])).stem if configs else options.data.dataset
        options.run_dir = Path("runs") / (stem if command == "fit" else f"{stem}_{command}")
    run_dir: Path = options.run_dir
    last = run_dir / "checkpoints" / "last.ckpt"
    if command == "fit" and options.resume:
        if not last.is_file():
            raise ConfigError(
                f"`resume` needs '{last}', which is missing. Start without `--resume true`."
            )
        options.ckpt_path = str(last)
    elif last.exists():
        way_out = "Go on with it by `--resume true`, or name" if command == "fit" else "Name"
        raise ConfigError(
            f"`run_dir` must be new, got '{run_dir}' with a training run in it. {way_out} another "
            "with `--run_dir DIR`."
        )
    return run_dir


def settle_resume(options: Namespace) -> Taxonomy | None:
    """Check that a training run can go on from `ckpt_path`; return the classes of that run.

    Raises:
        WeightsError: the file is missing or damaged.
        ConfigError: it has no training state, or is of another network.
    """
    if options.ckpt_path is None:
        return None
    path = Path(options.ckpt_path)
    record = read_weights(path).record
    if record is None or path.suffix != ".ckpt" or not _has_training_state(path):
        raise ConfigError(
            f"`ckpt_path` must be the `last.ckpt` of a run, got '{path}'. Its weights alone can "
            f"start a new run: `--model.network.weights {path}`."
        )
    for name, trained in record["network"].items():
        given = options.model.network[name]
        given = list(given) if isinstance(given, tuple) else given
        if given != trained and name not in _MAY_CHANGE:
            raise ConfigError(
                f"`model.network.{name}` must be {trained} to go on from '{path}', got {given}. "
                "Start a new run with another `--run_dir DIR`."
            )
    _refuse_other_options(options, path)
    return Taxonomy.from_dict(record["taxonomy"])


def _refuse_other_options(options: Namespace, path: Path) -> None:
    """Refuse to go on with options that the run did not have, as its `config.yaml` says."""
    saved = path.parent.parent / "config.yaml"
    if not saved.is_file():
        return
    before = _flat(yaml.safe_load(saved.read_text(encoding="utf-8")))
    now = _flat(yaml.safe_load(yaml.safe_dump(_plain(options.as_dict()))))
    for name, value in now.items():
        compared = name.startswith(("data.", "model.optim.")) or name in (
            "seed_everything", "trainer.accumulate_grad_batches",
        )  # fmt: skip
        free = name.removeprefix("data.").split(".")[0] in _FREE_TO_CHANGE
        if compared and not free and name in before and before[name] != value:
            raise ConfigError(
                f"`{name}` must be {before[name]} to go on from '{path}', got {value}. Start a new "
                "run with another `--run_dir DIR`."
            )


def _flat(values: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Name nested values by their path, such as `data.batch_size`."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            found |= _flat(value, f"{above}{name}.")
        else:
            found[f"{above}{name}"] = value
    return found


def _plain(value: object) -> object:
    """Write paths and tuples as YAML holds them."""
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if isinstance(value, bool | int | float | str | None) else str(value)


def settle_network(options: Namespace, command: str) -> LoadedNetwork:
    """Take the network to score from the checkpoint: it knows what it is.

    Raises:
        ConfigError: no checkpoint is named.
        WeightsError: it is missing, damaged, or not of this toolkit.
    """
    if options.ckpt_path is None:
        raise ConfigError(
            f"`{command}` needs a checkpoint to score, got none. Add `--ckpt_path FILE` (`.ckpt` "
            "or `.safetensors`)."
        )
    loaded = load_network(Path(options.ckpt_path))
    for name in loaded.record["network"]:
        options.model.network[name] = getattr(loaded.config, name)
    options.model.network.weights = None
    options.model.network.preprocess = loaded.network.preprocess.name
    return loaded


def refuse_other_classes(trained: Taxonomy, given: Taxonomy) -> None:
    """Refuse a network on data of other classes.

    Raises:
        ConfigError: the names differ.
    """
    if trained.names != given.names:
        raise ConfigError(
            f"The checkpoint's classes ('{trained.name}', {trained.num_classes}) must be those of "
            f"the data, got '{given.name}' with {given.num_classes}. Choose the `data` that it was "
            "trained on."
        )


def _has_training_state(path: Path) -> bool:
    content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    return "optimizer_states" in content
