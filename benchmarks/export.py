"""Time and score a network in every form that it can take on a CPU, side by side in one run.

    python benchmarks/export.py VOCdevkit/VOC2012 --threads 1 --out docs/results/export.md

Images are read beforehand; a time is that of one image's scores, the whole image at once in
float32 or int8, from uint8 pixels to the class scores of every pixel. The forms take turns image
by image, in another order each time, so that what else the machine does costs all of them alike.
Integers are calibrated on images of `train`, and scored like all the others on those of `val`.
"""

import argparse
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from copy import deepcopy
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.progress import track

from parsenet.data.labels import read_mask
from parsenet.data.reading import read_image
from parsenet.engine.record import device_name, git_commit, now
from parsenet.export.formats import quantize, save_onnx, trace
from parsenet.files import write_bytes_atomically
from parsenet.inference.segmenter import NetworkSegmenter
from parsenet.metrics.counting import count
from parsenet.metrics.scores import scores
from parsenet.models.checkpoint import LoadedNetwork, load_network
from parsenet.pretrained import bundled_path
from parsenet.reports.tables import markdown_table, percent

NUM_CALIBRATED = 32
EAGER = "PyTorch eager"

Score = Callable[[np.ndarray], np.ndarray]
"""(1, H, W, 3) uint8 to (1, K, H, W) float32."""


