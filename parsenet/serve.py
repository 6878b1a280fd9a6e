"""A local web page to look at labels, on gradio: one network, or two side by side.

Everything is served from this machine to this machine, and nothing is kept when the page ends.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import tempfile
import webbrowser
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from parsenet.config import InferenceConfig
from parsenet.data.reading import read_image
from parsenet.errors import ConfigError, ImageError, ParseNetError
from parsenet.inference.drawing import measure_areas
from parsenet.options import positional
from parsenet.taxonomy import Taxonomy

if TYPE_CHECKING:
    import gradio
    import uvicorn

    from parsenet.inference.predictor import Predictor

_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF")
"""What images come in; left out is what Pillow hands to other programs, such as EPS."""
_MAX_SIDE = 1280
"""Pixels of an image on the page; the mask is as large as the upload."""
_MAX_WAITING = 4
PATIENCE = 30.0
"""Seconds; a client may take up to twice as long to say its whole request."""
_POLICY = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; frame-ancestors 'none'"
"""A browser loads nothing from elsewhere. Gradio's own scripts and styles are partly inline."""


@dataclass(frozen=True)
class ServeOptions:
    """Open a local web page: drop an image and see its labels, of two checkpoints side by side."""

    checkpoint: tuple[Path, ...] = positional("*", ())
    """None for the bundled model, or one or two files of networks."""
    port: int = 8000
    """0 takes any that is free."""
    open: bool = False
    """Also open the browser."""
    megabytes: int = 32
    """Largest upload, in MiB."""
    megapixels: int = 50
    """Largest image, in millions of pixels."""
    memory: float = 2.0
    """GiB before an image is cut into windows."""
    device: str = "auto"
    """Such as cpu, cuda or cuda:1."""
    precision: str = "auto"
    """32-true or bf16-mixed."""

    def __post_init__(self) -> None:
        if len(self.checkpoint) > 2:
            raise ConfigError(
                f"`checkpoint` must be one or two files, got {len(self.checkpoint)}. The page "
                "shows two side by side."
            )
        # 178 megapixels is where Pillow refuses an image by itself.
        limits = {"port": (0, 65535), "megabytes": (1, 1024), "megapixels": (1, 178)}
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigError(f"`{name}` must be in {low}..{high}, got {value}.")


def serve(options: ServeOptions) -> int:
    """Run the command until Ctrl-C; return its exit code."""
    with tempfile.TemporaryDirectory(prefix="parsenet-") as folder, _bind(options.port) as listener:
        # Gradio reads both when it is imported.
        os.environ |= {"GRADIO_TEMP_DIR": folder, "GRADIO_ANALYTICS_ENABLED": "False"}
        try:
            import gradio  # noqa: F401 - before a network is loaded, which takes a while
        except ModuleNotFoundError as error:
            raise ParseNetError(
                f"`parsenet serve` needs '{error.name}', which is not installed. "
                "Run `pip install 'parsenet[serve]'`."
            ) from error
        from parsenet.inference.predictor import Predictor

        more = options.device, options.precision, InferenceConfig(memory=options.memory)
        predictors = [Predictor.load(path, *more) for path in options.checkpoint or [None]]
        for path, predictor in zip(options.checkpoint, predictors, strict=False):
            predictor.name = str(path)  # two runs have a `best.ckpt` each
        server = make_server(predictors, options)
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        print(f"Open {address} in a browser. Ctrl-C ends.", flush=True)
        if options.open:
            webbrowser.open(address)
        with contextlib.suppress(KeyboardInterrupt):
            server.run([listener])
    print("Ended.")
    return 0


def _bind(port: int) -> socket.socket:
    """Listen on this machine alone; before a network is loaded, as a taken port tells at once."""
    try:
        return socket.create_server(("127.0.0.1", port))
    except OSError as error:
        raise ConfigError(
            f"`port` must be free and allowed, got {port} ({error.strerror}). Use another, or 0 "
            "for any that is free."
        ) from error


