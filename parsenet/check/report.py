"""All checks of a data set, and what they found: as JSON, as text, as a page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64

from parsenet.check.checks import check_files, check_labels
from parsenet.check.duplicates import check_duplicates
from parsenet.check.findings import SEVERITIES, Finding, find, number
from parsenet.check.sheets import WRONG_COLOUR, draw_cases, legend
from parsenet.check.survey import Survey, survey
from parsenet.config import DataConfig
from parsenet.reports.page import image_uri, render_page
from parsenet.reports.tables import markdown_table

DEFAULT_BALANCE = 0.1
"""Threshold of the repeat factors shown where the config has none."""

FORMULAS = {
    "inverse_frequency": "N / (C n_c)",
    "median_frequency": "median(f) / f_c, f_c = n_c / pixels of the images that show c",
    "enet": "1 / ln(1.02 + n_c / N)",
}
"""With n_c pixels of class c, N of all classes, and C classes that occur. Void counts nowhere."""


@dataclass(frozen=True)
class Diagnosis:
    """What was found."""

    config: DataConfig
    splits: Sequence[Survey]
    findings: Sequence[Finding]
    """The worst first."""

    def count(self, severity: str) -> int:
        """Count the findings of one severity."""
        return sum(finding.severity == severity for finding in self.findings)

    @property
    def balance(self) -> float:
        """The threshold that the repeat factors are for."""
        return self.config.balance or DEFAULT_BALANCE

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        train, taxonomy = self.splits[0], self.splits[0].taxonomy
        return {
            "dataset": self.config.dataset,
            "root": None if self.config.root is None else str(self.config.root),
            **{f"{severity}s": self.count(severity) for severity in SEVERITIES},
            "classes": list(taxonomy.names),
            "void": taxonomy.void,
            "splits": {split.name: _describe(split) for split in self.splits},
            "findings": [finding.to_dict() for finding in self.findings],
            "class_weights": {
                name: values.round(4).tolist()
                for name, values in class_weights(train.pixels).items()
            },
            "formulas": FORMULAS,
            "repeat_factors": {
                "balance": self.balance,
                "factors": class_repeats(train.pixels, self.balance).round(4).tolist(),
            },
        }


def diagnose(
    config: DataConfig, fast: bool = False, workers: int = 0, progress: bool = True
) -> Diagnosis:
    """Read a data set and check it; the arguments are those of `survey`.

    Raises:
        ConfigError: the taxonomy is wrong, or `root` is not set.
    """
    splits = survey(config, fast, workers, progress)
    findings = [finding for split in splits for finding in check_files(split)]
    findings += [*check_labels(splits), *check_duplicates(splits)]
    if config.train_split == config.val_split:
        findings.append(find("same-split", split=config.train_split))
    findings.sort(key=lambda finding: SEVERITIES.index(finding.severity))
    return Diagnosis(config, splits, findings)


def _describe(split: Survey) -> dict[str, Any]:
    names, pixels = split.taxonomy.names, split.pixels
    return {
        "labels": len(pixels),
        "pixels": int(pixels.sum()) + split.values[split.taxonomy.void],
        "void": split.values[split.taxonomy.void],
        "void_share": split.void_share,
        "values": {str(value): split.values[value] for value in sorted(split.values)},
        "class_pixels": dict(zip(names, pixels.sum(axis=0).tolist(), strict=True)),
        "class_images": dict(zip(names, (pixels > 0).sum(axis=0).tolist(), strict=True)),
    }


def class_weights(pixels: Int64[np.ndarray, "n c"]) -> dict[str, Float64[np.ndarray, " c"]]:
    """Weigh classes by how rare they are; a class that never occurs weighs 1.

    Args:
        pixels: of each class in each training label.

    Returns:
        weights by the name of their formula, see `FORMULAS`.

    Source: median frequency balancing, Eigen and Fergus, arXiv:1411.4734 (SegNet's too); ENet,
    arXiv:1606.02147, section 5.2.
    """
    seen = pixels.sum(axis=0)
    around = ((pixels > 0) * pixels.sum(axis=1, keepdims=True)).sum(axis=0)
    occurs = seen > 0
    weights = {name: np.ones(len(seen)) for name in FORMULAS}
    if occurs.any():
        frequency = seen[occurs] / around[occurs]
        weights["inverse_frequency"][occurs] = seen.sum() / (occurs.sum() * seen[occurs])
        weights["median_frequency"][occurs] = np.median(frequency) / frequency
        weights["enet"][occurs] = 1 / np.log(1.02 + seen[occurs] / seen.sum())
    return weights


def class_repeats(pixels: Int64[np.ndarray, "n c"], threshold: float) -> Float64[np.ndarray, " c"]:
    """Tell how many times as often images of each class come with `data.balance: threshold`.

    Args:
        pixels: of each class in each training label.
        threshold: share of the images below which a class is rare.

    Source: LVIS, arXiv:1908.03195, appendix; `parsenet.data.sampler.repeat_factors`.
    """
    share = (pixels > 0).sum(axis=0) / max(1, len(pixels))
    repeats = np.sqrt(threshold / np.where(share > 0, share, 1.0))
    return np.maximum(1.0, np.where(share > 0, repeats, 1.0))


def write_text(diagnosis: Diagnosis, show: int = 5) -> str:
    """Write a diagnosis, the worst findings last, where the terminal stops scrolling.

    Args:
        diagnosis: what was found.
        show: files to name for each finding.
    """
    heads, rows = class_cells(diagnosis)
    parts = [f"{name}: {line}" for name, line in split_lines(diagnosis)]
    parts += [markdown_table(heads, rows, "l" + "r" * (len(heads) - 1)).rstrip()]
    parts += [weights_yaml(diagnosis)]
    for finding in reversed(diagnosis.findings):
        lines = [f"{finding.severity.upper()} {finding.code}: {finding.title}"]
        lines += [f"  {case}" for case in finding.cases[:show]]
        if len(finding.cases) > show:
            lines.append(f"  and {len(finding.cases) - show:,} more")
        parts.append("\n".join([*lines, f"  -> {finding.fix}"]))
    counts = ", ".join(number(diagnosis.count(x), x) for x in SEVERITIES)
    parts.append(f"{counts}." if diagnosis.findings else "Nothing wrong was found.")
    return "\n\n".join(parts) + "\n"


def split_lines(diagnosis: Diagnosis) -> Iterator[tuple[str, str]]:
    """Yield each split's name, and a sentence on what it holds."""
    for split in diagnosis.splits:
        sizes = sorted({x.size for x in split.images if x.size}, key=lambda x: x[0] * x[1])
        spread = " to ".join(f"{x[0]} x {x[1]}" for x in dict.fromkeys(sizes[:1] + sizes[-1:]))
        yield (
            split.name,
            f"{number(len(split.images), 'image')} with labels, {spread or 'no'} pixels "
            f"(height x width), {100 * split.void_share:.1f} % void",
        )


def class_cells(diagnosis: Diagnosis) -> tuple[list[str], list[list[str]]]:
    """Lay out the classes as a table: heads, and rows of cells."""
    train = diagnosis.splits[0]
    columns = [[f"{n} {name}" for n, name in enumerate(diagnosis.splits[0].taxonomy.names)]]
    heads = ["class"]
    for split in diagnosis.splits:
        heads += [f"{split.name} %", f"{split.name} images"]
        shares = 100 * split.pixels.sum(axis=0) / max(1, split.pixels.sum())
        images = (split.pixels > 0).sum(axis=0)
        columns += [[f"{x:.2f}" for x in shares], [f"{x:,}" for x in images]]
    columns += [[f"{x:.3f}" for x in values] for values in class_weights(train.pixels).values()]
    columns += [[f"{x:.2f}" for x in class_repeats(train.pixels, diagnosis.balance)]]
    heads += ["inverse", "median", "ENet", "repeat"]
    return heads, [list(row) for row in zip(*columns, strict=True)]


def weights_yaml(diagnosis: Diagnosis) -> str:
    """Write class weights as lists in YAML, in the order of the classes."""
    lines = ["# Class weights, in the order of the classes; one that never occurs weighs 1."]
    for name, values in class_weights(diagnosis.splits[0].pixels).items():
        listed = ", ".join(f"{value:.4g}" for value in values)
        lines += [f"# {FORMULAS[name]}", f"{name}: [{listed}]"]
    lines.append(
        f"# `repeat`: how often an image of the class comes with `data.balance: "
        f"{diagnosis.balance:g}`."
    )
    return "\n".join(lines)


def write_page(diagnosis: Diagnosis, show: int = 5) -> str:
    """Write a diagnosis as one page of HTML that needs no other file and no network.

    Args:
        diagnosis: what was found.
        show: files to name for each finding.
    """
    config, splits = diagnosis.config, {split.name: split for split in diagnosis.splits}
    sheets = [draw_cases(splits, finding) for finding in diagnosis.findings]
    taxonomy = diagnosis.splits[0].taxonomy
    return render_page(
        "doctor.html.j2",
        title=f"Doctor: {config.dataset}" + (f" in {config.root}" if config.root else ""),
        counts=[
            (n, number(n, x).partition(" ")[2]) for x in SEVERITIES for n in [diagnosis.count(x)]
        ],
        splits=list(split_lines(diagnosis)),
        findings=[
            (finding, None if sheet is None else image_uri(sheet))
            for finding, sheet in zip(diagnosis.findings, sheets, strict=True)
        ],
        show=show,
        colours=legend([*range(taxonomy.num_classes)[:40], taxonomy.void], taxonomy)
        | {"no class": WRONG_COLOUR},
        table=class_cells(diagnosis),
        weights=weights_yaml(diagnosis),
    )
