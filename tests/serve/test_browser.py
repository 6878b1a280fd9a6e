"""The page in a real Chromium: what people click, and what they then see."""

import io
import time
from base64 import b64encode

import numpy as np
import pytest
from PIL import Image
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from parsenet.serve.limits import Limits
from tests.serve.chromium import (
    CHROMIUM,
    DRIVER,
    complaints,
    downloaded,
    expected,
    find,
    overlay,
    set_slider,
    settle,
    upload,
    wait,
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (CHROMIUM and DRIVER), reason="needs Chromium and its driver (chromium-driver)"
    ),
    # Selenium leaves the sockets to its driver to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def test_upload_shows_the_labels_of_the_predictor(open_page, models, image):
    browser = open_page(count=1)
    label = expected(models, image)

    upload(browser, image)

    settle(browser)
    shown = overlay(browser)
    colours = models[0].predictor.taxonomy.colourise(label)
    is_drawn = colours.any(-1)
    np.testing.assert_array_equal(shown[..., 3], np.where(is_drawn, 153, 0))  # 60 % of 255
    # Canvases store colours times opacity, which rounds them.
    assert np.abs(shown[is_drawn][:, :3].astype(int) - colours[is_drawn]).max() <= 2
    assert find(browser, "#status").text == "shapes.png: 128 \u00d7 96 pixels"
    assert complaints(browser) == []


def test_legend_lists_classes_by_area(open_page, models, image):
    browser = open_page(count=1)
    label = expected(models, image)
    names = models[0].predictor.taxonomy.names

    upload(browser, image)

    rows = browser.find_elements(By.CSS_SELECTOR, ".legend button")
    shown = [tuple(row.text.split("\n")) for row in rows]
    counts = np.bincount(label.ravel(), minlength=len(names))
    shares = [100 * count / label.size for count in counts]
    words = [f"{share:.1f} %" if share >= 0.1 else "< 0.1 %" for share in shares]
    assert shown == [
        (names[i], words[i], f"{counts[i]:,} px")
        for i in np.argsort(-counts, kind="stable")
        if counts[i]
    ]


def test_opacity_slider_fades_the_colours(open_page, image):
    browser = open_page(count=1)
    upload(browser, image)

    set_slider(browser, 20)

    assert set(np.unique(overlay(browser)[..., 3])) <= {0, 51}
    assert find(browser, "#opacity-value").text == "20 %"


def test_class_that_is_clicked_stays_bright_and_the_rest_goes_dark(open_page, models, image):
    browser = open_page(count=1)
    label = expected(models, image)
    upload(browser, image)
    row = browser.find_elements(By.CSS_SELECTOR, ".legend button")[1]
    index = models[0].predictor.taxonomy.names.index(row.get_attribute("data-name"))

    row.click()

    settle(browser)
    alpha = overlay(browser)[..., 3]
    np.testing.assert_array_equal(alpha == 184, label != index)  # 72 % of 255
    assert row.get_attribute("aria-pressed") == "true"
    row.send_keys(Keys.ESCAPE)
    assert row.get_attribute("aria-pressed") == "false" or wait(
        browser, lambda: row.get_attribute("aria-pressed") == "false"
    )


def test_uncertainty_is_fetched_and_shown(open_page, image):
    browser = open_page(count=1)
    upload(browser, image)
    before = overlay(browser)

    find(browser, "input[value=uncertainty]").click()

    wait(browser, lambda: find(browser, ".panel").get_attribute("aria-busy") == "false")
    wait(browser, lambda: (overlay(browser) != before).any())
    assert set(np.unique(overlay(browser)[..., 3])) == {153}
    assert find(browser, ".ramp").is_displayed()


def test_two_checkpoints_are_shown_side_by_side(open_page, models, image):
    browser = open_page(count=2)

    upload(browser, image)

    panels = browser.find_elements(By.CSS_SELECTOR, ".panel")
    boxes = [panel.rect for panel in panels]
    assert boxes[0]["y"] == boxes[1]["y"]
    assert boxes[0]["x"] + boxes[0]["width"] < boxes[1]["x"]
    assert [find(panel, ".summary").text.split(",")[:2] for panel in panels] == [
        ["global context on", " L2Norm on"],
        ["global context off", " L2Norm off"],
    ]
    same = (expected(models, image, 0) == expected(models, image, 1)).mean()
    assert find(browser, "#agreement").text == f"The two agree on {100 * same:.2f} % of the pixels."


