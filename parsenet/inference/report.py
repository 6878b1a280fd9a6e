"""What became of every image of a run."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from parsenet.files import write_bytes_atomically

FAILED_NAME = "failed.json"
"""File in the output folder that says which images failed, and why; absent when none did."""


@dataclass
class Report:
    """Images by their path as it was typed; of a video, its frames."""

    done: list[str] = field(default_factory=list)
    """Images whose results were written."""
    skipped: list[str] = field(default_factory=list)
    """Images whose results all existed already."""
    failed: dict[str, str] = field(default_factory=dict)
    """Images without results, and a sentence that says why."""

    def add(self, others: Iterable[Report]) -> None:
        """Take over what other processes report."""
        for other in others:
            self.done += other.done
            self.skipped += other.skipped
            self.failed |= other.failed

    def write_failures(self, out_dir: Path) -> None:
        """Write `failed.json`, where there is something to tell."""
        if self.failed:
            text = json.dumps(self.failed, indent=2, ensure_ascii=False)
            # File names that are no Unicode become JSON escapes.
            content = text.encode(errors="backslashreplace")
            write_bytes_atomically(out_dir / FAILED_NAME, content)
