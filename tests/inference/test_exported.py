"""Exported files in the place of a checkpoint. Files of real networks: `tests/export/`."""

import io
import pickle
import re
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch._export.serde.schema import SCHEMA_VERSION

from parsenet.cli import main
from parsenet.config import InferenceConfig
from parsenet.errors import ConfigError, ParseNetError, WeightsError
from parsenet.inference.predictor import Predictor
from tests.fakes.exported import CONTEXT_WEIGHT, RECORD, write_onnx, write_program

PICKLED = (
    "'{path}' must hold a program and plain numbers, got '{name}', which could run code of its "
    "own. Use a file that `parsenet export` wrote."
)


@pytest.fixture
def file(tmp_path):
    return write_onnx(tmp_path / "colours.onnx")


@pytest.fixture
def image():
    """Noise, green to the left and red to the right: the mean is neither side's."""
    pixels = np.random.default_rng(0).integers(0, 200, (20, 70, 3), dtype=np.uint8)
    pixels[:, :35, 1] += 40
    pixels[:, 35:, 0] += 55
    return pixels


def refused(kind, message, *arguments):
    with pytest.raises(kind, match=f"^{re.escape(message)}$"):
        Predictor.load(*arguments)


def test_labels_are_those_of_the_files_scores(file, image):
    label = Predictor.load(file)(image)

    scores = image + CONTEXT_WEIGHT * image.mean((0, 1))
    np.testing.assert_array_equal(label, scores.argmax(2))


def test_program_runs_like_the_onnx_file(file, tmp_path, image):
    whole = Predictor.load(file)(image)
    path = write_program(tmp_path / "colours.pt2")
    cut = InferenceConfig(window=24, overlap=8)

    np.testing.assert_array_equal(Predictor.load(path)(image), whole)
    np.testing.assert_array_equal(Predictor.load(path, config=cut)(image), whole)


def test_windows_share_the_context_of_the_whole(file, image):
    whole = Predictor.load(file)(image)
    cut = InferenceConfig(window=24, overlap=8)

    shared = Predictor.load(file, config=cut)(image)
    alone = Predictor.load(file, config=InferenceConfig(window=24, overlap=8, context="window"))

    np.testing.assert_array_equal(shared, whole)
    assert (alone(image) != whole).any()


def test_command_runs_an_exported_file(file, tmp_path, image, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(image).save("photo.png")

    assert main(["predict", str(file), "photo.png", "--quiet"]) == 0

    label = np.asarray(Image.open("predictions/photo.png"))
    np.testing.assert_array_equal(label, Predictor.load(file)(image))


def test_file_without_context_takes_none(file, tmp_path, image):
    interface = RECORD["interface"] | {"context_channels": 0}
    path = write_onnx(tmp_path / "a.onnx", RECORD | {"interface": interface})
    predictor = Predictor.load(path, config=InferenceConfig(window=24, overlap=8))

    label = predictor(image)

    assert not predictor.segmenter.has_context
    assert (label != Predictor.load(file)(image)).any()  # windows have nothing to share


@pytest.mark.parametrize(
    ("record", "arguments", "kind", "message"),
    [
        (
            None, (), WeightsError,
            "'{path}' must have a 'parsenet' record that this version can read, got none. Use a "
            "file that its `parsenet export` wrote.",
        ),
        (
            {"taxonomy": RECORD["taxonomy"]}, (), WeightsError,
            "'{path}' must have a 'parsenet' record that this version can read, got "
            "KeyError('interface'). Use a file that its `parsenet export` wrote.",
        ),
        (
            RECORD, ("cpu", "bf16-mixed"), ConfigError,
            "`precision` must be `auto` or what the exported file computes with, 32-true, got "
            "'bf16-mixed'. Use `auto`, or the checkpoint.",
        ),
        (
            RECORD, ("cuda",), ConfigError,
            "`device` must be `cpu` for an .onnx file, got 'cuda'. Use `cpu`, or a .pt2 file.",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_run_is_refused(record, arguments, kind, message, tmp_path):
    path = write_onnx(tmp_path / "a.onnx", record)

    refused(kind, message.format(path=path), path, *arguments)


def test_missing_runtime_names_the_extra(file, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)

    refused(
        ParseNetError,
        "'colours.onnx' needs 'onnxruntime', which is not installed. "
        "Run `pip install 'parsenet[export]'`.",
        file,
    )


@pytest.mark.parametrize("ending", [".onnx", ".pt2"])
def test_missing_and_damaged_files_are_refused(tmp_path, ending):
    path, broken = tmp_path / f"gone{ending}", tmp_path / f"broken{ending}"
    broken.write_bytes(b"nothing of the kind")

    refused(WeightsError, f"The weights file '{path}' must exist. Check its path.", path)
    with pytest.raises(WeightsError, match=r"could not be read as an exported network: .* anew\.$"):
        Predictor.load(broken)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("data/sample_inputs/model.pt", pickle.dumps(1)),
        ("serialized_state_dict.pt", pickle.dumps(1)),
        ("data/constants/custom_obj_0", pickle.dumps(1)),
        ("data/weights/model.pt", pickle.dumps(1)),
        ("data/weights/model_weights_config.json", b'{"config": {"a": {"use_pickle": true}}}'),
        ("data/aotinductor/model/run.so", b"code"),
    ],
)
def test_program_with_code_of_its_own_is_refused(tmp_path, name, content):
    path = tmp_path / "evil.pt2"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"evil/{name}", content)

    refused(WeightsError, PICKLED.format(path=path, name=name), path)


def test_program_of_an_older_form_is_refused_before_it_is_unpickled(tmp_path):
    # Torch falls back to it where the archive has no folder of its own.
    ran = tmp_path / "ran"

    class Code:
        def __reduce__(self):
            return Path.touch, (ran,)

    content = io.BytesIO()
    torch.save({"a": Code()}, content)
    path = tmp_path / "old.pt2"
    with (
        zipfile.ZipFile(write_program(tmp_path / "new.pt2")) as new,
        zipfile.ZipFile(path, "w") as old,
    ):
        program = next(x for x in new.namelist() if x.endswith("models/model.json"))
        old.writestr("serialized_exported_program.json", new.read(program))
        old.writestr("version", ".".join(map(str, SCHEMA_VERSION)))
        for part in ("state_dict", "constants", "example_inputs"):
            old.writestr(f"serialized_{part}.pt", content.getvalue())

    message = PICKLED.format(path=path, name="serialized_exported_program.json")
    refused(WeightsError, message, path)
    assert not ran.exists()
