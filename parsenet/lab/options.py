"""The options of one run of a grid, checked as `parsenet fit` checks them, and its key."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

from parsenet.config import DataConfig, InferenceConfig, NetworkConfig, OptimConfig
from parsenet.errors import ConfigError
from parsenet.options import parse_sections

Record: TypeAlias = dict[str, Any]
"""Plain values, as JSON has them."""

_NO_FIGURE = {
    "root", "num_workers", "check_labels", "download", "accelerator", "devices", "samples",
}  # fmt: skip
"""Options that change where and how fast, never what is computed."""

_NOT_HERE = ("val_check_interval", "check_val_every_n_epoch", "logger", "callbacks")
"""Options of Lightning's Trainer that have no meaning here: a run is scored once, at its end."""

_WHOLE = {"max_steps", "max_epochs", "accumulate_grad_batches"}
"""Options of the Trainer that the length of a run is computed from."""

_SECTIONS = (
    "model", "model.network", "model.optim", "data", "data.folder", "data.coco", "scoring",
    "scoring.inference", "trainer",
)  # fmt: skip

_WEIGHT_FILES = (".npz", ".pth", ".pt", ".ckpt", ".safetensors")


@dataclass(frozen=True)
class Scoring:
    """What a finished run is scored on."""

    images: int | None = None
    """Validation images, spread evenly over the split; null for all."""
    samples: int = 4
    """Of these, images whose predicted labels are kept to be looked at."""
    inference: InferenceConfig = InferenceConfig()
    """How they are labelled; `scales: [0.5]` looks at half-size images."""

    def __post_init__(self) -> None:
        if self.samples < 0 or (self.images is not None and self.images < 1):
            raise ConfigError(
                "`scoring.images` must be at least 1 and `scoring.samples` at least 0, got "
                f"{self.images} and {self.samples}."
            )


@dataclass(frozen=True)
class Options:
    """Everything that decides how a run comes out."""

    network: NetworkConfig = NetworkConfig()
    optim: OptimConfig = OptimConfig()
    data: DataConfig = DataConfig()
    scoring: Scoring = Scoring()
    trainer: Record = field(default_factory=dict)
    """Options of Lightning's Trainer."""
    seed: int = 0
    inputs: Mapping[str, str | None] = field(default_factory=dict)
    """Fingerprints of data and weights by name, see `read_inputs`."""

    def at(self, lr: float, seed: int) -> Options:
        """Return the same options at another rate and seed."""
        return replace(self, optim=replace(self.optim, lr=lr), seed=seed)

    def to_dict(self) -> Record:
        """Return plain values for a record, without paths of this machine and unused layouts."""
        record = _plain(self)
        for layout in {"folder", "coco"} - {self.data.dataset}:
            del record["data"][layout]
        return record

    @property
    def key(self) -> str:
        """Name of this run: equal for equal options, data and weights, on any machine.

        Two hashes, of the options and of the inputs. Options at their default are left out, so that
        one that is added later leaves the key of a recorded run as it is.
        """
        changed = _difference(_plain(self), _plain(Options()))
        return f"{_hash(changed)[:16]}-{_hash(self.inputs)[:8]}"

    def agree_with(self, recorded: Mapping[str, Any]) -> bool:
        """Compare with what `to_dict` returned for a recorded run of the same key.

        They differ where a default has been changed since. An option that only one has is skipped.
        """
        return _agree(self.to_dict(), recorded)

    def state_in(self, out_dir: Path) -> Path:
        """Return where the state of this run lies while it is under way."""
        return out_dir / "under_way" / f"{self.key}.ckpt"


_KINDS = {
    "model.network": NetworkConfig, "model.optim": OptimConfig, "data": DataConfig,
    "scoring": Scoring, "seed_everything": int,
}  # fmt: skip


def parse_options(section: Mapping[str, Any], name: str) -> Options:
    """Turn sections as in a config of `parsenet fit`, and `scoring`, into options.

    One that names a class to be made is refused: a grid that is passed on must not run code.

    Args:
        section: plain values by section.
        name: where they are from, for messages.
    """
    _require_plain(section, "", name)
    given = {**section}
    model, trainer = given.pop("model", {}), given.pop("trainer", {})
    trainer = {key: value for key, value in trainer.items() if key not in _NOT_HERE}
    given |= {f"model.{key}": value for key, value in model.items()}
    made = parse_sections(_KINDS, given, name)
    for key in _WHOLE & trainer.keys():
        if not isinstance(trainer[key], int | float) or trainer[key] % 1:
            raise ConfigError(
                f"`trainer.{key}` of {name} must be a whole number, got {trainer[key]!r}. Write "
                "1000, or leave it out."
            )
    return Options(made.model.network, made.model.optim, made.data, made.scoring, trainer)