def read_list(root: Path, split: str, num: int | None) -> list[str]:
    """Return the ids of a split, spread evenly where there are more."""
    path = root / "ImageSets" / "Segmentation" / f"{split}.txt"
    ids = path.read_text(encoding="utf-8").split()
    return ids if num is None or num >= len(ids) else [ids[i * len(ids) // num] for i in range(num)]


def load_image(root: Path, name: str) -> np.ndarray:
    """Read an image as a runtime takes it."""
    return np.ascontiguousarray(read_image(root / "JPEGImages" / f"{name}.jpg"))[None]


def write_onnx(loaded: LoadedNetwork, folder: Path, root: Path) -> tuple[Path, Path]:
    """Write the network in float and in integers."""
    cpu = torch.device("cpu")
    segmenter = NetworkSegmenter(deepcopy(loaded.network), loaded.taxonomy, cpu, "32-true", {})
    program, interface = trace(segmenter, preprocess_inside=True)
    plain, small = folder / "float.onnx", folder / "int8.onnx"
    save_onnx(program, interface, {}, plain)
    names = read_list(root, "train", NUM_CALIBRATED)
    quantize(plain, small, (torch.from_numpy(load_image(root, x)) for x in names))
    return plain, small


def torch_forms(loaded: LoadedNetwork, compiled: bool) -> dict[str, Score]:
    """Return the forms that PyTorch runs."""
    last = deepcopy(loaded.network).to(memory_format=torch.channels_last)
    forms: dict[str, Any] = {
        EAGER: loaded.network,
        "PyTorch eager, channels_last": last,
    }
    if compiled:
        forms["PyTorch, torch.compile"] = torch.compile(deepcopy(last), dynamic=True)

    def score_with(network: Any, is_plain: bool) -> Score:  # noqa: ANN401 - also compiled ones
        def score(image: np.ndarray) -> np.ndarray:
            pixels = torch.from_numpy(image).permute(0, 3, 1, 2)
            with torch.inference_mode():
                found: np.ndarray = network(pixels.contiguous() if is_plain else pixels).numpy()
            return found

        return score

    return {name: score_with(network, name == EAGER) for name, network in forms.items()}


def onnx_forms(plain: Path, small: Path) -> dict[str, Score]:
    """Return the forms that ONNX Runtime runs."""
    import onnxruntime as ort

    def score_with(path: Path) -> Score:
        options = ort.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3
        # Threads that wait in a loop would take the cores from whichever form comes next.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        return lambda image: session.run(["scores"], {"image": image})[0]

    return {"ONNX Runtime": score_with(plain), "ONNX Runtime, int8": score_with(small)}


def openvino_forms(plain: Path, small: Path) -> dict[str, Score]:
    """Return the forms that OpenVINO runs, none where it is not installed."""
    try:
        import openvino as ov
    except ModuleNotFoundError:
        return {}

    def score_with(path: Path) -> Score:
        options = {
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "INFERENCE_PRECISION_HINT": "f32",  # else it takes bfloat16 where there is hardware
        }
        model = ov.Core().compile_model(path, "CPU", options)
        request = model.create_infer_request()

        def score(image: np.ndarray) -> np.ndarray:
            request.infer({"image": image})
            found: np.ndarray = request.get_tensor("scores").data
            return found

        return score

    return {"OpenVINO": score_with(plain), "OpenVINO, int8": score_with(small)}


def measure(
    forms: dict[str, Score], loaded: LoadedNetwork, root: Path, names: list[str]
) -> dict[str, dict[str, float]]:
    """Label every image by every form; return time, labels equal to the first's, and scores."""
    taxonomy, order = loaded.taxonomy, list(forms)
    times: dict[str, list[float]] = {name: [] for name in forms}
    size = (taxonomy.num_classes, taxonomy.num_classes)
    counts = {name: np.zeros(size, np.int64) for name in forms}
    same, pixels = dict.fromkeys(forms, 0), 0
    for _ in range(2):  # warm up; compilers look at the first sizes
        for name in names[:3]:
            for score in forms.values():
                score(load_image(root, name))
    for turn, name in enumerate(track(names, "Measuring")):
        image = load_image(root, name)
        truth = read_mask(root / "SegmentationClass" / f"{name}.png", taxonomy)
        labels: dict[str, np.ndarray] = {}
        for form in order[turn % len(order) :] + order[: turn % len(order)]:
            begin = time.perf_counter()
            found = forms[form](image)
            times[form].append(time.perf_counter() - begin)
            labels[form] = found[0].argmax(0)
        for form, label in labels.items():
            same[form] += int((label == labels[order[0]]).sum())
            counts[form] += count(label, truth, taxonomy.num_classes, taxonomy.void)
        pixels += truth.size
    return {
        form: {
            "seconds": statistics.median(times[form]),
            "same": same[form] / pixels,
            "mean_iou": scores(counts[form]).mean_iou,
        }
        for form in forms
    }


def describe(found: dict[str, dict[str, float]], heading: str, verdict: str) -> str:
    """Write the table, with what it was measured on."""
    base = found[EAGER]
    rows = [
        [
            name,
            f"{1000 * x['seconds']:.0f}",
            f"{base['seconds'] / x['seconds']:.2f}",
            f"{100 * (1 - x['same']):.3f}",
            percent(x["mean_iou"]),
            f"{100 * (x['mean_iou'] - base['mean_iou']):+.2f}",
        ]
        for name, x in found.items()
    ]
    heads = ["form", "ms", "times as fast", "labels changed, %", "mean IoU, %", "points"]
    table = markdown_table(heads, rows, "lrrrrr")
    return f"# Exported forms, side by side\n\n{heading}\n\n{table}\n{verdict}\n"


def judge(found: dict[str, dict[str, float]]) -> str:
    """Say whether int8 is 2.5 times as fast as eager float for less than 0.5 points."""
    base, lines = found[EAGER], []
    for name in (name for name in found if name.endswith("int8")):
        speed = base["seconds"] / found[name]["seconds"]
        lost = 100 * (base["mean_iou"] - found[name]["mean_iou"])
        word = "holds" if speed >= 2.5 and lost < 0.5 else "is missed"
        lines.append(
            f"- {name}: {speed:.2f} times as fast as eager float for {lost:+.2f} points of mean "
            f"IoU lost. The aim (2.5 times, under 0.5 points) {word}."
        )
    return "\n".join(lines)


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("root", type=Path, help="VOC 2012: JPEGImages, SegmentationClass, ...")
    parser.add_argument("--checkpoint", type=Path, help="default: the bundled model")
    parser.add_argument("--num", type=int, help="images of val (all)")
    parser.add_argument("--threads", type=int, help="default: as many as PyTorch takes")
    parser.add_argument("--no-compile", action="store_true", help="leave torch.compile out")
    parser.add_argument("--out", type=Path, help="file for the table")
    given = parser.parse_args()
    if given.threads:
        torch.set_num_threads(given.threads)
    loaded = load_network(given.checkpoint or bundled_path())
    names = read_list(given.root, "val", given.num)
    with tempfile.TemporaryDirectory() as folder:
        files = write_onnx(loaded, Path(folder), given.root)
        forms = torch_forms(loaded, not given.no_compile)
        forms |= onnx_forms(*files) | openvino_forms(*files)
        found = measure(forms, loaded, given.root, names)
    packages = ["torch", "onnxruntime"] + ["openvino"] * ("OpenVINO" in found)
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    name = (given.checkpoint or bundled_path()).name
    heading = (
        "`python benchmarks/export.py`: "
        f"`{name}`{'' if given.checkpoint else ' (the bundled model)'}, {len(names)} images "
        f"of VOC 2012 val as they are here; {now()[:10]}, {device_name(torch.device('cpu'))}, "
        f"{torch.get_num_threads()} threads, {platform.system()}, {versions}, commit "
        f"{(git_commit() or 'unknown')[:7]}. Medians per image."
    )
    text = describe(found, heading, judge(found))
    print(text)
    if given.out:
        write_bytes_atomically(given.out, text.encode())


if __name__ == "__main__":
    main()
