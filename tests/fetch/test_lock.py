import re

import pytest

from parsenet.errors import FetchError
from parsenet.fetch.lock import locked


def test_second_tool_is_refused(tmp_path):
    path = tmp_path / "out" / ".parsenet" / "lock"
    message = (
        f"'{tmp_path / 'out'}' must be free, got another tool at work in it. Wait for it to end."
    )

    with locked(path), pytest.raises(FetchError, match=f"^{re.escape(message)}$"), locked(path):
        pytest.fail("locked twice")


def test_lock_is_given_back(tmp_path):
    with locked(tmp_path / "s" / "lock"):
        pass

    with locked(tmp_path / "s" / "lock"):
        pass


def test_file_system_without_locks_is_no_obstacle(tmp_path, monkeypatch):
    def refuse(descriptor):
        raise OSError(37, "No locks available")

    monkeypatch.setattr("parsenet.fetch.lock._lock", refuse)

    with locked(tmp_path / "s" / "lock"):
        pass
