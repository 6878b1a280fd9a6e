import json
import os
import threading

import pytest
import requests
import torch
from PIL import Image

from parsenet.config import NetworkConfig
from parsenet.data.shapes import Shapes
from parsenet.inference.predictor import Predictor
from parsenet.models.build import build_model
from parsenet.models.checkpoint import save_network
from parsenet.serve import ServeOptions, _bind, make_server
from parsenet.taxonomy import SHAPES

NETWORKS = {
    "context.safetensors": NetworkConfig(trunk="tiny", features=("pool6", "fc7", "conv3")),
    "local.safetensors": NetworkConfig(trunk="tiny", features=("fc7", "conv3"), normalize=False),
}


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory):
    """Two files of small networks with random weights."""
    folder = tmp_path_factory.mktemp("checkpoints")
    for seed, (name, config) in enumerate(NETWORKS.items()):
        torch.manual_seed(seed)
        save_network(folder / name, build_model(config, SHAPES.num_classes), config, SHAPES)
    return [folder / name for name in NETWORKS]


@pytest.fixture(scope="session")
def predictors(checkpoints):
    return [Predictor.load(path, "cpu", "32-true") for path in checkpoints]


@pytest.fixture(scope="session")
def start(tmp_path_factory):
    """Return a function that serves networks until the tests end; it returns the address."""
    os.environ |= {  # read by gradio when it is imported
        "GRADIO_TEMP_DIR": str(tmp_path_factory.mktemp("cache")),
        "GRADIO_ANALYTICS_ENABLED": "False",
    }
    running = []

    def run(predictors, **options):
        listener = _bind(0)
        server = make_server(predictors, ServeOptions(**options))
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        running.append((server, thread, listener))
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield run
    for server, thread, listener in running:
        server.should_exit = True
        thread.join(20)
        listener.close()
    del os.environ["GRADIO_TEMP_DIR"], os.environ["GRADIO_ANALYTICS_ENABLED"]


@pytest.fixture(scope="session")
def site(start, predictors):
    """The address of a page with two networks."""
    return start(predictors, megabytes=1, megapixels=1)


@pytest.fixture
def image(tmp_path):
    """An image of coloured shapes, 128 x 96."""
    path = tmp_path / "shapes.png"
    Image.fromarray(Shapes("val").read(2).image).save(path)
    return path


@pytest.fixture
def segment():
    """Return a function that asks the API; it returns the results, or the sentence of an error."""

    def call(site, payload, opacity=0.5):
        if hasattr(payload, "read_bytes"):
            files = {"files": (payload.name, payload.read_bytes())}
            (path,) = requests.post(f"{site}/gradio_api/upload", files=files, timeout=60).json()
            payload = {"path": path, "meta": {"_type": "gradio.FileData"}}
        address = f"{site}/gradio_api/call/segment"
        event = requests.post(address, json={"data": [payload, opacity]}, timeout=60).json()
        reply = requests.get(f"{address}/{event['event_id']}", timeout=60).text
        kind, data = reply.strip().split("\n")[-2:]
        found = json.loads(data.removeprefix("data: "))
        return found["error"] if kind == "event: error" else found

    return call
