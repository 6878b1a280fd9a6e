"""A run folder: read, and written as a page and as Markdown."""

import json
import re

import pytest

from parsenet.errors import DataNotFoundError
from parsenet.reports.runs import read_run, write_report
from tests.fakes.run import METRICS, RECORD, write_run


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    """A finished run with its report."""
    folder = tmp_path_factory.mktemp("runs") / "<b>run"
    write_run(folder)
    write_report(folder)
    return folder


@pytest.fixture
def page(run_dir):
    return (run_dir / "report.html").read_text(encoding="utf-8")


def test_files_of_a_run_are_read(run_dir):
    run = read_run(run_dir)

    assert (run.name, run.record, run.metrics) == ("<b>run", RECORD, METRICS)
    assert run.config == "seed_everything: 0\n"
    assert [path.name for path in run.samples] == ["sample_0.png", "sample_1.png"]
    assert run.curves["train/loss"][:2] == [(99, 1.0), (199, 0.5)]  # without the gaps of the CSV
    assert len(run.curves["val/mIoU"]) == 6


def test_run_that_was_stopped_early_has_empty_parts_and_finite_curves(tmp_path):
    (tmp_path / "record.json").write_text("{}", encoding="utf-8")
    csv = "epoch,step,loss\n0,1,nan\n0,2,inf\n0,3,2.5\n"
    (tmp_path / "metrics.csv").write_text(csv, encoding="utf-8")

    run = read_run(tmp_path)

    assert (run.metrics, run.config, run.samples) == ({}, "", ())
    assert run.curves == {"loss": [(3, 2.5)]}


def test_folder_of_something_else_is_refused(tmp_path):
    message = (
        f"'{tmp_path}' must be a run folder, got neither `record.json` nor `metrics.json` "
        "in it. Give the folder that `parsenet fit` wrote."
    )

    with pytest.raises(DataNotFoundError, match=f"^{re.escape(message)}$"):
        read_run(tmp_path)


def test_page_needs_no_other_file(page):
    sources = re.findall(r'(?:src|href)="([^"]*)"', page)

    assert sum(source.startswith("data:image/jpeg") for source in sources) == 3
    assert all(source.startswith(("data:", "#")) for source in sources)
    assert not re.search(r"<script|<link|@import|https?://(?!www.w3.org)", page)


@pytest.mark.parametrize(
    "text",
    [
        "<h1>&lt;b&gt;run</h1>",
        "<b>90.00</b>pixel accuracy, %",
        "<tr><td>ball</td><td>50.00</td>",
        "<tr><td>moon</td><td>-</td>",
        '<p class="note">native size, void left out.</p>',
        "<figcaption>01_sample_iou_12.34</figcaption>",
        "<pre>parsenet fit --config configs/shapes.yaml</pre>",
        "<tr><td>git commit</td><td>0123abc</td></tr>",
        "<tr><td>torch</td><td>2.4.0</td></tr>",
        "seed_everything: 0",
        *(f">{name}</text>" for name in ("Loss", "val/loss", "Mean IoU", "Confusion matrix")),
    ],
)
def test_page_tells(text, page):
    assert text in page


def test_page_of_a_part_of_a_run_says_what_it_lacks(tmp_path):
    write_run(tmp_path)
    (tmp_path / "metrics.json").unlink()
    page = write_report(tmp_path).read_text(encoding="utf-8")
    assert "This run has no scores: it ended before its evaluation." in page

    entry = METRICS["classes"][0]
    classes = [entry | {"name": f"class {i}", "iou": i / 459} for i in range(459)]
    metrics = METRICS | {"classes": classes, "confusion": [[1] * 459] * 459}
    (tmp_path / "metrics.json").write_text(json.dumps(metrics), encoding="utf-8")
    (tmp_path / "record.json").unlink()
    page = write_report(tmp_path).read_text(encoding="utf-8")
    assert "How it was made" not in page
    assert "IoU by class, % (the 40 lowest of 459)</text>" in page
    assert page.count("<tr><td>class ") == 459


def test_markdown_links_the_images(run_dir):
    text = (run_dir / "report.md").read_text(encoding="utf-8")

    links = re.findall(r"\]\(([^)]*)\)", text)
    assert links == [
        "confusion.svg",
        "worst/01_sample_iou_12.34.png",
        "samples/sample_0.png",
        "samples/sample_1.png",
    ]
    assert all((run_dir / link).is_file() for link in links)
