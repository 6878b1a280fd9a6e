"""A data set without faults, and the doctor's view of it."""

import pytest

from parsenet.check.report import diagnose
from parsenet.commands.data import DataChoice, find_data
from parsenet.config import FolderConfig
from tests.fakes.healthy import write_healthy


@pytest.fixture
def root(tmp_path):
    """A folder with nothing wrong in it."""
    return write_healthy(tmp_path / "data")


@pytest.fixture
def look():
    """Diagnose a folder."""

    def diagnose_folder(folder, fast=False, overrides=(), **layout):
        choice = DataChoice(folder, FolderConfig(taxonomy="taxonomy.yaml", **layout))
        return diagnose(find_data(choice, overrides)[0], fast, workers=2, progress=False)

    return diagnose_folder


@pytest.fixture
def only(look):
    """Diagnose a folder that must have exactly one finding, and return that."""

    def find_only(folder, code, fast=False):
        findings = look(folder, fast).findings
        assert [finding.code for finding in findings] == [code]
        return findings[0]

    return find_only
