"""The page of a run, and its Markdown."""

import base64
import io
import json
import re
from html.parser import HTMLParser

import pytest
from PIL import Image

from parsenet.reports.runs import MAX_SAMPLES, write_report
from tests.fakes.run import METRICS, write_run


class Tags(HTMLParser):
    """Collects tags, and fails on one that is closed without having been opened last."""

    VOID = frozenset({"meta", "img"})

    def __init__(self):
        super().__init__()
        self.open, self.seen = [], []

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


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


def test_page_is_well_formed_and_needs_no_other_file(page):
    tags = Tags()
    tags.feed(page)

    sources = [x[key] for _, x in tags.seen for key in x if key in {"src", "href", "xlink:href"}]
    assert tags.open == []
    assert sum(source.startswith("data:") for source in sources) == 3
    assert all(source.startswith(("data:", "#")) for source in sources)
    assert not re.search(r"<script|<link|@import|https?://(?!www.w3.org)", page)


@pytest.mark.parametrize(
    "text",
    [
        "<h1>&lt;b&gt;run</h1>",
        "<td>1 h 02 min</td>",
        "<td>1,234,567</td>",
        "<figcaption>01_sample_iou_12.34</figcaption>",
        '<td class="name">background</td><td>700</td><td>35.00</td>',
        "<pre>parsenet fit --config configs/shapes.yaml</pre>",
        "Means over the 2 of 3 classes that have ground truth.",
    ],
)
def test_page_tells(text, page):
    assert text in page


def test_page_shows_scores_classes_and_charts(page):
    assert re.findall(r"<b>([^<]*)</b>", page) == ["90.00", "80.00", "70.00", "85.00"]
    rows = re.findall(r"<tr><td>(background|ball|moon)</td><td[^>]*>([^<]*)</td>", page)
    assert rows[:3] == [("background", "90.00"), ("ball", "50.00"), ("moon", "-")]
    titles = re.findall(r">(Loss|Mean IoU|Confusion matrix|val/loss)</text>", page)
    assert titles == ["Loss", "val/loss", "Mean IoU", "Confusion matrix"]


def test_sample_images_are_inside_the_page(page, run_dir):
    sources = re.findall(r'src="data:image/jpeg;base64,([^"]*)"', page)

    sizes = [Image.open(io.BytesIO(base64.b64decode(source))).size for source in sources]
    with Image.open(run_dir / "samples" / "sample_0.png") as sample:
        assert sizes == [sample.size] * 3  # the worst one, and two samples


def test_page_holds_at_most_so_many_samples(tmp_path):
    write_run(tmp_path, num_samples=MAX_SAMPLES + 1)

    assert write_report(tmp_path).read_text().count('alt="sample_') == MAX_SAMPLES


def test_scores_without_a_run_make_a_page(tmp_path):
    write_run(tmp_path)
    (tmp_path / "record.json").unlink()

    page = write_report(tmp_path).read_text(encoding="utf-8")

    assert "<b>70.00</b>" in page
    assert "How it was made" not in page


def test_run_without_scores_says_so(tmp_path):
    (tmp_path / "record.json").write_text("{}", encoding="utf-8")

    page = write_report(tmp_path).read_text(encoding="utf-8")

    assert "This run has no scores: it ended before its evaluation." in page


def test_459_classes_get_a_chart_of_the_extremes_beside_the_table(tmp_path):
    entry = METRICS["classes"][0]
    classes = [entry | {"name": f"class {i}", "iou": i / 459} for i in range(459)]
    metrics = METRICS | {"classes": classes, "confusion": None}
    (tmp_path / "metrics.json").write_text(json.dumps(metrics), encoding="utf-8")

    page = write_report(tmp_path).read_text(encoding="utf-8")

    assert "IoU by class, % (the 20 lowest and 20 highest of 459)</text>" in page
    assert page.count("<tr>") == 460


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
