import re
import sys

import numpy as np
import pytest
from scipy.io import savemat

from parsenet.data.matlab import read_matlab, whole_numbers
from parsenet.errors import ConfigError, ImageError


def refuses(error, message):
    return pytest.raises(error, match=f"^{re.escape(message)}$")


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int16, np.float64, np.bool_])
def test_whole_numbers_of_any_type_are_read(tmp_path, kind):
    stored = np.array([[0, 1, 1], [1, 0, 1]])
    savemat(tmp_path / "a.mat", {"S": stored.astype(kind), "other": np.zeros(3)})

    values = whole_numbers(read_matlab(tmp_path / "a.mat", "S"), tmp_path / "a.mat")

    assert values.dtype.kind in "iu"
    np.testing.assert_array_equal(values, stored)


@pytest.mark.parametrize("stored", [np.array([[0.5]]), np.array([[np.nan]]), np.zeros((2, 2, 2))])
def test_other_arrays_are_refused(tmp_path, stored):
    path = tmp_path / "a.mat"
    savemat(path, {"S": stored})

    with refuses(
        ImageError,
        f"'{path}' must hold a map of whole numbers, got float64 of shape {stored.shape}. Is it "
        "from this data set?",
    ):
        whole_numbers(read_matlab(path, "S"), path)


def test_missing_variable_is_named(tmp_path):
    path = tmp_path / "a.mat"
    savemat(path, {"LabelMap": np.zeros((2, 2))})

    with refuses(
        ImageError,
        f"'{path}' must hold the variable 'S', got a file without. Is it from this data set?",
    ):
        read_matlab(path, "S")


def test_missing_file_is_named(tmp_path):
    path = tmp_path / "a.mat"

    with refuses(ImageError, f"The label '{path}' must exist. Check the path."):
        read_matlab(path, "S")


@pytest.mark.parametrize("compressed", [True, False])
def test_file_that_ends_early_is_refused_wherever_it_ends(tmp_path, compressed):
    path = tmp_path / "a.mat"
    stored = np.random.default_rng(0).integers(0, 33, (16, 16)).astype(np.uint8)
    savemat(path, {"S": stored}, do_compression=compressed)
    whole = path.read_bytes()

    for end in range(0, len(whole) - 8, 3):
        path.write_bytes(whole[:end])

        with pytest.raises(ImageError, match=f"^'{re.escape(str(path))}' must "):
            read_matlab(path, "S")


def test_image_that_is_no_matlab_file_is_refused(tmp_path):
    path = tmp_path / "a.mat"
    path.write_bytes(b"\x89PNG\r\n" * 100)

    with pytest.raises(ImageError, match=f"^'{re.escape(str(path))}' must be a whole MATLAB file"):
        read_matlab(path, "S")


def test_newer_version_is_refused_with_the_way_to_save_it(tmp_path):
    path = tmp_path / "a.mat"
    header = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM"
    path.write_bytes(header + bytes(512))

    with refuses(
        ImageError,
        f"'{path}' must be a MATLAB file of version 7 or older, got version 7.3. Save it in MATLAB "
        "with `save -v7`.",
    ):
        read_matlab(path, "S")


def test_missing_scipy_is_told_with_the_command(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.io", None)

    with refuses(
        ConfigError,
        "`scipy` must be installed to read 'a.mat', got no such package. Run `pip install "
        "'parsenet[train]'`.",
    ):
        read_matlab(tmp_path / "a.mat", "S")
