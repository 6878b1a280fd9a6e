"""A real Chromium for the tests of the page, and what they do with it."""

from pathlib import Path
from shutil import which

import numpy as np
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

CHROMIUM = which("chromium") or which("chromium-browser") or which("google-chrome")
DRIVER = which("chromedriver")

PATIENCE = 60


def start_browser(downloads):
    """Start a Chromium without a window that saves downloads in a folder."""
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(flag)
    options.add_argument("--window-size=1300,1000")
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    driver.downloads = downloads
    return driver


def wait(browser, condition):
    return WebDriverWait(browser, PATIENCE).until(lambda _: condition())


def find(browser, selector):
    return browser.find_element(By.CSS_SELECTOR, selector)


def upload(browser, path):
    """Choose a file and wait for its labels."""
    find(browser, "#file").send_keys(str(path))
    wait(browser, lambda: f"{path.name}: " in find(browser, "#status").text)


def overlay(browser, panel=0):
    """Read the pixels (H, W, 4) of a panel's overlay."""
    numbers = browser.execute_script(
        "const canvas = document.querySelectorAll('canvas.overlay')[arguments[0]];"
        "const image = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);"
        "return [canvas.height, canvas.width, Array.from(image.data)];",
        panel,
    )
    return np.array(numbers[2], np.uint8).reshape(numbers[0], numbers[1], 4)


def settle(browser):
    """Wait until the next frames have been painted."""
    browser.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")


def set_slider(browser, value):
    browser.execute_script(
        "const slider = document.getElementById('opacity'); slider.value = arguments[0];"
        "slider.dispatchEvent(new Event('input', {bubbles: true}));",
        value,
    )
    settle(browser)


def downloaded(browser, name):
    """Wait for a download and return its bytes."""
    path = Path(browser.downloads) / name
    wait(browser, lambda: path.is_file() and not list(path.parent.glob("*.crdownload")))
    content = path.read_bytes()
    path.unlink()
    return content


def expected(models, path, index=0):
    return models[index].predictor(path)


def complaints(browser):
    """Return what the browser wrote into its console, a refused resource among it."""
    return [entry["message"] for entry in browser.get_log("browser")]
