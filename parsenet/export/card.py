"""The card beside an exported file: what it is, what it was made of, how it was checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from parsenet.export.agreement import Agreement
from parsenet.models.parsenet import PREPROCESS
from parsenet.reports.tables import markdown_table, percent

_NO_SCORE = (
    "Not known: no `metrics.json` that was made with this very checkpoint lay beside it. Score it "
    "with `parsenet validate`, or give `--scores`."
)
_NO_LICENCE = (
    "Not stated. Give `--licence`. The weights learned from images whose terms may bind them too."
)


def write_card(
    name: str,
    record: Mapping[str, Any],
    agreements: Sequence[Agreement],
    checked: str,
    losses: Mapping[str, float] | None,
) -> str:
    """Write a model card in Markdown.

    Args:
        name: of the file.
        record: what the file says about itself.
        agreements: what its check found.
        checked: what images it was checked on.
        losses: `images`, and mean IoU of the `checkpoint` and of the `file`, where it was scored.
    """
    network, taxonomy = record["network"], record["taxonomy"]
    parts = {
        "What it is": (
            f"ParseNet on the trunk `{network['trunk']}`, head `{network['head']}`, features "
            f"{', '.join(network['features'])}, {'' if network['normalize'] else 'not '}"
            f"L2-normalized. Made from `{record['checkpoint']}` (sha256 "
            f"{record['checkpoint_sha256'][:12]}) by\n\n    {record['command']}\n\n"
            f"with parsenet {record['version']}."
        ),
        "Input and output": _describe_interface(record, name),
        "Classes": f"{len(taxonomy['names'])} of `{taxonomy['name']}`, in the order of their "
        f"indices: {', '.join(taxonomy['names'])}. Colours are in the record; "
        f"{taxonomy['void']} is void in label maps.",
        "Score of the checkpoint": _describe_score(record.get("score")),
        "Check of this file": _describe_check(record, agreements, checked, losses),
        "Licence": record.get("licence") or _NO_LICENCE,
    }
    text = "\n".join(f"## {head}\n\n{body.strip()}\n" for head, body in parts.items())
    return f"# {name}\n\n{text}"


def _describe_interface(record: Mapping[str, Any], name: str) -> str:
    interface = record.get("interface")
    if interface is None:
        return (
            "Weights by name, read by this toolkit. RGB images in [0, 255] of any size; "
            f"preprocessing (`{record['preprocess']}`) is inside the network."
        )
    if interface["preprocess_inside"]:
        image = "uint8 (N, H, W, 3), RGB as decoders give it; preprocessing is inside."
    else:
        known = PREPROCESS[record["preprocess"]]
        image = (
            f"float32 (N, 3, H, W), {known.order}, (x - mean) / std of x in [0, 255] with mean "
            f"{list(known.mean)} and std {list(known.std)}."
        )
    # torch.export keeps the sizes of a deep trunk open from 17 pixels on only.
    smallest = "17x17" if name.endswith(".pt2") else "1x1"
    lines = [
        f"- `image`: {image} Any number of images of any one size from {smallest} up.",
        f"- `scores`: float32 (N, {len(record['taxonomy']['names'])}, H, W), before the softmax; "
        "the label is the class of the largest.",
    ]
    if channels := interface["context_channels"]:
        lines += [
            f"- `pool6`: float32 (1, {channels}, 1, 1), global context to use. nan, the default in "
            "ONNX, takes the image's own.",
            f"- `fc7`: float32 (N, {channels}, h, w), whose mean over an image is its `pool6`.",
        ]
    lines.append(f"- Computes in {interface['precision']}.")
    return "\n".join(lines)


def _describe_score(score: Mapping[str, Any] | None) -> str:
    if score is None:
        return _NO_SCORE
    return (
        f"Mean IoU {percent(score['mean_iou'])} %, pixel accuracy "
        f"{percent(score['pixel_accuracy'])} %: {score['protocol']}."
    )


def _describe_check(
    record: Mapping[str, Any],
    agreements: Sequence[Agreement],
    checked: str,
    losses: Mapping[str, float] | None,
) -> str:
    rows = [
        [x.what, f"{x.pixels:,}", f"{100 * x.share:.4f}", f"{x.difference:.2g}"] for x in agreements
    ]
    heads = ["images", "pixels", "labels equal, %", "largest difference of a score"]
    text = f"Against the checkpoint in float32, on {checked}.\n\n"
    text += markdown_table(heads, rows, "lrrr")
    if losses is not None:
        text += (
            f"\nMean IoU on {losses['images']:.0f} labelled images: "
            f"{percent(losses['checkpoint'])} % by the checkpoint, {percent(losses['file'])} % by "
            f"this file ({100 * (losses['file'] - losses['checkpoint']):+.2f} points)."
        )
    return text
