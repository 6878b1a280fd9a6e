"""The options of one run of a grid, checked as `parsenet fit` checks them, and its key."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

from parsenet.config import DataConfig, InferenceConfig, NetworkConfig, OptimConfig
from parsenet.errors import ConfigError

_OF_THIS_MACHINE = ("root", "num_workers", "check_labels", "download")
"""Options that change where and how fast, never what is computed."""

_NOT_HERE = ("val_check_interval", "check_val_every_n_epoch", "logger", "callbacks")
"""Options of Lightning's Trainer that have no meaning here: a run is scored once, at its end."""

_WHOLE = {"max_steps", "max_epochs", "accumulate_grad_batches"}
"""Options of the Trainer that the length of a run is computed from."""

_TRAINER_OF_THIS_MACHINE = ("accelerator", "devices")


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

    network: NetworkConfig
    optim: OptimConfig
    data: DataConfig
    scoring: Scoring
    trainer: Mapping[str, Any] = field(default_factory=dict)
    """Options of Lightning's Trainer."""
    seed: int = 0

    def at(self, lr: float, seed: int) -> Options:
        """Return the same options at another rate and seed."""
        return replace(self, optim=replace(self.optim, lr=lr), seed=seed)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for a record, without the paths of this machine."""
        network, data = asdict(self.network), asdict(self.data)
        network["weights"] = _file_name(self.network.weights)
        del data["root"]
        record = {
            "seed_everything": self.seed,
            "model": {"network": network, "optim": asdict(self.optim)},
            "data": data,
            "trainer": dict(self.trainer),
            "scoring": asdict(self.scoring),
        }
        plain: dict[str, Any] = json.loads(json.dumps(record, default=str))
        return plain

    @property
    def key(self) -> str:
        """Name of this run: equal for equal experiments, on any machine.

        Options at their default are left out, so that an option that is added later leaves the key
        of a recorded run as it is.
        """
        network = _changed(self.network)
        network["weights"] = _file_name(self.network.weights)
        record = {
            "network": network,
            "optim": _changed(self.optim),
            "data": _changed(self.data),
            "scoring": {
                "pictures": self.scoring.images,  # the word in recorded keys
                "inference": _changed(self.scoring.inference),
            },
            "trainer": {
                name: value
                for name, value in self.trainer.items()
                if name not in _TRAINER_OF_THIS_MACHINE
            },
            "seed": self.seed,
        }
        text = json.dumps(record, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def agree_with(self, recorded: Mapping[str, Any]) -> bool:
        """Say whether a recorded run was computed with these options.

        Its key says so but for a default that has been changed since. An option that one of the two
        does not have is not compared.

        Args:
            recorded: what `to_dict` returned then.
        """
        return _agree(self.to_dict(), recorded)

    def state_in(self, out_dir: Path) -> Path:
        """Return where the state of this run lies while it is under way."""
        return out_dir / "under_way" / f"{self.key}.ckpt"


def parse_options(section: Mapping[str, Any], name: str) -> Options:
    """Turn the sections of a config into options.

    Args:
        section: `model`, `data`, `trainer`, as in a config of `parsenet fit`, and `scoring`.
        name: where they are from, for messages.

    Raises:
        ConfigError: an option is unknown or has a wrong value.
    """
    from jsonargparse import ArgumentError

    _require_sections(section, name)
    parser = _make_parser()
    try:
        with warnings.catch_warnings():  # jsonargparse's own, about its coming versions
            warnings.simplefilter("ignore")
            made = parser.instantiate_classes(parser.parse_object(dict(section)))
    except (ArgumentError, TypeError) as error:
        reason = " ".join(str(error).split())
        if isinstance(error, TypeError):  # the parser lets a null pass for any value
            reason = f"null or another wrong type ({reason})"
        raise ConfigError(f"The options of {name} must be right, got: {reason}.") from None
    trainer = {key: value for key, value in made.trainer.items() if key not in _NOT_HERE}
    for key in _WHOLE & trainer.keys():
        if not isinstance(trainer[key], int | float) or trainer[key] % 1:
            raise ConfigError(
                f"`trainer.{key}` of {name} must be a whole number, got {trainer[key]!r}. Write "
                "1000, or leave it out."
            )
    return Options(made.model.network, made.model.optim, made.data, made.scoring, trainer)


def _require_sections(section: Mapping[str, Any], name: str) -> None:
    for place in ("model", "model.network", "model.optim", "data", "scoring", "trainer"):
        value: Any = section
        for part in place.split("."):
            value = value.get(part, {})
        if not isinstance(value, Mapping):
            raise ConfigError(
                f"`{place}` of {name} must hold named options, got {value!r}. Name them below it, "
                "or leave it out."
            )


def _agree(ours: object, theirs: object) -> bool:
    """Compare options that both have, at any depth, but those that change no figure."""
    if not isinstance(ours, Mapping) or not isinstance(theirs, Mapping):
        return ours == theirs
    ignored = {*_OF_THIS_MACHINE, *_TRAINER_OF_THIS_MACHINE, "samples"}
    return all(_agree(ours[name], theirs[name]) for name in ours.keys() & theirs.keys() - ignored)


@cache
def _make_parser() -> Any:  # noqa: ANN401 - jsonargparse is imported late, for a quick --help
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(NetworkConfig, "model.network")
    parser.add_class_arguments(OptimConfig, "model.optim")
    parser.add_class_arguments(DataConfig, "data")
    parser.add_class_arguments(Scoring, "scoring")
    parser.add_argument("--trainer", type=dict[str, Any], default={})
    parser.add_argument("--seed_everything", type=int, default=0)
    return parser


def _changed(config: NetworkConfig | OptimConfig | DataConfig | InferenceConfig) -> dict[str, Any]:
    """Return the fields that differ from their default."""
    default = type(config)()
    return {
        item.name: getattr(config, item.name)
        for item in fields(config)
        if item.name not in _OF_THIS_MACHINE
        and getattr(config, item.name) != getattr(default, item.name)
    }


def _file_name(weights: str | None) -> str | None:
    """Leave the folder out of a path; names such as `imagenet1k_v1` stay."""
    return None if weights is None else Path(weights).name
