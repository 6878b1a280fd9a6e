"""The bundled model: a small network that comes with the package, and its card."""

from importlib.resources import files
from pathlib import Path

from parsenet.errors import WeightsError

MODEL_NAME = "model.safetensors"
CARD_NAME = "MODEL_CARD.md"


def bundled_path() -> Path:
    """Return the file of the model that the package brings along.

    Raises:
        WeightsError: this installation has none, such as a source tree before it was made.
    """
    path = Path(str(files("parsenet.pretrained") / MODEL_NAME))
    if not path.is_file():
        raise WeightsError(
            f"The package must hold the bundled model, got none at '{path}'. Install a released "
            "package, or give a checkpoint of your own."
        )
    return path
