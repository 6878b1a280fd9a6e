"""`parsenet fit | validate | test`: LightningCLI with this toolkit's defaults and run folder."""

import logging
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from jsonargparse import Namespace, set_parsing_settings
from pytorch_lightning.callbacks import Callback, ModelCheckpoint, RichProgressBar
from pytorch_lightning.cli import LightningArgumentParser, LightningCLI, SaveConfigCallback
from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger

from parsenet.engine.callbacks import History
from parsenet.engine.datamodule import SegmentationDataModule
from parsenet.engine.guards import Guards
from parsenet.engine.module import SegmentationModule
from parsenet.engine.record import describe_machine, now, write_json
from parsenet.engine.results import write_metrics, write_samples
from parsenet.errors import ConfigError
from parsenet.hardware import choose_device, choose_precision
from parsenet.models.checkpoint import load_network, save_network
from parsenet.reports.html import write_report

QUIET = (
    r".*isinstance\(treespec, LeafSpec\)",  # Lightning's own, pytorch-lightning#21398
    r"(?s).*JSONARGPARSE_DEPRECATION|.* removed in\s+v5\.0",  # LightningCLI's calls of jsonargparse
    r".*does not have many workers",  # the data loaders are fast; 0 workers is a choice
    r".*The number of training batches .* is smaller than the logging interval",
    r".*`ckpt_path` is not set|.*Checkpoint directory .* exists and is not empty",
)
"""Warnings of Lightning that a user can do nothing about."""

_log = logging.getLogger(__name__)