def test_differences_are_what_the_two_do_not_agree_on(open_page, models, image):
    browser = open_page(count=2)
    upload(browser, image)
    differs = expected(models, image, 0) != expected(models, image, 1)

    find(browser, "input[value=differences]").click()

    settle(browser)
    for panel in (0, 1):
        np.testing.assert_array_equal(overlay(browser, panel)[..., 3] == 184, ~differs)


def test_zoom_moves_both_images(open_page, image):
    browser = open_page(count=2)
    upload(browser, image)

    find(browser, "#zoom-in").click()
    find(browser, ".stage").send_keys("+", Keys.ARROW_LEFT)

    shifts = [
        layers.value_of_css_property("transform")
        for layers in browser.find_elements(By.CSS_SELECTOR, ".layers")
    ]
    assert shifts[0] == shifts[1] != "none"
    assert find(browser, "#zoom-value").text == "2.3\u00d7"
    find(browser, "#zoom-fit").click()
    assert find(browser, "#zoom-value").text == "1.0\u00d7"


def test_mask_that_is_downloaded_is_the_label_with_its_palette(open_page, models, image):
    browser = open_page(count=1)
    upload(browser, image)

    find(browser, "a.mask").click()

    with Image.open(io.BytesIO(downloaded(browser, "shapes.png"))) as mask:
        assert mask.mode == "P"
        np.testing.assert_array_equal(np.array(mask), expected(models, image))


def test_overlay_that_is_downloaded_is_the_blend(open_page, models, image):
    browser = open_page(count=1)
    upload(browser, image)
    set_slider(browser, 100)

    find(browser, ".save-overlay").click()

    with Image.open(io.BytesIO(downloaded(browser, "shapes_overlay.png"))) as saved:
        pixels = np.array(saved.convert("RGB"))
    colours = models[0].predictor.taxonomy.colourise(expected(models, image))
    with Image.open(image) as original:
        seen = np.where(colours.any(-1, keepdims=True), colours, np.array(original))
    np.testing.assert_array_equal(pixels, seen)


def test_image_that_the_browser_cannot_read_is_shown_all_the_same(open_page, image):
    browser = open_page(count=1)
    path = image.with_suffix(".tif")
    with Image.open(image) as original:
        original.save(path)

    upload(browser, path)

    drawn = browser.execute_script(
        "const canvas = document.querySelector('canvas.image');"
        "return [canvas.width, canvas.height,"
        " ...canvas.getContext('2d').getImageData(5, 5, 1, 1).data];"
    )
    assert drawn[:2] == [128, 96]
    with Image.open(image) as original:
        assert np.abs(np.array(drawn[2:5]) - original.getpixel((5, 5))).max() < 30  # JPEG


def test_image_is_upright_with_its_labels(open_page, models, image, tmp_path):
    browser = open_page(count=1)
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "turned.jpg"
    with Image.open(image) as original:
        original.save(path, exif=exif, quality=95)

    upload(browser, path)

    settle(browser)
    assert find(browser, "#status").text == "turned.jpg: 96 \u00d7 128 pixels"
    alpha = overlay(browser)[..., 3]
    np.testing.assert_array_equal(alpha > 0, expected(models, path) > 0)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "'broken.png' must be an image, got an empty file or a folder."),
        (b"no image", "The upload must be an image (PNG, JPEG, "),
        (bytes(2**21), "'broken.png' must have at most 1 MiB, got 2. Make it smaller, or "),
    ],
    ids=["empty", "text", "large"],
)
def test_broken_file_is_answered_with_a_sentence_and_the_page_goes_on(
    content, sentence, open_page, image, tmp_path
):
    browser = open_page(count=1, limits=Limits(megabytes=1))
    (tmp_path / "broken.png").write_bytes(content)

    find(browser, "#file").send_keys(str(tmp_path / "broken.png"))

    error = find(browser, "#error")
    wait(browser, lambda: error.text.startswith(sentence))
    upload(browser, image)
    assert not error.is_displayed()


