"""Label maps for the test server of PASCAL VOC: which there must be, what each is, the archive."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Iterator, Mapping, Sequence
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
    folder, found = results_folder(split), dict[str, list[str]]()
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
    for member in _bounded_members(archive):
        try:
            name = safe_name(member.name, archive.name)
        except FetchError:
            yield "name", f"'{member.name}'"
            continue
        if member.kind == "file" and not is_junk(name):
            inner, _, file = name.rpartition("/")
            stem = file.removesuffix(".png")
            if inner != folder or stem == file:
                yield "place", f"'{name}'"
            elif stem in seen:
                yield "twice", f"'{stem}'"
            else:
                yield from _check_member(member, stem, images)
            seen.add(stem)
        elif member.kind == "other":
            yield "kind", f"'{name}'"
    yield from (("missing", f"'{name}'") for name in images or {} if name not in seen)
    if not seen and images is None:
        yield "missing", "all of them"


def _bounded_members(archive: Path) -> Iterator[Member]:
    """Yield what an archive holds; to skip a member of a packed tar is to unpack it."""
    for count, member in enumerate(read_members(archive)):
        if count >= _MOST_MEMBERS or member.size > 2**30:
            raise FetchError(
                f"'{archive}' must hold some thousand label maps, got '{member.name}' of "
                f"{member.size} bytes as entry {count + 1}. It was made to do harm."
            )
        yield member


def _check_member(
    member: Member, name: str, images: Mapping[str, Path] | None
) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with a label map; its size is known before it is decoded."""
    if member.size > _MOST_BYTES:
        yield "large", f"'{name}' ({member.size} bytes)"
        return
    if images is not None and name not in images:
        yield "extra", f"'{name}'"
        return
    with member.open() as stream:
        data = stream.read()
    try:
        with Image.open(io.BytesIO(data), formats=("PNG",)) as label:
            label.verify()  # checksums up to the end, which decoding does not ask for
        with Image.open(io.BytesIO(data), formats=("PNG",)) as label:
            width, height = label.size
            if width * height > _MOST_PIXELS:
                yield "size", f"'{name}' ({height} x {width} pixels)"
                return
            values = np.unique(np.asarray(label)).tolist()
            palette = label.getpalette() or []
    # Pillow answers damage with many kinds of error.
    except Exception as error:
        what = "no PNG" if isinstance(error, UnidentifiedImageError) else "damaged"
        yield "broken", f"'{name}' ({what})"
        return
    if images and (expected := read_size(images[name])) != (height, width):
        yield "size", f"'{name}' ({height} x {width}, not {expected[0]} x {expected[1]})"
    wrong = [value for value in values if VOC2012.num_classes <= value < VOC2012.void]
    if label.mode != "P":
        yield "mode", f"'{name}' (mode {label.mode})"
    elif wrong:
        yield "values", f"'{name}' ({', '.join(map(str, wrong[:_MOST_NAMED]))})"
    elif any(tuple(palette[3 * v : 3 * v + 3]) != _COLOURS[v] for v in values):
        yield "palette", f"'{name}'"
