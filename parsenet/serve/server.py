"""The application on a socket, until Ctrl-C."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import logging
import os
import socket

import uvicorn
from starlette.types import ASGIApp

from parsenet.errors import ConfigError
from parsenet.serve.guard import LOOPBACK_NAMES

_MAX_CONNECTIONS = 64
_IDLE_SECONDS = 5
_FAREWELL_SECONDS = 2


def is_loopback(host: str) -> bool:
    """Tell whether only programs on this machine reach an address or name."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def allowed_hosts(host: str) -> frozenset[str] | None:
    """Return the names that requests may call a server by; None allows any.

    Bound to loopback, only this machine's own names are right. Bound to a network, a machine has
    names that it does not know itself.
    """
    return LOOPBACK_NAMES | {host.lower()} if is_loopback(host) else None


def bind(host: str, port: int) -> socket.socket:
    """Open a socket to listen on.

    Args:
        host: address or name of this machine.
        port: 0 takes any that is free.

    Raises:
        ConfigError: the port is taken or forbidden, or the host is not this machine.
    """
    if not 0 <= port <= 65535:
        raise ConfigError(f"`port` must be in 0..65535, got {port}. 0 takes any that is free.")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        raise ConfigError(
            f"`host` must be a name or an address of this machine, got '{host}' ({error}). "
            "Use 127.0.0.1."
        ) from error
    try:
        if os.name == "posix":  # a restart takes the port again at once; Windows would share it
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen()
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRNOTAVAIL:
            raise ConfigError(
                f"`host` must be an address of this machine, got '{host}'. Use 127.0.0.1."
            ) from error
        raise ConfigError(
            f"`port` must be free and allowed, got {port} ({error.strerror}). Use another, or 0 "
            "for any that is free."
        ) from error
    return listener


def address_of(listener: socket.socket) -> str:
    """Return the address to open in a browser on this machine."""
    host, port = listener.getsockname()[:2]
    if ipaddress.ip_address(host).is_unspecified:
        host = "127.0.0.1"
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def make_server(app: ASGIApp) -> uvicorn.Server:
    """Return what runs the application; when it ends, what is under way gets two seconds.

    Args:
        app: what answers.
    """
    # Its warnings tell of every broken request, and of libraries that nobody misses here.
    logging.getLogger("uvicorn").setLevel(logging.ERROR)
    return uvicorn.Server(
        uvicorn.Config(
            app,
            # The pure Python parser: the same everywhere, and limited in what it buffers.
            http="h11",
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            limit_concurrency=_MAX_CONNECTIONS,
            timeout_keep_alive=_IDLE_SECONDS,
            timeout_graceful_shutdown=_FAREWELL_SECONDS,
        )
    )


def serve(app: ASGIApp, listener: socket.socket) -> None:
    """Answer requests until Ctrl-C, which is how a server ends.

    Args:
        app: what answers.
        listener: from `bind`.
    """
    with contextlib.suppress(KeyboardInterrupt):
        make_server(app).run([listener])
