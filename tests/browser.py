"""A real browser for tests: Debian's Chromium, headless, driven through WebDriver."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from selenium import webdriver

Browser = webdriver.Chrome

_SIZE = (1100, 1400)


def _binaries() -> tuple[str, str]:
    """Chromium and its driver; skips where there is none, except in CI, which installs them."""
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if browser and driver:
        return browser, driver
    if os.environ.get("CI"):
        pytest.fail("CI must have Chromium and its driver")
    pytest.skip("no Chromium; install it: sudo apt-get install chromium chromium-driver")


@contextmanager
def browsing() -> Iterator[Browser]:
    """A fresh browser that writes down what it fetches."""
    binary, driver = _binaries()
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    for argument in ("--headless=new", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    if os.geteuid() == 0:  # Chromium's sandbox refuses root
        options.add_argument("--no-sandbox")
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        resize(browser, *_SIZE)
        yield browser
    finally:
        browser.quit()


def resize(browser: Browser, width: int, height: int) -> None:
    """Give the page that many CSS pixels; a window can't be made as narrow as a telephone."""
    metrics: dict[str, Any] = {"width": width, "height": height, "deviceScaleFactor": 1}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {**metrics, "mobile": False})