def build_page(predictors: Sequence[Predictor], options: ServeOptions) -> gradio.Blocks:
    """Lay out the page, with one column for each network."""
    import gradio as gr

    from parsenet.inference.writers import write_label

    def segment(path: str | None, opacity: float | int | None) -> list[Any]:
        """Label an image: overlays with the areas of the classes, and masks as PNG."""
        try:
            image = _read(Path(path or ""), options)
            labels = [_label(image, predictor) for predictor in predictors]
        except ParseNetError as error:
            raise gr.Error(str(error), duration=None, print_exception=False) from None
        folder = Path(tempfile.mkdtemp(dir=os.environ["GRADIO_TEMP_DIR"]))
        masks = [folder / f"mask_{number}.png" for number, _ in enumerate(labels, start=1)]
        for mask, label, predictor in zip(masks, labels, predictors, strict=True):
            write_label(mask, label, predictor.taxonomy)
        state = [(_shrunk(image), _shrunk(label), measure_areas(label)) for label in labels]
        return [*draw(state, opacity), *map(str, masks), state]

    def draw(state: list[Any] | None, opacity: float | int | None) -> list[Any]:
        if state is None:
            return [None] * len(predictors)
        views = []
        for (image, label, areas), predictor in zip(state, predictors, strict=True):
            sections, colours = _annotate(label, areas, predictor.taxonomy, opacity or 0)
            views.append(gr.AnnotatedImage((image, sections), color_map=colours))
        return views

    page: gradio.Blocks
    with gr.Blocks(title="ParseNet", analytics_enabled=False, delete_cache=(600, 600)) as page:
        gr.Markdown("# ParseNet\nImages stay on this machine and are deleted within 20 minutes.")
        limits = f"at most {options.megabytes} MiB and {options.megapixels} million pixels"
        with gr.Row():
            upload = gr.File(label=f"Image, {limits}", height=130)
            opacity = gr.Slider(0, 1, 0.5, step=0.05, label="Opacity")
        views, masks = [], []
        with gr.Row():
            for predictor in predictors:
                with gr.Column():
                    gr.Markdown(_describe(predictor))
                    views.append(gr.AnnotatedImage(show_label=False))
                    masks.append(gr.File(label="Mask (PNG of class indices)", height=100))
        state = gr.State()
        results = [*views, *masks, state]
        upload.upload(segment, [upload, opacity], results, api_name="segment")
        opacity.change(
            draw, [state, opacity], views, api_visibility="private", trigger_mode="always_last"
        )
    page.queue(max_size=_MAX_WAITING, default_concurrency_limit=1, api_open=False)
    return page


def _read(path: Path, options: ServeOptions) -> np.ndarray:
    """Read an upload; what its header tells of its size is checked before anything is decoded."""
    rule = f"The image must have at most {options.megapixels} million pixels"
    try:
        with Image.open(path, formats=_FORMATS) as image:
            width, height = image.size
    except Image.DecompressionBombError:
        raise ImageError(f"{rule}, got far more. Make it smaller.") from None
    except Exception:  # damaged files make decoders fail in every way there is
        raise ImageError(
            f"The upload must be an image ({', '.join(_FORMATS)}), got something else."
        ) from None
    if width * height > options.megapixels * 10**6:
        raise ImageError(
            f"{rule}, got {width} x {height}. Make it smaller, or start the page with a larger "
            "`--megapixels`."
        )
    try:
        return read_image(path)
    except ImageError as error:  # which knows the file by its place in the cache
        raise ImageError(str(error).replace(str(path), path.name)) from None


def _label(image: np.ndarray, predictor: Predictor) -> np.ndarray:
    try:
        return predictor(image)
    except (MemoryError, RuntimeError) as error:
        # Torch reports memory that it did not get as RuntimeError, in each device's words.
        if isinstance(error, RuntimeError) and "memory" not in str(error).lower():
            raise
        told = "The image must fit into memory, got one that does not. Make it smaller."
        raise ImageError(told) from None


def _annotate(
    label: np.ndarray, areas: Mapping[int, int], taxonomy: Taxonomy, opacity: float | int
) -> tuple[list[Any], dict[str, str]]:
    """Return a mask and words for each class, largest area first, and the colours by words."""
    sections, colours = [], {}
    for index, pixels in areas.items():
        share = pixels / sum(areas.values())
        words = f"{taxonomy.names[index]} " + (f"{share:.1%}" if share >= 0.001 else "< 0.1%")
        colours[words] = "#{:02x}{:02x}{:02x}".format(*taxonomy.palette[index])
        # As in an overlay, a class drawn black leaves the image as it is.
        strength = opacity * any(taxonomy.palette[index])
        sections.append((strength * (label == index), words))
    return sections, colours


