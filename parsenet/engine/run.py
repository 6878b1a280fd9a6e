"""`parsenet fit | validate | test`: LightningCLI with this toolkit's defaults and run folder."""

import logging
import re
import shlex
import warnings
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import yaml
from jsonargparse import ArgumentError, Namespace, set_parsing_settings
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.cli import LightningArgumentParser, LightningCLI
from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger

from parsenet.engine.callbacks import Guards, History, ProgressBar
from parsenet.engine.checkpoints import (
    AtomicCheckpointIO,
    BestCheckpoint,
    LastCheckpoint,
    refuse_other_run,
)
from parsenet.engine.datamodule import SegmentationDataModule
from parsenet.engine.module import SegmentationModule
from parsenet.engine.record import describe_machine, now, write_samples
from parsenet.errors import ConfigError
from parsenet.files import read_yaml
from parsenet.hardware import choose_device, choose_precision
from parsenet.metrics.record import Evaluation, write_json
from parsenet.metrics.scores import SCORES
from parsenet.models.checkpoint import load_network, save_network
from parsenet.options import explain
from parsenet.reports.runs import write_report
from parsenet.taxonomy import Taxonomy

QUIET = (
    r".*isinstance\(treespec, LeafSpec\)",  # Lightning's own, pytorch-lightning#21398
    r"(?s).*JSONARGPARSE_DEPRECATION|.* removed in\s+v5\.0",  # LightningCLI's calls of jsonargparse
    r".*your dataloader is not resumable",  # it is, by the trainer's counters
    r".*does not have many workers",  # the data loaders are fast; 0 workers is a choice
    r".*The number of training batches .* is smaller than the logging interval",
    r".*recommended to use `self\.log\('(val|test)/",  # they are summed over the processes already
    r".*`ckpt_path` is not set|.*Checkpoint directory .* exists and is not empty",
)
"""Warnings of Lightning that a user can do nothing about."""

ALLOWED = ("pytorch_lightning", "lightning_fabric", "parsenet", "torch.optim")
"""Packages whose classes a config may name; others only by `--allow_classes`, so that a config
from a stranger runs nothing."""

_OPTIONS: tuple[tuple[str, type, Any, str], ...] = (
    ("run_dir", Path, None, "Folder of the run (default: runs/NAME, after the config file)."),
    ("resume", bool, False, "Go on from checkpoints/last.ckpt of the run folder."),
    ("checkpoint_every", int, 500, "Iterations between two writings of checkpoints/last.ckpt."),
    ("allow_classes", str, None, "Packages, with commas, whose classes a config may name."),
)

_RANGES = {
    "seed_everything": (range(2**32), f"in 0..{2**32 - 1}"),
    "checkpoint_every": (range(1, 2**63), "at least 1"),
    "trainer.accumulate_grad_batches": (range(1, 2**63), "at least 1"),
}
"""Numbers that would end in a traceback of a library, were they others."""

_log = logging.getLogger(__name__)


def run(arguments: list[str]) -> "Cli":
    """Run `fit`, `validate` or `test` as the command line does.

    Args:
        arguments: the command and its options, such as `["fit", "--config", "c.yaml"]`.

    Returns:
        what ran: its `trainer`, `model`, `datamodule` and `run_dir`.

    Raises:
        ParseNetError: something the user can mend.
    """
    # What a user allows counts on the command line only, in no config.
    option, text = r"\0--allow[-_]classes[\0=]([^\0]*)", "\0".join(arguments)
    allowed = [name for value in re.findall(option, text) for name in value.split(",") if name]
    arguments = re.sub(option, "", text).split("\0")
    for word, value in pairwise(arguments):
        if word == "--config":  # names given twice, and what would never end
            read_yaml(Path(value), "model: {network: {trunk: squeezenet}}")
    # The lines under the fields of our configs are their help texts; finding them takes a while.
    wants_help = any(word in ("-h", "--help") for word in arguments)
    set_parsing_settings(
        docstring_parse_attribute_docstrings=wants_help,
        instantiate_subclass_spec_in_any=False,
        import_path_denylist=["*"],
        import_path_allowlist=[*ALLOWED, *allowed],
    )
    for name in ("pytorch_lightning.utilities.rank_zero", "lightning_fabric.utilities.seed"):
        logging.getLogger(name).setLevel(logging.WARNING)
    with warnings.catch_warnings():
        for message in QUIET:
            warnings.filterwarnings("ignore", message)
        try:
            return Cli(arguments)
        except SystemExit as end:
            if isinstance(end.__context__, KeyboardInterrupt):  # Lightning makes Ctrl-C an exit
                raise KeyboardInterrupt from end
            raise
        except MisconfigurationException as error:  # Lightning's word for options that clash
            raise ConfigError(" ".join(str(error).split())) from error


