"""Networks of ours, exported and run; what runs the files: `tests/inference/test_exported.py`."""

import hashlib
import json
import re

import numpy as np
import onnx
import pytest
import torch
from torch.torch_version import TorchVersion

from parsenet.cli import main
from parsenet.errors import ConfigError, DataNotFoundError, ExportError, ParseNetError
from parsenet.export import run
from parsenet.export.config import ExportConfig
from parsenet.inference.predictor import Predictor
from parsenet.models.checkpoint import load_network
from parsenet.taxonomy import VOC2012, Taxonomy
from tests.fakes.voc import write_voc

SIZES = [(1, 1), (3, 2), (8, 8), (33, 50), (64, 64), (5, 121)]


def scores_of(path, image, precision="auto"):
    with torch.inference_mode():
        return torch.cat(list(Predictor.load(path, "cpu", precision).segmenter.bands(image)), 2)


def assert_scores_agree(one, other, sizes=SIZES):
    generator = torch.Generator().manual_seed(0)
    for size in sizes:
        image = torch.randint(0, 256, (2, 3, *size), dtype=torch.uint8, generator=generator)
        expected = scores_of(other, image, "32-true")
        torch.testing.assert_close(scores_of(one, image), expected, rtol=1e-4, atol=1e-3)


def test_onnx_scores_are_the_networks_at_any_size(exported, checkpoint):
    assert_scores_agree(exported.path, checkpoint)


def test_file_says_what_the_checkpoint_says(exported, checkpoint):
    record = Predictor.load(exported.path).record
    original = load_network(checkpoint).record

    assert {key: record[key] for key in original} == original
    assert record["licence"] == "CC0"
    assert record["checkpoint_sha256"] == hashlib.sha256(checkpoint.read_bytes()).hexdigest()


def test_model_names_its_inputs_outputs_and_layers(exported):
    graph = onnx.load(exported.path).graph

    sizes = {
        value.name: [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*graph.input, *graph.output)
    }
    assert sizes == {
        "image": ["batch", 3, "height", "width"],
        "pool6": [1, 64, 1, 1],
        "scores": ["batch", 5, "height", "width"],
        "fc7": ["batch", 64, "rows", "columns"],
    }
    assert any(node.name.startswith("head.score.fc7/") for node in graph.node)


def test_other_programs_need_not_give_a_context(exported):
    import onnxruntime as ort

    session = ort.InferenceSession(exported.path, providers=["CPUExecutionProvider"])
    image = np.zeros((1, 3, 20, 30), np.float32)

    scores, fc7 = session.run(None, {"image": image})

    assert (scores.shape, fc7.shape) == ((1, 5, 20, 30), (1, 64, 3, 4))


def test_file_names_no_folder_of_this_machine(exported):
    content = exported.path.read_bytes()

    assert str(run.__file__).rpartition("/parsenet/")[0].encode() not in content


def test_card_holds_classes_check_and_licence(exported):
    text = exported.path.with_name("tiny.onnx.md").read_text(encoding="utf-8")

    assert "in the order of their indices: background," in text
    assert "Against the checkpoint in float32, on 1 drawn images (no photographs)." in text
    assert re.search(r"\| 97 x 131, context given \| +12,707 \| +100\.0000 \|", text)
    assert "parsenet export --out tiny.onnx tiny.safetensors --num-images 1 --licence CC0" in text
    assert "Any number of images of any one size from 1x1 up." in text
    assert text.endswith("## Licence\n\nCC0\n")


def test_safetensors_come_out_as_they_went_in(checkpoint, tmp_path, capsys):
    out = tmp_path / "copy.safetensors"

    assert main(["export", str(checkpoint), "--out", str(out), "--num-images", "1"]) == 0

    before, after = load_network(checkpoint), load_network(out)
    for name, value in before.network.state_dict().items():
        assert torch.equal(after.network.state_dict()[name], value)
    printed = capsys.readouterr().out
    assert "100.0000 % of 77,040 labels equal" in printed
    assert f"and its card {out.name}.md." in printed


