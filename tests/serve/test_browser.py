"""The page in a real browser without a window; Debian's `chromium` and `chromium-driver`."""

import io
import json
from shutil import which
from urllib.parse import urlsplit

import numpy as np
import pytest
import requests
from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(which("chromedriver") is None, reason="there is no chromedriver"),
]


@pytest.fixture
def browser(site):
    options = webdriver.ChromeOptions()
    options.binary_location = which("chromium") or which("google-chrome")
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(flag)
    options.add_argument("--window-size=1300,1100")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with webdriver.Chrome(options, webdriver.ChromeService(which("chromedriver"))) as driver:
        driver.get(site)
        wait_for(driver, "input[type=file]")
        yield driver


def wait_for(browser, selector, number=1):
    def look(_):
        found = browser.find_elements(By.CSS_SELECTOR, selector)
        return found if len(found) >= number else None

    return WebDriverWait(browser, 60).until(look)


def alphas(browser):
    """Return the strongest alpha among the masks that the page shows."""
    found = [x.get_attribute("src") for x in browser.find_elements(By.CSS_SELECTOR, "img.mask")]
    pixels = [np.array(Image.open(io.BytesIO(requests.get(x, timeout=60).content))) for x in found]
    return max(int(x[..., 3].max()) for x in pixels)


def test_page_shows_two_networks_and_asks_no_other_host(browser, site, image, predictors):
    browser.find_element(By.CSS_SELECTOR, "input[type=file]").send_keys(str(image))
    wait_for(browser, "a[download^=mask_]", 2)

    text = browser.find_element(By.TAG_NAME, "body").text
    for predictor in predictors:
        label = predictor(image)
        assert f"{predictor.name}: global context" in text
        for index in np.unique(label):
            share = np.mean(label == index)
            words = f"{share:.1%}" if share >= 0.001 else "< 0.1%"
            assert f"{predictor.taxonomy.names[index]} {words}" in text
    links = browser.find_elements(By.CSS_SELECTOR, "a[download^=mask_]")
    for link, predictor in zip(links, predictors, strict=True):
        content = requests.get(link.get_attribute("href"), timeout=60).content
        with Image.open(io.BytesIO(content)) as mask:
            np.testing.assert_array_equal(np.array(mask), predictor(image))

    assert alphas(browser) == 127
    slider = browser.find_element(By.CSS_SELECTOR, "input[type=number]")
    slider.clear()
    slider.send_keys("1\n")
    WebDriverWait(browser, 60).until(lambda _: alphas(browser) == 255)

    wait_for(browser, "footer button")[0].click()
    WebDriverWait(browser, 60).until(
        lambda _: "/segment" in browser.find_element(By.TAG_NAME, "body").text
    )
    messages = [json.loads(x["message"])["message"] for x in browser.get_log("performance")]
    asked = {
        urlsplit(x["params"]["request"]["url"]).netloc
        for x in messages
        if x["method"] == "Network.requestWillBeSent"
    }
    assert asked <= {urlsplit(site).netloc, ""}  # the latter of `data:` addresses
    assert not [x for x in browser.get_log("browser") if "Content Security" in x["message"]]


def test_refusal_is_shown_and_the_page_goes_on(browser, image, tmp_path):
    (tmp_path / "broken.png").write_bytes(image.read_bytes()[:-40])
    browser.find_element(By.CSS_SELECTOR, "input[type=file]").send_keys(
        str(tmp_path / "broken.png")
    )
    told = wait_for(browser, ".toast-body")[0].text
    assert "'broken.png' must be a whole image, got" in told

    browser.refresh()
    wait_for(browser, "input[type=file]")[0].send_keys(str(image))
    wait_for(browser, "a[download^=mask_]", 2)