def read_inputs(options: Options, required: bool = True) -> dict[str, str | None]:
    """Take the fingerprints of the data and the weights of a run.

    That of a split covers the classes (with the file that defines them), and for every sample its
    id, the names of its image and label below `data.root`, and the sizes of these files in bytes:
    no pixel is read. That of a weights file is the SHA-256 of its content. torchvision's weights
    are known by their name. What is not at hand is None, but for data that are `required`.
    """
    from parsenet.metrics.record import hash_file

    data, weights = options.data, Path(options.network.weights or "")
    at_hand = required or data.root is not None or data.dataset == "shapes"
    found = {
        f"{data.dataset}/{split}": _fingerprint_split(data, split) if at_hand else None
        for split in dict.fromkeys((data.train_split, data.val_split))
    }
    if weights.suffix in _WEIGHT_FILES:
        found[weights.name] = hash_file(weights) if weights.is_file() else None
    return found


def _fingerprint_split(config: DataConfig, split: str) -> str:
    from parsenet.data.build import build_dataset
    from parsenet.metrics.record import hash_file

    dataset, root = build_dataset(config, split), str(config.root)
    lines: list[object] = [dataset.taxonomy.names, dataset.taxonomy.void]
    for name in filter(None, (config.folder.taxonomy, config.coco.categories)):
        places = (Path(name), (config.root or Path()) / name)
        lines += [hash_file(path) for path in places if path.is_file()]
    for index, name in enumerate(dataset.ids):
        files = [str(dataset.image_path(index) or ""), dataset.label_name(index)]
        sizes = [Path(file).stat().st_size if Path(file).is_file() else None for file in files]
        lines.append([name, *(Path(file.removeprefix(root)).as_posix() for file in files), *sizes])
    return _hash(lines)[:16]


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _plain(options: Options) -> Record:
    network, data = asdict(options.network), asdict(options.data) | asdict(options.data.recipe)
    for section, name in ((network, "weights"), (data["folder"], "taxonomy")):
        section[name] = section[name] and Path(section[name]).name
    del data["root"]
    record = {
        "seed_everything": options.seed,
        "model": {"network": network, "optim": asdict(options.optim)},
        "data": data,
        "trainer": options.trainer,
        "scoring": asdict(options.scoring),
    }
    plain: Record = json.loads(json.dumps(record, default=str))
    return plain


def _require_plain(value: object, place: str, name: str) -> None:
    """Refuse sections that are none, and what is made into an object, at any depth."""
    if place in _SECTIONS and not isinstance(value, Mapping):
        raise ConfigError(
            f"`{place}` of {name} must hold named options, got {value!r}. Name them below it, "
            "or leave it out."
        )
    if not isinstance(value, Mapping):
        for item in value if isinstance(value, list) else ():
            _require_plain(item, place, name)
        return
    if "class_path" in value or place.startswith("trainer."):
        raise ConfigError(
            f"`{place}` of {name} must be a plain value, got "
            f"{value.get('class_path', dict(value))!r}. A grid makes no objects of classes that it "
            "names: write numbers, words or lists of them."
        )
    for key, item in value.items():
        if place != "trainer" or key not in _NOT_HERE:
            _require_plain(item, f"{place}.{key}".strip("."), name)


def _difference(record: Mapping[str, Any], default: Mapping[str, Any]) -> Record:
    """Return the options that are not at their default, but those that change no figure."""
    kept = {}
    for name in record.keys() - _NO_FIGURE:
        value, usual = record[name], default.get(name)
        if isinstance(value, Mapping):
            value, usual = _difference(value, usual or {}), {}
        if value != usual:
            kept[name] = value
    return kept


def _agree(ours: object, theirs: object) -> bool:
    """Compare options that both have, at any depth, but those that change no figure."""
    if not isinstance(ours, Mapping) or not isinstance(theirs, Mapping):
        return ours == theirs
    return all(_agree(ours[x], theirs[x]) for x in (ours.keys() & theirs.keys()) - _NO_FIGURE)