@pytest.mark.parametrize("suffix", [".safetensors", pytest.param(".onnx", marks=pytest.mark.slow)])
def test_459_classes_are_labelled(write_checkpoint, run_export, tmp_path, suffix):
    names = tuple(f"class {i}" for i in range(459))
    classes = Taxonomy("many", names, tuple((i // 256, i % 256, 7) for i in range(459)), void=511)
    checkpoint = write_checkpoint(classes=classes)
    loaded = load_network(checkpoint)
    with torch.no_grad():
        loaded.network.head.score["fc7"].bias[400] = 1000
    run.save_network(checkpoint, loaded.network, loaded.config, classes)

    done = run_export(checkpoint, tmp_path / f"a{suffix}")

    label = Predictor.load(done.path)(np.zeros((9, 12, 3), np.uint8))
    assert (label.dtype, set(label.flat)) == (np.uint16, {400})


def test_file_that_labels_otherwise_never_appears(
    checkpoint, write_checkpoint, run_export, tmp_path, monkeypatch
):
    other = load_network(write_checkpoint(seed=1)).network
    save = run.save_network
    monkeypatch.setattr(
        run, "save_network", lambda path, network, *rest, **more: save(path, other, *rest, **more)
    )
    out = tmp_path / "out" / "wrong.safetensors"

    with pytest.raises(
        ExportError,
        match=r"^'wrong.safetensors' must label at least 99.99 % of pixels as the checkpoint does, "
        r"got \d+\.\d{3} % \(.+\). It was not written; give `out` another ending\.$",
    ):
        run_export(checkpoint, out)

    assert list(out.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"out": "a.caffe"},
            "`out` must end in .onnx, .pt2 or .safetensors, got 'a.caffe'. The ending tells how to "
            "run it.",
        ),
        ({"num_images": 0}, "`num_images` must be at least 1, got 0."),
        (
            {"out": "a.safetensors", "preprocess_inside": True},
            "`preprocess_inside` must be left out for .safetensors, got 'a.safetensors'. This "
            "toolkit runs such a file, and preprocesses itself.",
        ),
        *[
            (
                options,
                "`int8` must come with `calibrate`, a folder of images like those to be labelled, "
                f"and `out` that ends in .onnx, got {got}.",
            )
            for options, got in (
                ({"out": "a.pt2", "int8": True, "calibrate": "b"}, "'b' and 'a.pt2'"),
                ({"int8": True}, "'None' and 'a.onnx'"),
                ({"calibrate": "b"}, "'b' and 'a.onnx'"),
            )
        ],
        ({"labels": "b"}, "`labels` must come with `images`, got none. Give both folders."),
    ],
)
def test_contradictions_are_refused(options, message):
    from pathlib import Path

    options = {"out": "a.onnx", **options}

    with pytest.raises(ConfigError) as caught:
        ExportConfig(**{key: Path(x) if isinstance(x, str) else x for key, x in options.items()})

    assert str(caught.value) == message


def test_older_torch_is_told_what_it_can_write(checkpoint, run_export, tmp_path, monkeypatch):
    monkeypatch.setattr(torch, "__version__", TorchVersion("2.8.0"))
    message = (
        "^A traced form must be made with torch 2.9 or newer, got torch 2.8.0. Update torch, or "
        "write `.safetensors`, which any version does.$"
    )

    with pytest.raises(ParseNetError, match=message):
        run_export(checkpoint, tmp_path / "model.onnx")


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"out": "tiny.safetensors"}, ConfigError,
         "`out` must be another file than the checkpoint, got '{out}' for both. Give a new name."),
        ({"images": "empty"}, DataNotFoundError,
         "`images` must be a folder of images, got none in '{images}'. Check its name."),
    ],
)  # fmt: skip
def test_what_cannot_be_exported_is_refused(
    checkpoint, run_export, tmp_path, options, kind, message
):
    before = checkpoint.read_bytes()
    options = {"out": "a.onnx"} | options
    paths = {key: checkpoint.with_name(name) for key, name in options.items()}

    with pytest.raises(kind, match=f"^{re.escape(message.format(**paths))}$"):
        run_export(checkpoint, **paths)

    assert checkpoint.read_bytes() == before


