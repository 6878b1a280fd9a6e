"""A diagnosis as text for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import yaml

from parsenet.doctor.diagnosis import Diagnosis
from parsenet.doctor.findings import Finding, number
from parsenet.doctor.weights import FORMULAS, class_repeats, class_weights


def write_text(diagnosis: Diagnosis, show: int = 5) -> str:
    """Write a diagnosis, the worst findings last, where the terminal stops scrolling.

    Args:
        diagnosis: what was found.
        show: files to name for each finding.
    """
    parts = [diagnosis.source.told, guessed_options(diagnosis), *_splits(diagnosis)]
    parts += [class_table(diagnosis), weights_yaml(diagnosis)]
    parts += ["\n".join(_finding(one, show)) for one in reversed(diagnosis.findings)]
    counts = ", ".join(number(diagnosis.count(x), x) for x in ("error", "warning", "note"))
    parts.append(f"{counts}." if diagnosis.findings else "Nothing wrong was found.")
    return "\n\n".join(part for part in parts if part) + "\n"


def guessed_options(diagnosis: Diagnosis) -> str:
    """Write guessed options as the section of a config; '' where a config told them."""
    config = diagnosis.source.config
    if not diagnosis.source.is_guessed:
        return ""
    section: dict[str, object] = {"dataset": config.dataset, "root": str(config.root)}
    if config.dataset == "folder":
        section["folder"] = {
            "images": config.folder.images,
            "labels": config.folder.labels,
            "taxonomy": config.folder.taxonomy or "taxonomy.yaml",
        }
    section |= {"train_split": config.train_split, "val_split": config.val_split}
    return yaml.safe_dump({"data": section}, sort_keys=False).rstrip()


def split_lines(diagnosis: Diagnosis) -> Iterator[tuple[str, str]]:
    """Yield each split's name, and a sentence on what it holds."""
    for one, sums in zip(diagnosis.surveyed, diagnosis.totals, strict=True):
        sizes = sorted({facts.size for facts in one.images if facts.size})
        spread = ""
        if sizes:
            low, high = min(sizes, key=lambda x: x[0] * x[1]), max(sizes, key=lambda x: x[0] * x[1])
            spread = f", {low[0]} x {low[1]}" + (
                f" to {high[0]} x {high[1]} pixels" if low != high else " pixels"
            )
        yield (
            one.name,
            f"{number(len(one.split.pairs), 'image')} with labels{spread} (height x width), "
            f"{100 * sums.void_share:.1f} % void",
        )


def _splits(diagnosis: Diagnosis) -> Iterator[str]:
    for (name, line), sums in zip(split_lines(diagnosis), diagnosis.totals, strict=True):
        yield f"{name}: {line}\n  values: {histogram(sums.values, sums.is_coloured)}"


def histogram(values: dict[int, int], is_coloured: bool, limit: int = 40) -> str:
    """Write stored values with their share of all pixels, the most frequent ones."""
    everything = max(1, sum(values.values()))
    kept = sorted(sorted(values, key=lambda value: -values[value])[:limit])
    parts = [
        f"{f'#{value:06x}' if is_coloured else value} {100 * values[value] / everything:.2f} %"
        for value in kept
    ]
    more = len(values) - len(kept)
    return ", ".join(parts) + (f" and {number(more, 'rarer value')}" if more > 0 else "")


def class_cells(diagnosis: Diagnosis) -> tuple[list[str], list[list[str]]]:
    """Lay out the classes as a table: heads, and rows of cells."""
    train = diagnosis.totals[0]
    weights = class_weights(train)
    repeats = class_repeats(train, diagnosis.balance)
    heads = ["class"]
    for one in diagnosis.totals:
        heads += [f"{one.name} %", f"{one.name} images"]
    heads += ["inverse", "median", "ENet", "repeat"]
    rows = []
    for index, name in enumerate(diagnosis.names):
        row = [f"{index} {name}"]
        for one in diagnosis.totals:
            share = 100 * one.pixels[index] / max(1, one.pixels.sum())
            row += [f"{share:.2f}", f"{one.images[index]:,}"]
        row += [f"{values[index]:.3f}" for values in weights.values()]
        rows.append([*row, f"{repeats[index]:.2f}"])
    return heads, rows


def class_table(diagnosis: Diagnosis) -> str:
    """Write the classes as a table of text."""
    heads, rows = class_cells(diagnosis)
    lines = [heads, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def weights_yaml(diagnosis: Diagnosis) -> str:
    """Write class weights as lists in YAML, in the order of the classes."""
    lines = ["# Class weights, in the order of the classes; one that never occurs weighs 1."]
    for name, values in class_weights(diagnosis.totals[0]).items():
        listed = ", ".join(f"{value:.4g}" for value in values[: len(diagnosis.names)])
        lines += [f"# {FORMULAS[name]}", f"{name}: [{listed}]"]
    lines.append(
        f"# `repeat`: how often an image of the class comes with `data.balance: "
        f"{diagnosis.balance:g}`."
    )
    return "\n".join(lines)


def _finding(finding: Finding, show: int) -> Sequence[str]:
    lines = [f"{finding.severity.upper()} {finding.code}: {finding.title}"]
    lines += [f"  {case}" for case in finding.cases[:show]]
    if len(finding.cases) > show:
        lines.append(f"  and {len(finding.cases) - show:,} more")
    return [*lines, f"  -> {finding.fix}"]
