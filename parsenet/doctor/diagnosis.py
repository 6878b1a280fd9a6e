"""All checks of a data set, and what they found as one record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from parsenet.doctor.check_classes import check_classes, check_void
from parsenet.doctor.check_duplicates import check_duplicates
from parsenet.doctor.check_files import check_files
from parsenet.doctor.check_palettes import check_palettes
from parsenet.doctor.check_values import check_values
from parsenet.doctor.findings import SEVERITIES, Case, Finding
from parsenet.doctor.listing import NUMBERS, list_splits
from parsenet.doctor.source import Source
from parsenet.doctor.survey import Surveyed, survey
from parsenet.doctor.totals import Totals, describe, total, trim
from parsenet.doctor.weights import FORMULAS, class_repeats, class_weights

DEFAULT_BALANCE = 0.1
"""Threshold of the repeat factors shown where the config has none."""


@dataclass(frozen=True)
class Diagnosis:
    """What was found."""

    source: Source
    surveyed: Sequence[Surveyed]
    totals: Sequence[Totals]
    findings: Sequence[Finding]
    """The worst first."""
    names: Sequence[str]
    """Of the classes; where nobody told them, of the values that occur."""

    def count(self, severity: str) -> int:
        """Count the findings of one severity."""
        return sum(finding.severity == severity for finding in self.findings)

    @property
    def balance(self) -> float:
        """The threshold that the repeat factors are for."""
        return self.source.config.balance or DEFAULT_BALANCE

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        config = self.source.config
        train = self.totals[0]
        weights = class_weights(train)
        shown = range(len(self.names))
        return {
            "dataset": config.dataset,
            "root": None if config.root is None else str(config.root),
            "told": self.source.told,
            "errors": self.count("error"),
            "warnings": self.count("warning"),
            "notes": self.count("note"),
            "classes": list(self.names),
            "void": self.surveyed[0].split.reading.taxonomy.void,
            "splits": {one.name: describe(one, self.names) for one in self.totals},
            "findings": [finding.to_dict() for finding in self.findings],
            "class_weights": {
                name: [round(float(values[index]), 4) for index in shown]
                for name, values in weights.items()
            },
            "formulas": FORMULAS,
            "repeat_factors": {
                "balance": self.balance,
                "factors": [
                    round(float(class_repeats(train, self.balance)[index]), 4) for index in shown
                ],
            },
        }


def diagnose(
    source: Source, fast: bool = False, workers: int = 0, progress: bool = True
) -> Diagnosis:
    """Read a data set and check it.

    Args:
        source: which data.
        fast: leave the pixels of images alone; finds no broken and no similar images.
        workers: threads; 0 for one per core.
        progress: show a bar with the time left, on standard error.

    Raises:
        ConfigError: the taxonomy or a template is wrong, or `root` is not set.
    """
    splits = list_splits(source.config, source.has_split)
    surveyed = survey(splits, fast, workers, progress)
    totals = [total(one) for one in surveyed]
    findings = _check(source, surveyed, totals)
    taxonomy = splits[0].reading.taxonomy
    count = trim(taxonomy, totals) if taxonomy is NUMBERS else taxonomy.num_classes
    findings.sort(key=lambda finding: SEVERITIES.index(finding.severity))
    return Diagnosis(source, surveyed, totals, findings, taxonomy.names[:count])


def _check(source: Source, surveyed: Sequence[Surveyed], totals: Sequence[Totals]) -> list[Finding]:
    findings: list[Finding] = []
    taxonomy = surveyed[0].split.reading.taxonomy
    if source.has_split and source.config.train_split == source.config.val_split:
        findings.append(
            Finding(
                "same-split",
                "warning",
                f"Training and validation both use `{surveyed[0].name}`.",
                "Scores will tell what was learnt by heart: set `data.val_split` to other images.",
                [Case(surveyed[0].name)],
            )
        )
    if taxonomy is NUMBERS:
        findings.append(
            Finding(
                "no-taxonomy",
                "note",
                "Nobody told the classes: values are listed, and every one but 255 passes.",
                "Write a file `taxonomy.yaml` with `names: [...]` into the folder, or give "
                "`--taxonomy`.",
            )
        )
    for one, sums in zip(surveyed, totals, strict=True):
        findings += check_files(one)
        findings += check_void(one, sums)
    findings += check_values(surveyed, totals)
    findings += check_duplicates(surveyed)
    if taxonomy is not NUMBERS:
        findings += check_palettes(surveyed, taxonomy)
        findings += check_classes(surveyed, totals, len(surveyed) > 1)
    return findings
