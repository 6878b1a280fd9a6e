"""The networks that a server shows, with the words and colours that describe them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from parsenet.config import InferenceConfig
from parsenet.inference.predictor import Predictor
from parsenet.taxonomy import Taxonomy


@dataclass(frozen=True, eq=False)
class ServedModel:
    """A network, its place in the row, and its name."""

    index: int
    """Position on the page; what a request calls it by."""
    name: str
    """As short as tells it from the others."""
    predictor: Predictor
    """Labels images."""

    def describe(self) -> dict[str, Any]:
        """Return what `/api/models` says about it: plain lists, numbers and strings."""
        network = self.predictor.record.get("network", {})
        taxonomy = self.predictor.taxonomy
        return {
            "index": self.index,
            "name": self.name,
            "summary": summarise(network),
            "trunk": network.get("trunk"),
            "features": list(network.get("features", [])),
            "head": network.get("head"),
            "normalize": network.get("normalize"),
            "device": str(self.predictor.device),
            "taxonomy": taxonomy.name,
            "classes": [
                {"index": index, "name": name, "colour": hex_colour(taxonomy, index)}
                for index, name in enumerate(taxonomy.names)
            ],
        }


def summarise(network: dict[str, Any]) -> str:
    """Say in a few words what tells networks apart: context, features, fusion, normalization.

    Args:
        network: the options that the checkpoint was built with; may be empty.
    """
    features = list(network.get("features", []))
    if not features:
        return "its file does not say how it is built"
    head = str(network.get("head", ""))
    if head.startswith("fcn"):
        return f"{network.get('trunk')}, {head}"
    context = "global context on" if "pool6" in features else "global context off"
    norm = "L2Norm on" if network.get("normalize") else "L2Norm off"
    return f"{context}, {norm}, {head} fusion of {' + '.join(features)}, {network.get('trunk')}"


def hex_colour(taxonomy: Taxonomy, index: int) -> str:
    """Write the colour of a class as `#rrggbb`."""
    return "#{:02x}{:02x}{:02x}".format(*taxonomy.palette[index])


def load_models(
    paths: Sequence[Path | None], device: str, precision: str, config: InferenceConfig
) -> list[ServedModel]:
    """Load the networks of a server.

    Args:
        paths: checkpoints; None is the model that the package brings along.
        device: where to run, `auto` to choose.
        precision: `32-true`, `bf16-mixed`, or `auto` to choose.
        config: windows, context and test-time augmentation.

    Raises:
        WeightsError: a file is missing, damaged, or of an unknown kind.
    """
    predictors = [Predictor.load(path, device, precision, config) for path in paths]
    names = name_apart([
        path or Path(found.name) for path, found in zip(paths, predictors, strict=True)
    ])
    return [
        ServedModel(index, name, predictor)
        for index, (name, predictor) in enumerate(zip(names, predictors, strict=True))
    ]


def name_apart(paths: Sequence[Path]) -> list[str]:
    """Name files by as many of their last parts as tell them apart.

    Checkpoints of runs are often all called `best.ckpt`; `/` counts as a part, and the same file
    given twice keeps its name.
    """
    resolved = [path.resolve() for path in paths]
    longest = max(len(path.parts) for path in resolved)
    for depth in range(1, longest + 1):
        names = ["/".join(path.parts[-depth:]) for path in resolved]
        if len(set(names)) == len(set(resolved)):
            break
    return names
