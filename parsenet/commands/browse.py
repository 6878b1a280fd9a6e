"""`parsenet browse`: contact sheets of what the network is trained on."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from parsenet.errors import ConfigError

if TYPE_CHECKING:
    from parsenet.data.sample import Key


def main(words: list[str]) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(
        "parsenet browse",
        description="Draw contact sheets of images and labels as the data loader hands them to "
        "the network: for the training split augmented, with the seeds of a run.",
        epilog="With a config, any option of `data` may follow, such as `--data.root DIR`.",
        allow_abbrev=False,
    )
    from parsenet.commands.doctor import add_source_options, require_folder

    add_source_options(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of sheets")
    parser.add_argument("--split", help="split to show (the one of training)")
    parser.add_argument("--count", type=int, default=24, help="samples to show (24)")
    parser.add_argument("--epoch", type=int, default=0, help="epoch of the training order (0)")
    parser.add_argument("--seed", type=int, help="start of the randomness (the config's)")
    parser.add_argument("--raw", action="store_true", help="whole images, in order, unchanged")
    given, overrides = parser.parse_known_args(words[1:])
    if given.count < 1 or given.epoch < 0:
        raise ConfigError(
            f"`--count` must be at least 1 and `--epoch` at least 0, got {given.count} and "
            f"{given.epoch}."
        )

    from parsenet.data.build import build_dataset
    from parsenet.doctor.sheets import load, training_keys, write_sheets
    from parsenet.doctor.source import find_source, hints_of, root_of

    source = find_source(given.source, hints_of(given), [*overrides, *root_of(given)])
    require_folder(given.out)
    config = source.config
    split = given.split or config.train_split
    is_train = split == config.train_split and not given.raw
    # The cache changes no image, and a look is no reason to fill it.
    dataset = build_dataset(replace(config, cache="none"), split, train=is_train)
    seed = source.seed if given.seed is None else given.seed
    keys: Sequence[int | Key]
    if is_train:
        keys = training_keys(dataset, given.count, seed, given.epoch, config.balance)
        title = f"{split}_epoch{given.epoch}"
    else:
        keys = range(min(given.count, len(dataset)))
        title = f"{split}_raw" if given.raw else split
    samples = load(dataset, keys)
    paths, failed = write_sheets(samples, len(keys), dataset.taxonomy, given.out, title)
    for path in paths:
        print(path)
    if failed:
        print(f"{failed} of {len(keys)} could not be loaded; see the sheets.", file=sys.stderr)
    return 1 if failed else 0
