"""All checks of a data set, and what they found: as JSON, as text, as a page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
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


@dataclass(frozen=True)
class Diagnosis:
    """What was found."""

    config: DataConfig
    splits: Sequence[Survey]
    """The first is that of training."""
    findings: Sequence[Finding]
    """The worst first."""

    def count(self, severity: str) -> int:
        """Count the findings of one severity."""
        return sum(finding.severity == severity for finding in self.findings)

    @property
    def balance(self) -> float:
        """The threshold that the repeat factors are for; 0.1 where the config has none."""
        return self.config.balance or 0.1

    @property
    def weights(self) -> dict[str, Float64[np.ndarray, " c"]]:
        """Class weights by name, and how often images of a class come with `balance`."""
        pixels = self.splits[0].pixels
        return class_weights(pixels) | {"repeat": class_repeats(pixels, self.balance)}

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        weights = {name: values.round(4).tolist() for name, values in self.weights.items()}
        return {
            "dataset": self.config.dataset,
            "root": None if self.config.root is None else str(self.config.root),
            **{f"{severity}s": self.count(severity) for severity in SEVERITIES},
            "classes": list(self.splits[0].taxonomy.names),
            "void": self.splits[0].taxonomy.void,
            "splits": {split.name: _describe(split) for split in self.splits},
            "findings": [{**asdict(x), "count": len(x.cases)} for x in self.findings],
            "repeat_factors": {"balance": self.balance, "factors": weights.pop("repeat")},
            "class_weights": weights,
        }


def diagnose(
    config: DataConfig, fast: bool = False, workers: int = 0, progress: bool = True
) -> Diagnosis:
    """Read a data set and check it; the arguments and refusals are those of `survey`."""
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
    """Weigh classes by how rare they are in training; a class that never occurs weighs 1.

    Source: median frequency balancing, Eigen and Fergus, arXiv:1411.4734 (SegNet's too); ENet,
    arXiv:1606.02147, section 5.2.
    """
    seen = pixels.sum(axis=0)
    around = ((pixels > 0) * pixels.sum(axis=1, keepdims=True)).sum(axis=0)
    occurs, total = seen > 0, max(1, seen.sum())
    frequency = np.where(occurs, seen / np.maximum(1, around), 1.0)
    median = np.median(frequency[occurs]) if occurs.any() else 1.0
    weights = {
        "inverse_frequency": total / (max(1, occurs.sum()) * np.maximum(1, seen)),
        "median_frequency": median / frequency,
        "enet": 1 / np.log(1.02 + seen / total),
    }
    return {name: np.where(occurs, values, 1.0) for name, values in weights.items()}


def class_repeats(pixels: Int64[np.ndarray, "n c"], balance: float) -> Float64[np.ndarray, " c"]:
    """Tell how many times as often images of each class come with `data.balance`.

    Source: LVIS, arXiv:1908.03195, appendix; `parsenet.data.sample.repeat_factors`.
    """
    share = (pixels > 0).sum(axis=0) / max(1, len(pixels))
    return np.maximum(1.0, np.sqrt(balance / np.where(share > 0, share, 1.0)))


def write_text(diagnosis: Diagnosis, show: int = 5) -> str:
    """Write a diagnosis with `show` files per finding; the worst last, where scrolling stops."""
    heads, rows = class_cells(diagnosis)
    table = markdown_table(heads, rows, "l" + "r" * (len(heads) - 1)).rstrip()
    parts = [*split_lines(diagnosis), table, weights_yaml(diagnosis)]
    for finding in reversed(diagnosis.findings):
        lines = [f"{finding.severity.upper()} {finding.code}: {finding.title}"]
        lines += [f"  {case}" for case in finding.cases[:show]]
        if len(finding.cases) > show:
            lines.append(f"  and {len(finding.cases) - show:,} more")
        parts.append("\n".join([*lines, f"  -> {finding.fix}"]))
    counts = ", ".join(number(diagnosis.count(x), x) for x in SEVERITIES)
    parts.append(f"{counts}." if diagnosis.findings else "Nothing wrong was found.")
    return "\n\n".join(parts) + "\n"


def split_lines(diagnosis: Diagnosis) -> Iterator[str]:
    """Yield a sentence on what each split holds."""
    for split in diagnosis.splits:
        sizes = sorted({x.size for x in split.images if x.size}, key=lambda x: x[0] * x[1])
        spread = " to ".join(f"{x[0]} x {x[1]}" for x in dict.fromkeys(sizes[:1] + sizes[-1:]))
        yield (
            f"{split.name}: {number(len(split.images), 'image')} with labels, {spread or 'no'} "
            f"pixels (height x width), {100 * split.void_share:.1f} % void"
        )


def class_cells(diagnosis: Diagnosis) -> tuple[list[str], list[list[str]]]:
    """Lay out the classes as a table: heads, and rows of cells."""
    names = diagnosis.splits[0].taxonomy.names
    heads, columns = ["class"], [[f"{n} {name}" for n, name in enumerate(names)]]
    for split in diagnosis.splits:
        heads += [f"{split.name} %", f"{split.name} images"]
        shares = 100 * split.pixels.sum(axis=0) / max(1, split.pixels.sum())
        images = (split.pixels > 0).sum(axis=0)
        columns += [[f"{x:.2f}" for x in shares], [f"{x:,}" for x in images]]
    columns += [[f"{x:.3f}" for x in values] for values in diagnosis.weights.values()]
    heads += ["inverse", "median", "ENet", "repeat"]
    return heads, [list(row) for row in zip(*columns, strict=True)]


def weights_yaml(diagnosis: Diagnosis) -> str:
    """Write class weights as lists in YAML, in the order of the classes."""
    lines = [
        f"{name}: [{', '.join(f'{value:.4g}' for value in values)}]"
        for name, values in class_weights(diagnosis.splits[0].pixels).items()
    ]
    return "\n".join([
        "# Class weights, in the order of the classes; one that never occurs weighs 1.", *lines,
        f"# `repeat`: how often an image of the class comes with `data.balance: "
        f"{diagnosis.balance:g}`.",
    ])  # fmt: skip


def write_page(diagnosis: Diagnosis, show: int = 5) -> str:
    """Write a diagnosis as one page of HTML with `show` files per finding, the first ones drawn."""
    config, splits = diagnosis.config, {split.name: split for split in diagnosis.splits}
    taxonomy = diagnosis.splits[0].taxonomy
    sheets = [draw_cases(splits, finding) for finding in diagnosis.findings]
    shown = [*range(taxonomy.num_classes)[:40], taxonomy.void]
    return render_page(
        "doctor.html.j2",
        title=f"Doctor: {config.dataset}" + (f" in {config.root}" if config.root else ""),
        counts=[number(diagnosis.count(severity), severity) for severity in SEVERITIES],
        splits=split_lines(diagnosis),
        findings=diagnosis.findings,
        sheets=[None if sheet is None else image_uri(sheet) for sheet in sheets],
        show=show,
        colours={**legend(shown, taxonomy), "no class": WRONG_COLOUR},
        table=class_cells(diagnosis),
        weights=weights_yaml(diagnosis),
    )
