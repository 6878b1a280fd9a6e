"""Bring results of an ablation that were recorded without `inputs` to today's form.

    python data_tools/convert_results.py results.jsonl --root VOC2012 --weights squeezenet.npz

A run is known by its options and by the fingerprints of its data and weights (`inputs`).
Earlier runs did not record these. The tool takes them from the data and the weights that are
named, which must be those that the runs were made with: nothing can check it but the weights'
name. Every line that it changes tells the key that it had in `converted_from`, and so that its
`inputs` are not the run's own record. Measured values are left as they are; renamed are
`num_pictures` (`num_images`) and `scoring.pictures` (`scoring.images`). Failed runs are left out:
they are tried again anyway. The file is replaced.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path

from parsenet.config import DataConfig, NetworkConfig
from parsenet.errors import ConfigError, DataNotFoundError, ParseNetError
from parsenet.files import write_bytes_atomically
from parsenet.lab.options import Options, Record, parse_options, read_inputs
from parsenet.options import parse_options as parse_words
from parsenet.options import positional


@dataclass(frozen=True)
class ConvertOptions:
    """Bring results of an ablation that were recorded without `inputs` to today's form."""

    results: Path = positional()
    """Results file, which is replaced."""
    root: Path | None = None
    """Folder of the data that the runs were made with; `shapes` needs none."""
    weights: Path | None = None
    """Weights file that they started from; none for weights known by name, or random ones."""


def convert(given: ConvertOptions) -> str:
    """Replace a results file; say what was done."""
    if not given.results.is_file():
        raise DataNotFoundError(f"'{given.results}' must be a results file. Check the path.")
    rows = [json.loads(line) for line in given.results.read_text(encoding="utf-8").splitlines()]
    kept = [row for row in rows if "failed" not in row]
    done = [row if "inputs" in row else convert_row(row, given) for row in kept]
    text = "".join(json.dumps(row, allow_nan=False) + "\n" for row in done)
    write_bytes_atomically(given.results, text.encode())
    changed = sum("inputs" not in row for row in kept)
    failed = len(rows) - len(kept)
    return f"'{given.results}': {changed} of {len(rows)} lines converted, {failed} failed left out."


def convert_row(row: Record, given: ConvertOptions) -> Record:
    """Return a line in today's form."""
    config = row["config"]
    scoring = {"images" if x == "pictures" else x: y for x, y in config["scoring"].items()}
    known = {field.name for field in fields(DataConfig)}
    data = {name: value for name, value in config["data"].items() if name in known}
    options = parse_options(config | {"data": data, "scoring": scoring}, f"run '{row['key']}'")
    name, weights = options.network.weights, str(given.weights or options.network.weights)
    options = replace(
        options.at(row["lr"], row["seed"]), data=replace(options.data, root=given.root)
    )
    inputs = _read_inputs(options.data, replace(options.network, weights=name and weights))
    if Path(weights).name != str(name) or None in inputs.values():
        raise ConfigError(f"`--weights` must be the path of '{name}', got '{weights}'.")
    options = replace(options, inputs=inputs)
    if not options.agree_with(config):
        raise ConfigError(f"Run '{row['key']}' must come out as it was recorded. Report it.")
    changes = {"key": options.key, "inputs": inputs, "config": options.to_dict()}
    renamed = {("num_images" if x == "num_pictures" else x): value for x, value in row.items()}
    return renamed | changes | {"converted_from": row["key"]}


@cache
def _read_inputs(data: DataConfig, network: NetworkConfig) -> dict[str, str | None]:
    """Read the data's lists and the weights once for all runs of the same."""
    return read_inputs(Options(network, data=data))


def main(words: Sequence[str] | None = None) -> int:
    """Run the tool; return its exit code."""
    try:
        words = sys.argv[1:] if words is None else words
        print(convert(parse_words(ConvertOptions, words, "convert_results.py")))
    except ParseNetError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
