"""A trained network as one file that says what it is."""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

from parsenet.config import NetworkConfig
from parsenet.errors import WeightsError
from parsenet.files import write_bytes_atomically
from parsenet.models.build import build_model
from parsenet.models.parsenet import ParseNet
from parsenet.models.weights import METADATA_KEY, read_weights, refuse_not_finite
from parsenet.taxonomy import Taxonomy
from parsenet.version import __version__


class LoadedNetwork(NamedTuple):
    """What a checkpoint holds."""

    network: ParseNet
    config: NetworkConfig
    taxonomy: Taxonomy
    record: dict[str, Any]


def describe(
    network: ParseNet, config: NetworkConfig, taxonomy: Taxonomy, portable: bool = False
) -> dict[str, Any]:
    """Return the record that travels with weights: plain lists, numbers and strings.

    That of a file to give away is `portable`: it names no folder of this machine.
    """
    if portable and config.weights:
        config = replace(config, weights=Path(config.weights).name)
    return {
        "version": __version__,
        "network": asdict(config) | {"features": list(config.features)},
        "preprocess": network.preprocess.name,
        "taxonomy": taxonomy.to_dict(),
    }


def save_network(
    path: Path,
    network: ParseNet,
    config: NetworkConfig,
    taxonomy: Taxonomy,
    *,
    half: bool = False,
    remarks: Mapping[str, Any] | None = None,
) -> None:
    """Write a network as safetensors with its record inside, atomically.

    With `half` it is stored in float16, half the size; counters stay whole numbers. `remarks` go
    into the record too, such as a licence.
    """
    from safetensors.torch import save

    state = {
        name: (value.half() if half and value.is_floating_point() else value).cpu().contiguous()
        for name, value in network.state_dict().items()
    }
    record = describe(network, config, taxonomy, portable=True) | dict(remarks or {})
    write_bytes_atomically(path, save(state, {METADATA_KEY: json.dumps(record)}))


def load_network(path: Path) -> LoadedNetwork:
    """Read a network from our `.safetensors` or a Lightning `.ckpt`, ready to predict.

    Raises:
        WeightsError: the file is missing or damaged, does not say what it is, says it in the
            terms of another version, or holds numbers that are not finite.
    """
    tensors, record = read_weights(path)
    if record is None:
        raise WeightsError(
            f"'{path}' must be a checkpoint of this toolkit (it has no '{METADATA_KEY}' record). "
            "Weights of others can only start a training run: `--model.network.weights`."
        )
    try:
        options = dict(record["network"])
        stored = NetworkConfig(**options | {"features": tuple(options["features"])})
        taxonomy = Taxonomy.from_dict(record["taxonomy"])
        config = replace(stored, weights=None, preprocess=record["preprocess"])
        network = build_model(config, taxonomy.num_classes)
    except (KeyError, TypeError, ValueError) as error:  # an option or a name that we lack
        raise WeightsError(
            f"'{path}' must have a record that this version can read, got one of version "
            f"{record.get('version')}. Install that version of the toolkit."
        ) from error
    refuse_not_finite(tensors, path)
    try:
        network.load_state_dict({name.removeprefix("network."): x for name, x in tensors.items()})
    except RuntimeError as error:
        raise WeightsError(
            f"'{path}' does not hold the network that its record describes: {error}"
        ) from error
    return LoadedNetwork(network.eval(), stored, taxonomy, record)