def test_image_that_is_dropped_is_labelled(open_page, image):
    browser = open_page(count=1)
    encoded = b64encode(image.read_bytes()).decode()

    browser.execute_script(
        "const bytes = Uint8Array.from(atob(arguments[0]), (c) => c.charCodeAt(0));"
        "const transfer = new DataTransfer();"
        "transfer.items.add(new File([bytes], 'dropped.png', {type: 'image/png'}));"
        "for (const kind of ['dragenter', 'dragover', 'drop']) document.body.dispatchEvent("
        "new DragEvent(kind, {dataTransfer: transfer, bubbles: true, cancelable: true}));",
        encoded,
    )

    wait(browser, lambda: find(browser, "#status").text.startswith("dropped.png: 128"))
    assert "dragging" not in find(browser, "body").get_attribute("class")


def test_image_that_is_pasted_is_labelled(open_page, image):
    browser = open_page(count=1)
    encoded = b64encode(image.read_bytes()).decode()

    browser.execute_script(
        "const bytes = Uint8Array.from(atob(arguments[0]), (c) => c.charCodeAt(0));"
        "const transfer = new DataTransfer();"
        "transfer.items.add(new File([bytes], 'image.png', {type: 'image/png'}));"
        "document.body.dispatchEvent("
        "new ClipboardEvent('paste', {clipboardData: transfer, bubbles: true}));",
        encoded,
    )

    wait(browser, lambda: find(browser, "#status").text.startswith("image.png: 128"))


def test_second_image_takes_the_place_of_the_first(open_page, image, tmp_path):
    browser = open_page(count=2)
    other = tmp_path / "other.png"
    Image.new("RGB", (30, 60), "white").save(other)
    find(browser, "#file").send_keys(str(image))

    upload(browser, other)

    time.sleep(0.5)  # for an answer to the first that would come late
    assert find(browser, "#status").text == "other.png: 30 \u00d7 60 pixels"
    assert overlay(browser).shape[:2] == (60, 30)


def test_page_is_operated_by_keys_alone(open_page, image):
    browser = open_page(count=1)
    upload(browser, image)
    find(browser, "#choose").send_keys(Keys.TAB)
    reached = []

    for _ in range(12):
        element = browser.switch_to.active_element
        reached.append(element.get_attribute("id") or element.get_attribute("class"))
        element.send_keys(Keys.TAB)

    assert reached[0] == "opacity"
    for name in ("zoom-out", "zoom-in", "zoom-fit"):
        assert name in reached
    assert any("stage" in name for name in reached)


def test_page_fits_a_phone(open_page, browser, image):
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True},
    )
    try:
        open_page(count=2)
        upload(browser, image)

        width = browser.execute_script("return document.documentElement.scrollWidth")
        panels = [panel.rect for panel in browser.find_elements(By.CSS_SELECTOR, ".panel")]
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})

    assert width == 360
    assert panels[1]["y"] > panels[0]["y"] + panels[0]["height"]  # below one another


def test_page_follows_the_dark_scheme(open_page, browser):
    def brightness():
        colour = find(browser, "body").value_of_css_property("background-color")
        return sum(int(part) for part in colour[colour.index("(") + 1 : -1].split(",")[:3])

    open_page(count=1)
    light = brightness()
    scheme = {"name": "prefers-color-scheme", "value": "dark"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    try:
        dark = brightness()
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})

    assert dark < 150 < 600 < light


def test_docs_page_lists_the_endpoints_and_sends_requests(open_page, image):
    browser = open_page(count=1, path="docs")
    titles = [title.text for title in browser.find_elements(By.TAG_NAME, "h2")]

    find(browser, "input[type=file]").send_keys(str(image))
    find(browser, "form button").click()

    answer = find(browser, "form + pre")
    wait(browser, lambda: answer.text.startswith("200 application/json"))
    assert titles[:3] == ["POST /api/segment", "GET /api/models", "GET /healthz"]
    assert '"width": 128' in answer.text
    assert complaints(browser) == []


def test_server_that_is_gone_is_told_in_a_sentence(open_page, image, models):
    browser = open_page(count=1)
    browser.execute_script("window.fetch = () => Promise.reject(new TypeError('Failed to fetch'));")

    find(browser, "#file").send_keys(str(image))

    error = find(browser, "#error")
    wait(browser, lambda: error.is_displayed())
    assert error.text == "The server does not answer. Is `parsenet serve` still running?"
