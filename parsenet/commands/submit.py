"""`parsenet submit`: label maps for the PASCAL VOC test server, and a check of anyone's."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from parsenet.commands.predict import heeding_termination, introduce, numbers, show_failures
from parsenet.errors import ConfigError

EXAMPLES = """\
examples:
  parsenet submit model.safetensors --root VOCdevkit/VOC2012
  parsenet submit --check results.tgz --root VOCdevkit/VOC2012

The same command again goes on where it stopped. Exit codes: 0 the archive can be sent in, 1 it
cannot (or images failed), 2 refused, 130 interrupted.
"""


def main(words: list[str]) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(
        "parsenet submit",
        description="Label the test images of PASCAL VOC 2012, and pack the labels for its "
        "server; or check an archive that somebody packed.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add(
        "model",
        nargs="?",
        type=Path,
        metavar="MODEL",
        help="checkpoint; without it the bundled model",
    )
    add("--root", type=Path, help="VOC's folder, with JPEGImages and ImageSets")
    add("--split", default="test", help="list of ids in ImageSets/Segmentation (test)")
    add("--out", type=Path, default=Path("submission"), metavar="DIR", help="folder (submission)")
    add("--check", type=Path, metavar="ARCHIVE", help="only check this archive (tar or zip)")
    add("--device", default="auto", help="auto, cpu, cuda, cuda:1, ...")
    add("--precision", default="auto", help="auto, 32-true or bf16-mixed")
    add("--scales", type=numbers, default=(1.0,), metavar="S,...", help="average over sizes")
    add("--flip", action="store_true", help="average with the mirrored image")
    add("--overwrite", action="store_true", help="replace label maps that exist")
    add("--quiet", action="store_true", help="print errors only")
    given = parser.parse_args(words[1:])
    return _submit(given) if given.check is None else _check(given)


def _check(given: argparse.Namespace) -> int:
    from parsenet.submission import check_archive, find_split

    images = None if given.root is None else find_split(given.root, given.split)
    faults = check_archive(given.check, given.split, images)
    for sentence in faults:
        print(sentence)
    if images is None:
        print("Ids and sizes were not compared. Add `--root VOCdevkit/VOC2012`.", file=sys.stderr)
    if not faults and not given.quiet:
        print(f"'{given.check}' is as the server wants it.")
    return 1 if faults else 0


def _submit(given: argparse.Namespace) -> int:
    if given.root is None:
        raise ConfigError("`--root` must name VOC's folder, got nothing. Add it.")

    from parsenet.config import InferenceConfig
    from parsenet.inference.devices import Loading
    from parsenet.inference.folder import Job, RunConfig
    from parsenet.inference.frames import ReadConfig
    from parsenet.inference.results import SaveConfig
    from parsenet.inference.sources import Source
    from parsenet.submission import check_archive, find_split, pack, require_voc, results_folder

    images = find_split(given.root, given.split)
    config = InferenceConfig(scales=given.scales, flip=given.flip)
    loading = Loading(given.model, given.device, given.precision, config)
    predictor = loading.load()
    require_voc(predictor.taxonomy)
    if not given.quiet:
        print(introduce(predictor, given.model), file=sys.stderr)
    folder = results_folder(given.split)
    sources = tuple(Source(path, f"{folder}/{name}") for name, path in images.items())
    run = RunConfig(given.overwrite, progress=not given.quiet, settings=loading.settings())
    with heeding_termination():
        report = Job(sources, given.out, SaveConfig(), ReadConfig(), run).execute(predictor)
    show_failures(report, given.out)
    if report.failed:
        return 1
    archive = given.out / "results.tgz"
    pack(given.out, list(images), given.split, archive)
    if faults := check_archive(archive, given.split, images):
        archive.unlink()
        for sentence in faults:
            print(sentence)
        way_out = "No archive was written. Run the same command again with `--overwrite`."
        print(f"error: {way_out}", file=sys.stderr)
        return 1
    if not given.quiet:
        print(f"{len(images)} label maps are in '{archive}', as the server wants it.")
    return 0