def write_metrics(path, digest):
    metrics = {"mean_iou": 0.5, "pixel_accuracy": 0.75, "protocol": "shapes val, 4 images"}
    path.write_text(json.dumps(metrics | {"card": {"checkpoint": digest}}))
    return path


def test_card_takes_the_score_of_this_very_checkpoint(checkpoint, run_export, tmp_path):
    own = hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    scores = write_metrics(tmp_path / "metrics.json", own)

    card = run_export(checkpoint, tmp_path / "a.safetensors", scores=scores).to_card()

    assert "Mean IoU 50.00 %, pixel accuracy 75.00 %: shapes val, 4 images." in card


def test_other_scores_are_refused(checkpoint, run_export, tmp_path):
    own = hashlib.sha256(checkpoint.read_bytes()).hexdigest()[:12]
    path = write_metrics(tmp_path / "metrics.json", "0" * 64)
    message = (
        f"`scores` must be of this checkpoint (sha256 {own}), got those of 000000000000. Score it "
        "with `parsenet validate`."
    )

    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        run_export(checkpoint, tmp_path / "a.safetensors", scores=path)


@pytest.mark.slow
@pytest.mark.parametrize("inside", [True, False])
def test_program_scores_are_the_networks_at_any_size(checkpoint, run_export, tmp_path, inside):
    done = run_export(checkpoint, tmp_path / "a.pt2", preprocess_inside=inside)

    assert_scores_agree(done.path, checkpoint)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".onnx", ".pt2"])
@pytest.mark.parametrize(
    "options",
    [
        {"head": "early", "upsample": "bilinear"},
        {"features": ("fc7", "conv3")},
        {"normalize": False},
        {"trunk": "squeezenet", "features": ("pool6", "fc7", "conv5", "conv4", "conv3")},
        {"trunk": "vgg16_largefov", "features": ("pool6", "fc7")},
        {"trunk": "vgg16_fcn_reduced", "head": "fcn8s"},
    ],
    ids=str,
)
def test_every_network_is_exported(write_checkpoint, run_export, tmp_path, options, suffix):
    checkpoint = write_checkpoint(**options)

    done = run_export(checkpoint, tmp_path / f"a{suffix}", preprocess_inside=True)

    # Traces of deep trunks ask for 17 pixels to a side; their ONNX takes any.
    sizes = SIZES if suffix == ".onnx" else [(33, 50), (64, 64), (17, 121)]
    assert_scores_agree(done.path, checkpoint, sizes)


@pytest.mark.slow
def test_int8_is_smaller_and_its_loss_is_told(write_checkpoint, run_export, tmp_path):
    checkpoint = write_checkpoint(classes=VOC2012, trunk="squeezenet")
    write_voc(tmp_path / "data", num_images=3, size=(40, 52))
    images = next((tmp_path / "data").rglob("JPEGImages"))

    done = run_export(
        checkpoint, tmp_path / "a.onnx", preprocess_inside=True, int8=True, images=images,
        calibrate=images, labels=images.with_name("SegmentationClass"),
    )  # fmt: skip

    assert done.path.stat().st_size < 0.4 * checkpoint.stat().st_size
    assert Predictor.load(done.path).precision == "int8"
    assert done.losses is not None
    assert done.losses["images"] == 6  # three of train, three of val; the rest has no label
    assert "Computes in int8" in done.to_card()
    assert "Mean IoU on 6 labelled images: " in done.to_card()
