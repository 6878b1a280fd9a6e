"""`parsenet doctor` and `parsenet browse`: look at the data before training."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from parsenet.config import DataConfig, FolderConfig
from parsenet.errors import ConfigError
from parsenet.files import read_yaml, write_bytes_atomically
from parsenet.options import overrides_of, parse_sections, positional


@dataclass(frozen=True)
class DataChoice:
    """Which data."""

    source: Path = positional()
    """Config, run folder, or folder of data of your own (with --taxonomy). Any option of `data` may
    follow, such as --data.root DIR."""
    layout: FolderConfig = FolderConfig()
    train: str | None = None
    """Name of the training split (a folder's: train)."""
    val: str | None = None
    """Name of the validation split (a folder's: val)."""


@dataclass(frozen=True)
class DoctorOptions:
    """Read every image and label of a data set once, and say what is wrong, with exit code 1."""

    data: DataChoice
    overrides: tuple[str, ...] = overrides_of("data")
    json: str | None = None
    """Write everything as JSON to this file; - for the screen."""
    out: Path | None = None
    """Folder to write doctor.json and report.html to."""
    fast: bool = False
    """Leave the pixels of images alone; labels are read."""
    show: int = 5
    """Files to name per finding."""
    workers: int = 0
    """Threads; 0 for one per core."""


@dataclass(frozen=True)
class BrowseOptions:
    """Draw contact sheets of training samples as the network gets them, augmented."""

    data: DataChoice
    out: Path
    """Folder of the sheets."""
    overrides: tuple[str, ...] = overrides_of("data")
    split: str | None = None
    """Split to show, if not that of training."""
    count: int = 24
    """Samples to show."""
    epoch: int = 0
    """Epoch of the training order."""
    seed: int | None = None
    """Start of the randomness, if not the config's."""
    raw: bool = False
    """Whole images, in order, unchanged."""


def doctor(options: DoctorOptions) -> int:
    """Run the command; return its exit code."""
    if options.workers < 0 or options.show < 0:
        raise ConfigError(
            f"`--workers` and `--show` must not be negative, got {options.workers} and "
            f"{options.show}."
        )
    from parsenet.check.report import diagnose, write_page, write_text

    config, _ = find_data(options.data, options.overrides)
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)  # before the reading, not after it
    diagnosis = diagnose(config, options.fast, options.workers)
    record = json.dumps(diagnosis.to_dict(), indent=1, ensure_ascii=False)
    files = {Path(options.json): record} if options.json and options.json != "-" else {}
    if options.out is not None:
        page = write_page(diagnosis, options.show)
        files |= {options.out / "doctor.json": record, options.out / "report.html": page}
    for path, text in files.items():
        # File names that are no Unicode become escapes.
        write_bytes_atomically(path, (text + "\n").encode(errors="backslashreplace"))
    print(record + "\n" if options.json == "-" else write_text(diagnosis, options.show), end="")
    return 1 if diagnosis.count("error") else 0


def browse(options: BrowseOptions) -> int:
    """Run the command; return its exit code."""
    if options.count < 1 or options.epoch < 0:
        raise ConfigError(
            f"`--count` must be at least 1 and `--epoch` at least 0, got {options.count} and "
            f"{options.epoch}."
        )
    from PIL import Image

    from parsenet.check.sheets import draw_sheet, training_keys
    from parsenet.data.build import build_dataset
    from parsenet.inference.drawing import write_image

    config, seed = find_data(options.data, options.overrides)
    split = options.split or config.train_split
    is_train = split == config.train_split and not options.raw
    dataset = build_dataset(config, split, train=is_train)
    keys: Sequence[Any] = range(len(dataset))
    title = f"{split}_raw" if options.raw else split
    if is_train:
        seed = seed if options.seed is None else options.seed
        keys = training_keys(dataset, seed, options.epoch, config.balance)
        title = f"{split}_epoch{options.epoch}"
    for old in options.out.glob(f"{title}_[0-9][0-9][0-9].png"):
        old.unlink()
    keys, failed = keys[: options.count], 0
    for start in range(0, len(keys), 12):
        sheet, wrong = draw_sheet(dataset, keys[start : start + 12])
        path, failed = options.out / f"{title}_{start // 12 + 1:03d}.png", failed + wrong
        write_image(path, Image.fromarray(sheet))
        print(path)
    if failed:
        print(f"{failed} of {len(keys)} could not be loaded; see the sheets.", file=sys.stderr)
    return int(failed > 0)


def find_data(choice: DataChoice, overrides: Sequence[str] = ()) -> tuple[DataConfig, int]:
    """Return the options of the data of a config, of a run or of a plain folder, and the seed.

    Overrides such as `--data.root DIR` win.

    Raises:
        ConfigError: an option is unknown or has a wrong value, or nobody tells a folder's classes.
    """
    given = choice.source
    if (given / "config.yaml").is_file():
        given /= "config.yaml"
    if given.is_dir():
        splits = {"train_split": "train", "val_split": "val", "test_split": choice.val or "val"}
        data = {"dataset": "folder", "root": given, "folder": asdict(choice.layout), **splits}
        record: dict[str, Any] = {"data": data}
    elif choice.layout != FolderConfig():
        raise ConfigError(
            f"`--images`, `--labels` and `--taxonomy` must come with a folder, got '{given}'. Use "
            "`--data.folder.images` and so on to change what a config says."
        )
    else:
        record = read_yaml(given, "data: {dataset: voc2012}")
    if not isinstance(record.get("data"), dict):
        raise ConfigError(
            f"'{given}' must have a section `data:`, got none. Give the config of a run, or the "
            "folder of the data."
        )
    named = {"train_split": choice.train, "val_split": choice.val}
    words = [*(f"--data.{name}={value}" for name, value in named.items() if value), *overrides]
    sections = {"data": record["data"]}
    config = parse_sections({"data": DataConfig}, sections, f"'{given}'", words).data
    if given.is_dir() and config.dataset == "folder" and not config.folder.taxonomy:
        raise ConfigError(
            f"'{given}' must be a config, a run folder, or come with `--taxonomy`, got a folder "
            "alone. `--images`, `--labels`, `--train` and `--val` tell where data of your own do "
            "not lie as `images/{split}/*` and `labels/{split}/{stem}.png`."
        )
    seed = record.get("seed_everything")
    return config, seed if isinstance(seed, int) else 0
