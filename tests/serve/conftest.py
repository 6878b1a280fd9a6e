import threading

import pytest
import torch
from PIL import Image
from starlette.testclient import TestClient

from parsenet.config import NetworkConfig
from parsenet.data.shapes import Shapes
from parsenet.inference.predictor import Predictor
from parsenet.models.build import build_model
from parsenet.models.checkpoint import save_network
from parsenet.serve.app import create_app
from parsenet.serve.guard import LOOPBACK_NAMES
from parsenet.serve.limits import Limits
from parsenet.serve.models import ServedModel
from parsenet.serve.server import address_of, bind, make_server
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


@pytest.fixture
def models(checkpoints):
    return [
        ServedModel(index, path.name, Predictor.load(path, "cpu", "32-true"))
        for index, path in enumerate(checkpoints)
    ]


@pytest.fixture
def make_client(models):
    """Return a function that opens a client of a server with the limits given."""
    opened = []

    def make(limits=None, hosts=LOOPBACK_NAMES):
        client = TestClient(
            create_app(models, limits or Limits(), hosts),
            base_url="http://127.0.0.1:8000",
            raise_server_exceptions=False,
        )
        opened.append(client.__enter__())
        return client

    yield make
    for client in opened:
        client.__exit__(None, None, None)


@pytest.fixture
def client(make_client):
    return make_client()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """A Chromium that saves downloads in `browser.downloads`."""
    from tests.serve.chromium import start_browser

    downloads = tmp_path_factory.mktemp("downloads")
    driver = start_browser(downloads)
    yield driver
    driver.quit()


@pytest.fixture
def open_page(models, browser):
    """Return a function that serves some of the models and opens the page."""
    from tests.serve.chromium import complaints, find, wait

    running = []

    def run(count=2, limits=None, path=""):
        served = [ServedModel(i, model.name, model.predictor) for i, model in enumerate(models)]
        listener = bind("127.0.0.1", 0)
        server = make_server(create_app(served[:count], limits or Limits(), LOOPBACK_NAMES))
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        running.append((server, thread, listener))
        complaints(browser)  # forget what earlier pages said
        browser.get(address_of(listener) + path)
        wait(browser, lambda: find(browser, "html").get_attribute("data-ready"))
        return browser

    yield run
    browser.get("about:blank")
    for server, thread, listener in running:
        server.should_exit = True
        thread.join(20)
        listener.close()


@pytest.fixture
def image(tmp_path):
    """An image of coloured shapes, 128 x 96."""
    path = tmp_path / "shapes.png"
    Image.fromarray(Shapes("val").read(2).image).save(path)
    return path
