import base64
import io
import re
from html.parser import HTMLParser

import pytest
from PIL import Image

from parsenet.reports.html import MAX_SAMPLES, write_report
from tests.fakes.run import write_run


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


@pytest.fixture
def page(tmp_path):
    """The page of a finished run, as text."""
    write_run(tmp_path / "first")
    return write_report(tmp_path / "first").read_text(encoding="utf-8")


def parsed(page):
    tags = Tags()
    tags.feed(page)
    return tags


def test_every_tag_is_closed(page):
    assert parsed(page).open == []


def test_page_needs_no_other_file(page):
    sources = [
        value
        for _, attributes in parsed(page).seen
        for name, value in attributes.items()
        if name in {"src", "href"}
    ]

    assert sources
    assert all(source.startswith("data:") for source in sources)


def test_page_shows_the_four_scores(page):
    assert re.findall(r"<b>([^<]*)</b>", page) == ["90.00", "80.00", "70.00", "85.00"]


def test_page_has_a_row_per_class(page):
    rows = re.findall(r"<tr><td>(background|ball|moon)</td><td[^>]*>([^<]*)</td>", page)

    assert rows[:3] == [("background", "90.00"), ("ball", "50.00"), ("moon", "-")]


def test_page_draws_loss_and_mean_iou(page):
    assert re.findall(r'<text class="title"[^>]*>([^<]*)</text>', page) == ["Loss", "Mean IoU"]


def test_sample_images_are_inside_the_page(page):
    sources = [attributes["src"] for tag, attributes in parsed(page).seen if tag == "img"]
    sizes = [
        Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))).size
        for source in sources
    ]

    assert sizes == [(512, 180)] * 3  # the worst one, and two samples


def test_page_tells_how_long_the_run_took(page):
    assert "<td>1 h 02 min</td>" in page


def test_page_holds_at_most_so_many_samples(tmp_path):
    write_run(tmp_path / "many", num_samples=MAX_SAMPLES + 1)

    page = write_report(tmp_path / "many").read_text(encoding="utf-8")

    assert page.count('alt="sample_') == MAX_SAMPLES


def test_names_cannot_inject_html(tmp_path):
    write_run(tmp_path / "<b>run")

    page = write_report(tmp_path / "<b>run").read_text(encoding="utf-8")

    assert "<h1>&lt;b&gt;run</h1>" in page


def test_page_draws_the_confusion_matrix(page):
    assert "<title>ball taken for background: 700 pixels, 35.00 %</title>" in page


def test_worst_images_come_with_their_score(page):
    assert "<figcaption>01_sample_iou_12.34</figcaption>" in page


def test_scores_without_a_run_make_a_page(tmp_path):
    write_run(tmp_path / "scored")
    (tmp_path / "scored" / "record.json").unlink()

    page = write_report(tmp_path / "scored").read_text(encoding="utf-8")

    assert "<b>70.00</b>" in page
    assert "How it was made" not in page


def test_run_without_scores_says_so(tmp_path):
    (tmp_path / "record.json").write_text("{}", encoding="utf-8")

    page = write_report(tmp_path).read_text(encoding="utf-8")

    assert "This run has no scores: it ended before its evaluation." in page


def test_markdown_links_the_sample_images(tmp_path):
    write_run(tmp_path / "first")
    write_report(tmp_path / "first")

    text = (tmp_path / "first" / "report.md").read_text(encoding="utf-8")

    links = re.findall(r"\]\(([^)]*)\)", text)
    assert links == [
        "confusion.svg",
        "worst/01_sample_iou_12.34.png",
        "samples/sample_0.png",
        "samples/sample_1.png",
    ]
    assert all((tmp_path / "first" / link).is_file() for link in links)
