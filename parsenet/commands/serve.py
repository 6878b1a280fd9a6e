"""`parsenet serve`: a local web page to look at labels."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from parsenet.errors import ConfigError, ParseNetError

_LOGGER = logging.getLogger(__name__)


def main(words: list[str]) -> int:
    """Run the command; return its exit code."""
    given = _parser().parse_args(words[1:])
    if len(given.checkpoint) > 2:
        raise ConfigError(
            f"`checkpoint` must be one or two files, got {len(given.checkpoint)}. The page shows "
            "two side by side."
        )
    try:
        from parsenet.serve.app import create_app
        from parsenet.serve.server import address_of, allowed_hosts, bind, is_loopback, serve
    except ModuleNotFoundError as error:
        raise ParseNetError(
            f"`parsenet serve` needs '{error.name}', which is not installed. "
            "Run `pip install 'parsenet[serve]'`."
        ) from error
    from parsenet.config import InferenceConfig
    from parsenet.serve.limits import Limits
    from parsenet.serve.models import load_models

    limits = Limits(given.megabytes, given.megapixels, given.queue)
    # The port first: a network takes seconds to load, a taken port tells at once.
    with bind(given.host, given.port) as listener:
        models = load_models(
            given.checkpoint or [None],
            given.device,
            given.precision,
            InferenceConfig(memory=given.memory),
        )
        app = create_app(models, limits, allowed_hosts(given.host))
        if not is_loopback(given.host):
            _LOGGER.warning(
                "warning: `--host %s` lets everybody who reaches this machine send images; there "
                "is no password and no encryption.",
                given.host,
            )
        for model in models:
            print(f"Model: {model.name} ({model.describe()['summary']}).")
        address = address_of(listener)
        print(f"Open {address} in a browser; its API is at {address}docs. Ctrl-C ends.", flush=True)
        if given.open:
            import webbrowser

            webbrowser.open(address)
        serve(app, listener)
    print("Ended.")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "parsenet serve",
        description="Open a local web page: drop an image and see its labels, with two checkpoints"
        " side by side. Images are never stored.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "checkpoint",
        nargs="*",
        type=Path,
        help="none for the bundled model, or one or two files of networks",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", type=int, default=8000, help="0 takes any that is free (8000)")
    parser.add_argument("--open", action="store_true", help="also open the browser")
    parser.add_argument("--megabytes", type=int, default=32, help="largest upload, in MiB (32)")
    parser.add_argument("--megapixels", type=int, default=50, help="largest image (50)")
    parser.add_argument("--queue", type=int, default=4, help="requests that may wait (4)")
    parser.add_argument(
        "--memory", type=float, default=2.0, help="GiB before an image is cut into windows (2)"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, ...")
    parser.add_argument("--precision", default="auto", help="auto, 32-true or bf16-mixed")
    return parser
