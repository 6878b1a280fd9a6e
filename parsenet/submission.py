"""Label maps for the test server of PASCAL VOC: which there must be, what each is, the archive."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from parsenet.archives import Member, read_members, whole
from parsenet.data.lists import find_base, read_ids, require_files
from parsenet.data.reading import read_size
from parsenet.errors import ConfigError, FetchError
from parsenet.files import write_bytes_atomically
from parsenet.taxonomy import VOC2012, Taxonomy, voc_colour_map

_MOST_NAMED = 3
_COLOURS = voc_colour_map(VOC2012.void + 1)
_GET = "Get the data from http://host.robots.ox.ac.uk/pascal/VOC/voc2012/"

_RULES = {
    "kind": ("Entries must be plain files", "Pack the files that links lead to."),
    "place": ("Files must be '{folder}/ID.png'", "Move or delete them."),
    "twice": ("Files must be there once", "Pack the folder anew."),
    "broken": ("Files must be whole PNGs", "Write them again."),
    "mode": ("Label maps must be palette PNGs (mode P)", "Save indices with VOC's palette."),
    "size": ("Label maps must be as large as their images", "Write them at native size."),
    "values": ("Values must be 0..20, or 255", "Write class indices, not colours."),
    "palette": ("Palettes must be VOC's", "Save them with the palette of VOC's own labels."),
    "missing": ("Every id of the list must be there", "Add their label maps."),
    "extra": ("Only ids of the list must be there", "Delete the others, or check `--split`."),
}
"""What can be wrong, as a rule and a way out, in the order in which it is told."""


def results_folder(split: str) -> str:
    """Return where the server looks for label maps, below the root of the archive.

    Source: VOCdevkit, `VOCinit.m`, `VOCopts.seg.clsrespath`; comp6 is segmentation by a method
    that was trained on any data but the test images.
    """
    return f"results/VOC2012/Segmentation/comp6_{split}_cls"


def find_split(root: Path, split: str) -> dict[str, Path]:
    """Return the images of a split such as `test` by id, in the order of its list.

    Raises:
        DataNotFoundError: the folder, the list or an image is missing.
    """
    title = "VOC 2012"
    base = find_base(root, ("VOC2012", "VOCdevkit/VOC2012"), "JPEGImages", title, _GET)
    path = base / "ImageSets" / "Segmentation" / f"{split}.txt"
    ids = read_ids(path, f"{title} is not complete: '{path}' is missing. {_GET}.")
    require_files(base / "JPEGImages", [f"{name}.jpg" for name in ids], title, f"{_GET}.")
    return {name: base / "JPEGImages" / f"{name}.jpg" for name in ids}


def require_voc(taxonomy: Taxonomy) -> None:
    """Refuse a network whose classes are not VOC's in VOC's order.

    Raises:
        ConfigError: they are others.
    """
    if taxonomy.names != VOC2012.names:
        raise ConfigError(
            f"The model must have the 21 classes of '{VOC2012.name}', got {taxonomy.num_classes} "
            f"of '{taxonomy.name}'. Choose one that was trained on VOC."
        )


def pack(out_dir: Path, ids: Sequence[str], split: str, archive: Path) -> None:
    """Pack label maps as the server takes them; equal files give equal archives."""
    content = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=content, mode="wb", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for name in ids:
            info = tarfile.TarInfo(f"{results_folder(split)}/{name}.png")
            data = (out_dir / info.name).read_bytes()
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    write_bytes_atomically(archive, content.getvalue())


def check_archive(archive: Path, split: str, images: Mapping[str, Path] | None) -> list[str]:
    """Say what the server would refuse or score wrongly; nothing is unpacked to the disk.

    Ids and sizes are compared with `images`, unless that is None. Each kind of fault is a sentence
    with the first files that have it; there is none when all is well.

    Raises:
        FetchError: the file is missing, is no archive, is damaged, or was made to do harm.
    """
    if not archive.is_file():
        what = "a folder" if archive.is_dir() else "nothing there"
        raise FetchError(
            f"'{archive}' must be a tar or zip archive, got {what}. Check the path, or make one "
            "with `parsenet submit MODEL --root VOC2012`."
        )
    folder, found = results_folder(split), dict[str, list[str]]()
    with whole(archive):
        for kind, name in _find_faults(archive, folder, images):
            found.setdefault(kind, []).append(name)
    told = []
    for kind, (rule, way_out) in _RULES.items():
        if names := found.get(kind):
            shown = ", ".join(names[:_MOST_NAMED])
            more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
            verb = "lack" if kind == "missing" else "got"
            told.append(f"{rule.format(folder=folder)}, {verb} {shown}{more}. {way_out}")
    return told


def _find_faults(
    archive: Path, folder: str, images: Mapping[str, Path] | None
) -> Iterator[tuple[str, str]]:
    """Yield each fault's kind, and what to call the file that has it."""
    seen: set[str] = set()
    for member in read_members(archive):
        inner, _, file = member.name.rpartition("/")
        stem = file.removesuffix(".png")
        if member.kind == "other":
            yield "kind", f"'{member.name}'"
        elif inner != folder or stem == file:
            yield "place", f"'{member.name}'"
        elif stem in seen:
            yield "twice", f"'{stem}'"
        elif images is not None and stem not in images:
            yield "extra", f"'{stem}'"
        else:
            seen.add(stem)
            expected = read_size(images[stem]) if images else None
            for kind, detail in _check_label(member, expected):
                yield kind, f"'{stem}'{detail}"
    yield from (("missing", f"'{name}'") for name in images or {} if name not in seen)
    if not seen and images is None:
        yield "missing", "all of them"


def _check_label(member: Member, expected: tuple[int, int] | None) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with a label map, and in which way; its size is known before decoding."""
    with member.open() as stream:
        data = stream.read()
    try:
        with Image.open(io.BytesIO(data), formats=("PNG",)) as label:
            label.verify()  # checksums up to the end, which decoding does not ask for
        with Image.open(io.BytesIO(data), formats=("PNG",)) as label:
            size = label.height, label.width
            if expected not in (None, size):
                yield "size", " ({} x {}, not {} x {})".format(*size, *expected)
                return
            values = np.unique(np.asarray(label)).tolist()
            palette = label.getpalette() or []
    except Exception as error:  # Pillow answers damage with many kinds of error
        yield "broken", " (no PNG)" if isinstance(error, UnidentifiedImageError) else " (damaged)"
        return
    wrong = [value for value in values if VOC2012.num_classes <= value < VOC2012.void]
    if label.mode != "P":
        yield "mode", f" (mode {label.mode})"
    elif wrong:
        yield "values", f" ({', '.join(map(str, wrong[:_MOST_NAMED]))})"
    elif any(tuple(palette[3 * v : 3 * v + 3]) != _COLOURS[v] for v in values):
        yield "palette", ""