class SaveConfig(SaveConfigCallback):
    """Write the resolved config into the run folder, beside everything else."""

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Write it once, for the first stage of a run."""
        if trainer.is_global_zero and not self.already_saved:
            out_dir = Path(trainer.default_root_dir)
            out_dir.mkdir(parents=True, exist_ok=True)
            self.parser.save(self.config, out_dir / "config.yaml", skip_none=False, overwrite=True)
            self.already_saved = True


class ProgressBar(RichProgressBar):
    """Lightning's rich bar, without the number of the logger's folder."""

    def get_metrics(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> dict[str, Any]:
        """Return what stands beside the bar."""
        return {k: v for k, v in super().get_metrics(trainer, pl_module).items() if k != "v_num"}


def run(arguments: list[str]) -> "Cli":
    """Run `fit`, `validate` or `test` as the command line does.

    Args:
        arguments: the command and its options, such as `["fit", "--config", "c.yaml"]`.

    Returns:
        what ran: its `trainer`, `model`, `datamodule` and `run_dir`.

    Raises:
        ParseNetError: something the user can mend.
    """
    # The lines under the fields of our configs are their help texts.
    set_parsing_settings(docstring_parse_attribute_docstrings=True)
    for name in ("pytorch_lightning.utilities.rank_zero", "lightning_fabric.utilities.seed"):
        logging.getLogger(name).setLevel(logging.WARNING)
    with warnings.catch_warnings():
        for message in QUIET:
            warnings.filterwarnings("ignore", message)
        return Cli(arguments)


class Cli(LightningCLI):
    """Parse the command line, build everything, run it, and leave a run folder.

    Args:
        arguments: `fit`, `validate` or `test`, and their options.
    """

    def __init__(self, arguments: list[str]) -> None:
        super().__init__(
            SegmentationModule,
            SegmentationDataModule,
            args=arguments,
            save_config_callback=SaveConfig,
            seed_everything_default=0,
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,  # our checkpoints have a record of their own
            parser_kwargs={"parser_mode": "yaml"},
        )

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        """Offer three of Lightning's commands; `parsenet predict` is ours."""
        hidden = {
            "model", "datamodule", "dataloaders", "train_dataloaders", "val_dataloaders", "verbose",
            "weights_only",
        }  # fmt: skip
        return dict.fromkeys(("fit", "validate", "test"), hidden)

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the run folder's options, and tell the model the classes of the data."""
        parser.add_argument(
            "--run_dir",
            type=Path,
            default=None,
            help="Folder of the run (default: runs/NAME, after the config file).",
        )
        parser.add_argument(
            "--resume",
            type=bool,
            default=False,
            help="Go on from checkpoints/last.ckpt of the run folder.",
        )
        parser.add_argument(
            "--checkpoint_every",
            type=int,
            default=500,
            help="Iterations between two writings of checkpoints/last.ckpt.",
        )
        parser.link_arguments("data.taxonomy", "model.taxonomy", apply_on="instantiate")

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:  # noqa: ANN401
        """Parse what was given, and nothing from the process's own command line."""
        self.config = parser.parse_args(args)

    def _parse_ckpt_path(self) -> None:
        """Lightning looks for hyperparameters here; our checkpoints have a record instead."""

    def before_instantiate_classes(self) -> None:
        """Settle the run folder, and where the weights come from."""
        options = self.config[self.subcommand]
        if options.run_dir is None:
            configs = options.get("config") or []
            stem = Path(str(configs[-1])).stem if configs else options.data.dataset
            name = stem if self.subcommand == "fit" else f"{stem}_{self.subcommand}"
            options.run_dir = Path("runs") / name
        self.run_dir: Path = options.run_dir
        if self.subcommand == "fit":
            self._settle_start(options)
        else:
            self._settle_checkpoint(options)

    def _settle_start(self, options: Namespace) -> None:
        """Resume when asked to; never write over a run."""
        last = self.run_dir / "checkpoints" / "last.ckpt"
        if options.resume:
            if not last.is_file():
                raise ConfigError(
                    f"`resume` needs '{last}', which is missing. Start without `--resume true`."
                )
            options.ckpt_path = str(last)
        elif last.exists() and options.ckpt_path is None:
            raise ConfigError(
                f"`run_dir` must be new, got '{self.run_dir}' with a run in it. Go on with it by "
                "`--resume true`, or name another with `--run_dir DIR`."
            )

    def _settle_checkpoint(self, options: Namespace) -> None:
        """Take the network from the checkpoint: it knows what it is."""
        if options.ckpt_path is None:
            raise ConfigError(
                f"`{self.subcommand}` needs a checkpoint to score, got none. Add "
                "`--ckpt_path FILE` (`.ckpt` or `.safetensors`)."
            )
        self.loaded = load_network(Path(options.ckpt_path))
        for name, value in asdict(self.loaded.config).items():
            options.model.network[name] = value
        options.model.network.weights = None
        options.model.network.preprocess = self.loaded.network.preprocess.name

    def after_instantiate_classes(self) -> None:
        """Refuse to score a network on data of other classes."""
        if self.subcommand == "fit":
            return
        trained, scored = self.loaded.taxonomy, self.datamodule.taxonomy
        if trained.names != scored.names:
            raise ConfigError(
                f"The checkpoint's classes ('{trained.name}', {trained.num_classes}) must be those "
                f"of the data, got '{scored.name}' with {scored.num_classes}. Choose the `data` "
                "that it was trained on."
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
            callbacks += _checkpoints(self.run_dir / "checkpoints", options.checkpoint_every)
            if loggers is None:
                loggers = [
                    TensorBoardLogger(self.run_dir, name="tensorboard", version=""),
                    CSVLogger(self.run_dir, name="csv"),
                ]
        if given.get("enable_progress_bar") is not False:
            callbacks.append(ProgressBar(leave=True))
        defaults: dict[str, Any] = {
            "callbacks": callbacks,
            "logger": loggers if loggers is not None else False,
            "default_root_dir": self.run_dir,
            "use_distributed_sampler": False,  # our samplers share the data out themselves
            "precision": given.get("precision") or _auto_precision(given.get("accelerator")),
            "enable_checkpointing": self.subcommand == "fit",
            "enable_model_summary": False,
        }
        return super().instantiate_trainer(**defaults, **kwargs)

    def fit(self, model: SegmentationModule, **kwargs: Any) -> None:  # noqa: ANN401
        """Train, then score the best checkpoint and write everything down."""
        record = self._start_record()
        self.trainer.fit(model, weights_only=True, **kwargs)
        if self.trainer.interrupted:
            raise KeyboardInterrupt
        self.trainer.save_checkpoint(self.run_dir / "checkpoints" / "last.ckpt", weights_only=False)
        self._score(record, "validate", self._best_path())

    def validate(self, model: SegmentationModule, **kwargs: Any) -> None:  # noqa: ANN401
        """Score a checkpoint on the validation split."""
        self._score(self._start_record(), "validate", Path(kwargs["ckpt_path"]))

    def test(self, model: SegmentationModule, **kwargs: Any) -> None:  # noqa: ANN401
        """Score a checkpoint on the test split."""
        self._score(self._start_record(), "test", Path(kwargs["ckpt_path"]))

    def _start_record(self) -> dict[str, Any]:
        """Write `record.json` before anything can go wrong, so that every run has one."""
        record = {
            "started": now(),
            "finished": None,
            "seconds": None,
            "seed": self.model.seed,
            "precision": str(self.trainer.precision),
            "num_processes": self.trainer.world_size,
            "num_parameters": sum(p.numel() for p in self.model.parameters()),
            **describe_machine(self.trainer.strategy.root_device),
        }
        self._write_record(record)
        return record

    def _write_record(self, record: dict[str, Any]) -> None:
        if self.trainer.is_global_zero:
            write_json(self.run_dir / "record.json", record)

    def _score(self, record: dict[str, Any], command: str, checkpoint: Path | None) -> None:
        """Score a checkpoint; write scores, samples, network, record and report."""
        seconds = self.history.seconds  # of training; the scoring below is not counted
        if checkpoint is not None:
            self.model.network.load_state_dict(load_network(checkpoint).network.state_dict())
        score = self.trainer.validate if command == "validate" else self.trainer.test
        score(self.model, datamodule=self.datamodule, verbose=False)
        result = self.model.result
        if not self.trainer.is_global_zero or result is None:
            return
        record |= {"finished": now(), "seconds": round(seconds, 1)}
        evaluation = write_metrics(
            self.run_dir, result, self.model.taxonomy, self.datamodule.config, checkpoint
        )
        write_samples(self.run_dir, self.model, self.datamodule, evaluation)
        if self.subcommand == "fit":
            save_network(
                self.run_dir / "model.safetensors",
                self.model.network,
                self.model.config,
                self.model.taxonomy,
            )
        self._write_record(record)
        report = write_report(self.run_dir)
        _log.info(
            "%s.\nPixel accuracy %.2f, mean accuracy %.2f, mean IoU %.2f, "
            "frequency-weighted IoU %.2f (per cent). Report: %s",
            evaluation.card,
            100 * result.scores.pixel_accuracy,
            100 * result.scores.mean_accuracy,
            100 * result.scores.mean_iou,
            100 * result.scores.frequency_weighted_iou,
            report,
        )

    def _best_path(self) -> Path | None:
        """Return the checkpoint with the best validation mean IoU, if one was written."""
        for callback in self.trainer.checkpoint_callbacks:
            if isinstance(callback, ModelCheckpoint) and callback.monitor:
                return Path(callback.best_model_path) if callback.best_model_path else None
        return None


def _checkpoints(folder: Path, every: int) -> list[Callback]:
    """Keep the best checkpoint by validation mean IoU, and the last one for a resume."""
    best = ModelCheckpoint(
        folder,
        filename="best-step={step}-mIoU={val/mIoU:.4f}",
        auto_insert_metric_name=False,
        monitor="val/mIoU",
        mode="max",
        save_weights_only=True,
        save_on_train_epoch_end=False,  # there is a score only after a validation
    )
    last = ModelCheckpoint(
        folder, filename="last", every_n_train_steps=every, enable_version_counter=False
    )
    return [best, last]


def _auto_precision(accelerator: object) -> str:
    """Return the fastest precision of the hardware that the trainer will take."""
    device = choose_device("cpu" if accelerator == "cpu" else "auto")
    return choose_precision(device)