def _shrunk(pixels: np.ndarray) -> np.ndarray:
    """Leave pixels out until an image or a label map is small enough to be shown."""
    step = -(-max(pixels.shape[:2]) // _MAX_SIDE)
    return pixels[::step, ::step]


def _describe(predictor: Predictor) -> str:
    """Say what tells networks apart: file, context, normalization, fused features."""
    network = predictor.record.get("network", {})
    features = list(network.get("features", []))
    context = "on" if "pool6" in features else "off"
    norm = "on" if network.get("normalize") else "off"
    fused = f"{network.get('head')} fusion of {' + '.join(features)}, {network.get('trunk')}"
    return f"**{predictor.name}**: global context {context}, L2Norm {norm}, {fused}"


def make_server(predictors: Sequence[Predictor], options: ServeOptions) -> uvicorn.Server:
    """Build what answers requests, of this machine alone."""
    import gradio as gr
    import uvicorn
    from fastapi import FastAPI, Request, Response
    from fastapi.responses import PlainTextResponse
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class Impatient(H11Protocol):
        """Closes connections that keep a request back, which would hold them for ever."""

        def connection_made(self, transport: Any) -> None:  # noqa: ANN401 - uvicorn's own type
            super().connection_made(transport)
            self.loop.call_later(PATIENCE, self.look, False)

        def look(self, was_waiting: bool) -> None:
            """Look whether the client is to speak; twice in a row is once too often."""
            cycle = self.cycle
            is_waiting = cycle is None or cycle.response_complete or cycle.more_body
            if is_waiting and was_waiting:
                self.transport.close()
            elif not self.transport.is_closing():
                self.loop.call_later(PATIENCE, self.look, is_waiting)

    async def refuse(url: str, cache_dir: str) -> str:
        raise gr.Error("The image must be uploaded, got an address. Download it first.")

    gr.processing_utils.async_ssrf_protected_download = refuse
    page = build_page(predictors, options)
    page.has_launched = True  # only then does gradio refuse paths to files that nobody uploaded
    app = FastAPI(openapi_url=None)
    most = options.megabytes * 2**20

    @app.middleware("http")
    async def guard(request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
        refusal = _refusal(request.headers, most + 2**16)  # the form around a file
        reply = PlainTextResponse(*refusal) if refusal else await answer(request)
        reply.headers["Content-Security-Policy"] = _POLICY
        return reply

    theme = gr.themes.Default(font="system-ui", font_mono="monospace")  # none from Google
    gr.mount_gradio_app(
        app, page, "/", footer_links=["api"], max_file_size=most, run_history=False,
        enable_monitoring=False, ssr_mode=False, theme=theme,
    )  # fmt: skip
    logging.getLogger("uvicorn").setLevel(logging.ERROR)  # it warns of every broken request
    return uvicorn.Server(
        uvicorn.Config(
            app, http=Impatient, ws="none", log_config=None, access_log=False,
            proxy_headers=False, server_header=False, timeout_graceful_shutdown=2,
        )
    )  # fmt: skip


def _refusal(headers: Mapping[str, str], most: int) -> tuple[str, int] | None:
    """Refuse requests of other web sites, and bodies that are too large or of unknown length.

    A site can make a browser send requests to this machine: directly, which `Origin` tells, or
    under a name of its own that it points here (DNS rebinding), which `Host` tells.
    """
    host, origin = headers.get("host", "").lower(), headers.get("origin")
    if host.partition(":")[0] not in ("localhost", "127.0.0.1"):
        return "The host must be 127.0.0.1 or localhost. Open the address that was printed.", 421
    is_own = origin is None or origin.lower().partition("://")[2] == host
    if not is_own or headers.get("sec-fetch-site") in ("cross-site", "same-site"):
        return "The request must come from this page or a program, not from another site.", 403
    # The server reads no more than is announced, whose digits it has checked.
    if "transfer-encoding" in headers or int(headers.get("content-length", 0)) > most:
        return f"The request must have a known size of at most {most} bytes.", 413
    return None
