import re
import socket

import pytest

from parsenet.errors import ConfigError
from parsenet.serve.server import address_of, allowed_hosts, bind, is_loopback


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("LOCALHOST", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.1.4", False),
        ("machine.example", False),
        ("localhost.example", False),
    ],
)
def test_loopback_is_told_from_networks(host, expected):
    assert is_loopback(host) is expected


def test_names_are_checked_only_on_loopback():
    assert allowed_hosts("127.0.0.2") == {"localhost", "127.0.0.1", "::1", "127.0.0.2"}
    assert allowed_hosts("0.0.0.0") is None


def test_any_free_port_is_found_and_named():
    with bind("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]

        assert address_of(listener) == f"http://127.0.0.1:{port}/"
        assert port > 0


def test_address_of_all_interfaces_is_one_that_a_browser_can_open():
    with bind("0.0.0.0", 0) as listener:
        assert address_of(listener).startswith("http://127.0.0.1:")


def test_address_of_ip6_has_brackets():
    try:
        listener = bind("::1", 0)
    except ConfigError:
        pytest.skip("this machine has no IPv6 loopback")
    with listener:
        assert address_of(listener).startswith("http://[::1]:")


def test_taken_port_is_refused():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]

        with pytest.raises(
            ConfigError,
            match=rf"^`port` must be free and allowed, got {port} \(Address already in use\)\. Use "
            r"another, or 0 for any that is free\.$",
        ):
            bind("127.0.0.1", port)


def test_port_that_cannot_be_is_refused():
    with pytest.raises(
        ConfigError,
        match=re.escape("`port` must be in 0..65535, got 70000. 0 takes any that is free."),
    ):
        bind("127.0.0.1", 70000)


def test_address_of_another_machine_is_refused():
    with pytest.raises(
        ConfigError,
        match=r"^`host` must be an address of this machine, got '192\.0\.2\.1'\. "
        r"Use 127\.0\.0\.1\.$",
    ):
        bind("192.0.2.1", 0)


def test_name_that_means_nothing_is_refused():
    with pytest.raises(
        ConfigError,
        match=r"^`host` must be a name or an address of this machine, got 'no such\.host' \(.*\)\. "
        r"Use 127\.0\.0\.1\.$",
    ):
        bind("no such.host", 0)