class Cli(LightningCLI):
    """Parse the command line, build everything, run it, and leave a run folder."""

    def __init__(self, arguments: list[str]) -> None:
        self.arguments = arguments
        super().__init__(
            SegmentationModule,
            SegmentationDataModule,
            args=arguments,
            save_config_callback=None,
            seed_everything_default=0,
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,  # our checkpoints have a record of their own
            parser_kwargs={"parser_mode": "yaml"},
        )

    def subcommands(self) -> dict[str, set[str]]:  # type: ignore[override]  # static in Lightning
        """Offer the command that was given: making the options of one takes a while."""
        command = self.arguments[0]
        return {command: super().subcommands()[command] | {"verbose", "weights_only"}}

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the run folder's options, and tell the model the classes of the data."""
        for name, kind, default, text in _OPTIONS:
            parser.add_argument(f"--{name}", type=kind, default=default, help=text)
        parser.link_arguments("data.taxonomy", "model.taxonomy", apply_on="instantiate")

    def init_parser(self, **kwargs: Any) -> LightningArgumentParser:  # noqa: ANN401 - Lightning's
        """Let the parser raise its complaint; it would print every option."""
        return super().init_parser(**kwargs, exit_on_error=False, allow_abbrev=False)

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:  # noqa: ANN401
        """Parse what was given, and nothing from the process's own command line."""
        try:
            self.config = parser.parse_args(args)
        except ArgumentError as error:
            known = self._subcommand_parsers[args[0]]._option_string_actions
            raise ConfigError(explain(str(error), args[0], known)) from error
        for name, (allowed, rule) in _RANGES.items():
            value = self.config[args[0]][name]
            if value is not None and value not in allowed:
                raise ConfigError(f"`{name}` must be {rule}, got {value}.")

    def _parse_ckpt_path(self) -> None:
        """Lightning looks for hyperparameters here; our checkpoints have a record instead."""

    def before_instantiate_classes(self) -> None:
        """Settle the run folder, and where the weights come from."""
        options = self.config[self.subcommand]
        self.run_dir = self._settle_folder(options)
        self.trained: Taxonomy | None = None
        if self.subcommand != "fit":
            self.trained = self._settle_network(options)
        elif options.ckpt_path is not None:
            parser = self._parser(self.subcommand)
            plain = yaml.safe_load(parser.dump(options, skip_none=False))
            self.trained = refuse_other_run(Path(options.ckpt_path), plain)

    def _settle_folder(self, options: Namespace) -> Path:
        """Name the run folder; never write over a training run."""
        fits = self.subcommand == "fit"
        if options.run_dir is None:
            configs = options.get("config") or []
            stem = Path(str(configs[-1])).stem if configs else options.data.dataset
            options.run_dir = Path("runs") / (stem if fits else f"{stem}_{self.subcommand}")
        run_dir: Path = options.run_dir
        last = run_dir / "checkpoints" / "last.ckpt"
        if fits and options.resume:
            if not last.is_file():
                raise ConfigError(
                    f"`resume` needs '{last}', which is missing. Start without `--resume true`."
                )
            options.ckpt_path = str(last)
        elif last.exists():
            way_out = "Go on with it by `--resume true`, or name" if fits else "Name"
            raise ConfigError(
                f"`run_dir` must be new, got '{run_dir}' with a training run in it. {way_out} "
                "another with `--run_dir DIR`."
            )
        return run_dir

    def _settle_network(self, options: Namespace) -> Taxonomy:
        """Take the network to score from the checkpoint, which knows what it is."""
        if options.ckpt_path is None:
            raise ConfigError(
                f"`{self.subcommand}` needs a checkpoint to score, got none. Add `--ckpt_path "
                "FILE` (`.ckpt` or `.safetensors`)."
            )
        network, config, taxonomy, _ = load_network(Path(options.ckpt_path))
        given = {"weights": None, "preprocess": network.preprocess.name}
        for name, value in (vars(config) | given).items():
            options.model.network[name] = value
        return taxonomy

    def after_instantiate_classes(self) -> None:
        """Refuse to go on with a network on data of other classes."""
        trained, given = self.trained, self.datamodule.taxonomy
        if trained is not None and trained.names != given.names:
            raise ConfigError(
                f"The checkpoint's classes ('{trained.name}', {trained.num_classes}) must be those "
                f"of the data, got '{given.name}' with {given.num_classes}. Choose the `data` that "
                "it was trained on."
            )

    def instantiate_trainer(self, **kwargs: Any) -> pl.Trainer:  # noqa: ANN401 - Lightning's
        """Fill in what the user left open: loggers, checkpoints, precision."""
        options = self.config[self.subcommand]
        given = self._get(self.config_init, "trainer")
        self.history = History(self.run_dir / "metrics.csv")
        self.model.seed = self.datamodule.seed = int(options.seed_everything)
        callbacks: list[Callback] = [self.history, Guards(), *(given.get("callbacks") or [])]
        loggers: Any = given.get("logger")
        if self.subcommand == "fit":
            folder = self.run_dir / "checkpoints"
            self.best = BestCheckpoint(folder)
            callbacks += [self.best, LastCheckpoint(folder / "last.ckpt", options.checkpoint_every)]
            if loggers is None:
                loggers = [
                    TensorBoardLogger(self.run_dir, name="tensorboard", version=""),
                    CSVLogger(self.run_dir, name="csv"),
                ]
        if given.get("enable_progress_bar") is not False:
            callbacks.append(ProgressBar())
        device = choose_device("cpu" if given.get("accelerator") == "cpu" else "auto")
        defaults: dict[str, Any] = {
            "callbacks": callbacks,
            "logger": loggers if loggers is not None else False,
            "default_root_dir": self.run_dir,
            "use_distributed_sampler": False,  # our samplers share the data out themselves
            "precision": given.get("precision") or choose_precision(device),
            "enable_checkpointing": self.subcommand == "fit",
            "enable_model_summary": False,
            "plugins": [AtomicCheckpointIO(), *(given.get("plugins") or [])],
        }
        try:
            return super().instantiate_trainer(**defaults, **kwargs)
        except (TypeError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise ConfigError(f"`trainer` must hold options that fit, got: {reason}") from error

    def fit(self, model: SegmentationModule, **kwargs: Any) -> None:  # noqa: ANN401
        """Train, then score the best checkpoint and write everything down."""
        record = self._start_record()
        self.trainer.fit(model, weights_only=True, **kwargs)
        self.trainer.save_checkpoint(self.run_dir / "checkpoints" / "last.ckpt", weights_only=False)
        best = self.best.best()
        if best is None:
            reason = (
                "The validation images show no pixel of a class, all is void: there is no score. "
                "Check `data.val_split`."
                if self.history.rows
                else "No validation ran while training. Lower `trainer.check_val_every_n_epoch` or "
                "`trainer.val_check_interval`."
            )
            _log.warning("%s The last weights are kept and scored.", reason)
        self._score(record, "validate", best)

    def validate(self, model: SegmentationModule, **kwargs: Any) -> None:  # noqa: ANN401
        """Score a checkpoint on the split of the command."""
        self._score(self._start_record(), str(self.subcommand), Path(kwargs["ckpt_path"]))

    test = validate

    def _start_record(self) -> dict[str, Any]:
        """Write config and record before anything can go wrong, so that every run has them."""
        record = {
            "started": now(),
            "finished": None,
            "seconds": None,
            "seed": self.model.seed,
            "precision": str(self.trainer.precision),
            "num_processes": self.trainer.world_size,
            "num_parameters": sum(p.numel() for p in self.model.parameters()),
            "command": shlex.join(["parsenet", *self.arguments]),
            **describe_machine(self.trainer.strategy.root_device),
        }
        if self.trainer.is_global_zero:
            write_json(self.run_dir / "record.json", record)
            parser, options = self._parser(self.subcommand), self.config[self.subcommand]
            parser.save(options, self.run_dir / "config.yaml", skip_none=False, overwrite=True)
        return record

    def _score(self, record: dict[str, Any], command: str, checkpoint: Path | None) -> None:
        """Score a checkpoint; write scores, samples, network, record and report."""
        seconds = self.history.seconds  # of training; the scoring below is not counted
        if checkpoint is not None:
            self.model.network.load_state_dict(load_network(checkpoint).network.state_dict())
        score = self.trainer.validate if command == "validate" else self.trainer.test
        score(self.model, datamodule=self.datamodule, verbose=False)
        model, data, result = self.model, self.datamodule, self.model.result
        if not self.trainer.is_global_zero or result is None:
            return
        record |= {"finished": now(), "seconds": round(seconds, 1)}
        if self.subcommand == "fit":
            published = self.run_dir / "model.safetensors"
            save_network(published, model.network, model.config, model.taxonomy)
            checkpoint = checkpoint or published
        split = data.config.val_split if command == "validate" else data.config.test_split
        evaluation = Evaluation.of(result.images, model.taxonomy, split, checkpoint)
        evaluation.write(self.run_dir)
        dataset = data.datasets["val" if command == "validate" else "test"]
        write_samples(self.run_dir, model.eval(), dataset, evaluation)
        write_json(self.run_dir / "record.json", record)
        values = [f"{name} {100 * getattr(result.scores, name):.2f}" for name in SCORES]
        shown = ", ".join(values).replace("_", " ").replace("iou", "IoU")
        _log.info("%s.\nPer cent: %s.", evaluation.card, shown)
        _log.info("Report: %s", write_report(self.run_dir))
