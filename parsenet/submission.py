"""Label maps for the test server of PASCAL VOC: which there must be, what each is, the archive."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from parsenet.archives import Member, is_junk, read_members, safe_name
from parsenet.data.lists import find_base, read_ids, require_files
from parsenet.data.reading import read_size
from parsenet.errors import ConfigError, FetchError
from parsenet.files import write_bytes_atomically
from parsenet.taxonomy import VOC2012, Taxonomy, voc_colour_map

_MOST_BYTES = 4 * 2**20
"""Of a label map; VOC's take some thousand."""
_MOST_MEMBERS = 100_000
_MOST_PIXELS = 2**24
_MOST_NAMED = 3
_COLOURS = voc_colour_map(VOC2012.void + 1)
_GET = "Get the data from http://host.robots.ox.ac.uk/pascal/VOC/voc2012/"

_RULES = {
    "name": ("Names must stay inside the archive", "It was made to do harm."),
    "kind": ("Entries must be plain files", "Pack the files that links lead to."),
    "place": ("Files must be '{folder}/ID.png'", "Move or delete them."),
    "twice": ("Files must be there once", "Pack the folder anew."),
    "large": ("Files must be label maps of at most 4 MiB", "Delete them."),
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
    """Return the images of a split by id, in the order of its list.

    Args:
        root: VOC's folder with `JPEGImages`, or one that holds it.
        split: name of a list, by custom `test`; labels are not needed.

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
    """Pack the label maps in `out_dir` as the server takes them; equal files give equal archives.

    Args:
        out_dir: holds the label maps in `results_folder`.
        ids: which to pack.
        split: of the ids.
        archive: `.tgz` to write, whole or not at all.
    """
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

    Args:
        archive: tar or zip, packed by anyone.
        split: which its label maps are of.
        images: by id, to compare ids and sizes with; None leaves that out.

    Returns:
        a sentence for each kind of fault, with the first files that have it; empty when all is
        well.

    Raises:
        FetchError: the file is missing, is no archive, is damaged, or unpacks without end.
    """
    if not archive.is_file():
        what = "a folder" if archive.is_dir() else "nothing there"
        raise FetchError(
            f"'{archive}' must be a tar or zip archive, got {what}. Check the path, or make one "
            "with `parsenet submit MODEL --root VOC2012`."
        )
    faults = _Faults(results_folder(split))
    seen: set[str] = set()
    for member, name in _safe_members(archive, faults):
        folder, _, file = name.rpartition("/")
        stem = file.removesuffix(".png")
        if folder != faults.folder or stem == file:
            faults.add("place", name)
        elif stem in seen:
            faults.add("twice", stem)
        elif member.size > _MOST_BYTES:
            faults.add("large", stem, f"{member.size} bytes")
        elif images is not None and stem not in images:
            faults.add("extra", stem)
        else:
            with member.open() as stream:
                _check_label(stem, stream.read(), (images or {}).get(stem), faults)
        seen.add(stem)
    for name in images or {}:
        if name not in seen:
            faults.add("missing", name)
    if not seen and images is None:
        faults.found["missing"] = ["all of them"]
    return faults.sentences()


@dataclass
class _Faults:
    """What was found, by kind of fault."""

    folder: str
    found: dict[str, list[str]] = field(default_factory=dict)

    def add(self, kind: str, name: str, detail: str = "") -> None:
        self.found.setdefault(kind, []).append(f"'{name}'" + (f" ({detail})" if detail else ""))

    def sentences(self) -> list[str]:
        told = []
        for kind, (rule, way_out) in _RULES.items():
            if names := self.found.get(kind):
                shown = ", ".join(names[:_MOST_NAMED])
                more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
                verb = "lack" if kind == "missing" else "got"
                rule = rule.format(folder=self.folder)
                told.append(f"{rule}, {verb} {shown}{more}. {way_out}")
        return told


def _safe_members(archive: Path, faults: _Faults) -> Iterator[tuple[Member, str]]:
    """Yield the files whose names are safe, with those names."""
    for count, member in enumerate(read_members(archive)):
        # To skip a member of a packed tar is to unpack it.
        if count >= _MOST_MEMBERS or member.size > 2**30:
            raise FetchError(
                f"'{archive}' must hold some thousand label maps, got '{member.name}' of "
                f"{member.size} bytes as entry {count + 1}. It was made to do harm."
            )
        try:
            name = safe_name(member.name, archive.name)
        except FetchError:
            faults.add("name", member.name)
            continue
        if member.kind == "other":
            faults.add("kind", name)
        elif member.kind == "file" and not is_junk(name):
            yield member, name


def _check_label(name: str, data: bytes, image: Path | None, faults: _Faults) -> None:
    """Note what is wrong with a label map; its size is known before it is decoded."""
    expected = None if image is None else read_size(image)
    try:
        with Image.open(io.BytesIO(data), formats=("PNG",)) as label:
            label.verify()  # checksums up to the end, which decoding does not ask for
        with Image.open(io.BytesIO(data), formats=("PNG",)) as label:
            width, height = label.size
            if width * height > _MOST_PIXELS:
                faults.add("size", name, f"{height} x {width} pixels")
                return
            if expected is not None and expected != (height, width):
                faults.add("size", name, f"{height} x {width}, not {expected[0]} x {expected[1]}")
            if label.mode != "P":
                faults.add("mode", name, f"mode {label.mode}")
                return
            values = np.unique(np.asarray(label))
            palette = label.getpalette() or []
    # Pillow answers damage with many kinds of error.
    except Exception as error:
        kind = "no PNG" if isinstance(error, UnidentifiedImageError) else "damaged"
        faults.add("broken", name, kind)
        return
    wrong = [int(value) for value in values if VOC2012.num_classes <= value < VOC2012.void]
    if wrong:
        faults.add("values", name, ", ".join(map(str, wrong[:_MOST_NAMED])))
        return
    if any(tuple(palette[3 * v : 3 * v + 3]) != _COLOURS[v] for v in map(int, values)):
        faults.add("palette", name)
