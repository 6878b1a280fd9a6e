"""Checks of the files: missing, broken, of wrong size or kind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from parsenet.doctor.examine import ImageFacts, LabelFacts
from parsenet.doctor.findings import Case, Finding, Severity, image_case, label_case, number
from parsenet.doctor.survey import Surveyed

_TURNED = {3: "180°", 6: "90° clockwise", 8: "90° anticlockwise"}


def check_files(surveyed: Surveyed) -> Iterator[Finding]:
    """Yield what is wrong with the files of a split."""
    split = surveyed.split
    if split.refusal:
        yield Finding(
            "split-refused",
            "error",
            f"`{split.name}` cannot be loaded as it is.",
            "Do what the loader says.",
            [Case(split.name, split.refusal)],
        )
    elif not split.pairs and not split.lone_images:
        yield Finding(
            "empty-split",
            "error",
            f"`{split.name}` has no images.",
            "Check `data.root`, the name of the split, and the template of the images.",
            [Case(split.name)],
        )
    yield from _check_pairs(surveyed)
    yield from _check_reading(surveyed)
    yield from _check_sizes(surveyed)
    yield from _check_contents(surveyed)


def _check_pairs(surveyed: Surveyed) -> Iterator[Finding]:
    split = surveyed.split
    if split.lone_images:
        labels = {pair.label for pair in split.pairs} | set(split.expected)
        cases = [
            Case(str(image), _lone_detail(image, label, labels))
            for image, label in zip(split.lone_images, split.expected, strict=True)
        ]
        yield Finding(
            "image-without-label",
            "error",
            f"{number(len(cases), 'image')} of `{split.name}` without a label.",
            "Add the labels, take the images away, or correct the template of the labels.",
            cases,
        )
    if split.lone_labels:
        yield Finding(
            "label-without-image",
            "warning",
            f"{number(len(split.lone_labels), 'label')} of `{split.name}` without an image.",
            "They are never used. Add the images, if they were forgotten.",
            [Case(str(path)) for path in split.lone_labels],
        )
    if split.repeated:
        yield Finding(
            "shared-label",
            "error",
            f"{number(len(split.repeated), 'image')} of `{split.name}` with the label of another"
            " one.",
            "Give every image its own name, or narrow the template, for instance to `*.jpg`.",
            [Case(str(other), f"has the name of '{one}'") for one, other in split.repeated],
        )


def _lone_detail(image: Path, label: Path, labels: set[Path | None]) -> str:
    if not image.is_file():
        return "the image is missing too"
    if image in labels:
        return "is the label of another image: narrow the template of the images"
    return f"expected '{label}'"


def _check_reading(surveyed: Surveyed) -> Iterator[Finding]:
    images = [
        image_case(surveyed, index, facts.error)
        for index, facts in enumerate(surveyed.images)
        if facts.error
    ]
    if images:
        yield Finding(
            "unreadable-image",
            "error",
            f"{number(len(images), 'image')} of `{surveyed.name}` cannot be read.",
            "Copy or export them again, or take them out together with their labels.",
            images,
        )
    for trouble, code, what, fix in (
        (
            "unreadable",
            "unreadable-label",
            "cannot be read",
            "Copy or export them again, or take them out together with their images.",
        ),
        (
            "lossy",
            "lossy-label",
            "stored as JPEG, which smears class indices",
            "Export them again as PNG from the annotations. Converting the JPEGs keeps the smear.",
        ),
        ("refused", "refused-label", "refused by the loader", "Do what the loader says."),
    ):
        cases = [
            label_case(surveyed, index, facts.error)
            for index, facts in enumerate(surveyed.labels)
            if facts.trouble == trouble
        ]
        if cases:
            title = f"{number(len(cases), 'label')} of `{surveyed.name}` {what}."
            yield Finding(code, "error", title, fix, cases)


def _check_sizes(surveyed: Surveyed) -> Iterator[Finding]:
    kinds: dict[str, list[Case]] = {"size-mismatch": [], "exif-turned": [], "exif-unclear": []}
    for index, (image, label) in enumerate(zip(surveyed.images, surveyed.labels, strict=True)):
        if image.size is None or label.size is None:
            continue
        code, detail = _compare_sizes(image, label)
        if code:
            kinds[code].append(label_case(surveyed, index, detail))
    texts: dict[str, tuple[Severity, str, str]] = {
        "size-mismatch": (
            "error",
            "of another size than the image",
            "Export them at the size of the image, or resize them with nearest neighbour (any "
            "other way invents classes). Check that image and label belong together.",
        ),
        "exif-turned": (
            "error",
            "drawn on images that a camera's EXIF orientation turns",
            "Turn the images' pixels and drop the tag (`exiftran -ai *.jpg`, or Pillow's "
            "`ImageOps.exif_transpose`), then turn the labels the same way.",
        ),
        "exif-unclear": (
            "warning",
            "of images with an EXIF orientation that leaves their size as it is",
            "Sizes cannot tell whether the labels are turned with the images: look at the "
            "overlays, and drop the tag by turning the pixels.",
        ),
    }
    for code, cases in kinds.items():
        if cases:
            severity, what, fix = texts[code]
            title = f"{number(len(cases), 'label')} of `{surveyed.name}` {what}."
            yield Finding(code, severity, title, fix, cases)


def _compare_sizes(image: ImageFacts, label: LabelFacts) -> tuple[str, str]:
    """Tell what is wrong with two sizes: a finding's code, '' for nothing, and the detail."""
    assert image.size is not None
    assert label.size is not None
    (height, width), (rows, columns) = image.size, label.size
    orientation = image.header.orientation if image.header else 1
    sizes = f"image {height} x {width}, label {rows} x {columns} (height x width)"
    if (height, width) == (rows, columns):
        if orientation == 1 or (orientation >= 5 and height != width):
            return "", ""
        return "exif-unclear", f"orientation {orientation} ({_TURNED.get(orientation, 'mirrored')})"
    if orientation >= 5 and (width, height) == (rows, columns):
        return "exif-turned", f"{sizes}; orientation {orientation}"
    if (width, height) == (rows, columns):
        return "size-mismatch", f"{sizes}: one of them lies on its side"
    if rows * width == columns * height:
        return "size-mismatch", f"{sizes}: the same shape at {rows / height:.3g} of the scale"
    return "size-mismatch", sizes


def _check_contents(surveyed: Surveyed) -> Iterator[Finding]:
    constant = [
        image_case(surveyed, index)
        for index, facts in enumerate(surveyed.images)
        if facts.look is not None and facts.look.is_constant
    ]
    if constant:
        yield Finding(
            "constant-image",
            "warning",
            f"{number(len(constant), 'image')} of `{surveyed.name}` of one colour only.",
            "Usually a failed export or download: copy them again or take them out.",
            constant,
        )
