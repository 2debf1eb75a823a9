"""`verify.html` as a person uses it: files chosen, a button pressed, results read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from auditor.shipped import shipped
from tests.browser import Browser

PAGE = Path(str(shipped("templates"))).resolve() / "verify.html"
MADE = (
    "form", "bytes", "attachments", "signature", "statement", "ledger", "history", "level",
    "issue", "approval", "serving", "status",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the page shows: each check made with its state, what it found, and what it says."""

    states: Mapping[str, str]
    details: Mapping[str, str]
    said: str
    text: str

    @property
    def failed(self) -> str:
        """The check that failed; empty where none did."""
        return next((name for name, state in self.states.items() if state == "failed"), "")


def choose(browser: Browser, files: Sequence[Path]) -> str:
    """Choose files in a page just opened; returns what the page says to that."""
    browser.get(PAGE.as_uri())
    browser.find_element(By.ID, "choose").send_keys("\n".join(str(path) for path in files))
    return spoken(browser)


def spoken(browser: Browser) -> str:
    """What stands in the live region, once the page is done."""

    def done(browser: Browser) -> str | bool:
        said = browser.find_element(By.ID, "say").text
        return said not in ("", "Checking.") and said

    return str(WebDriverWait(browser, 10, poll_frequency=0.02).until(done))


def check(browser: Browser, files: Sequence[Path]) -> Seen:
    """Choose files, press the button, read the results."""
    choose(browser, files)
    browser.find_element(By.ID, "check").click()
    return results(browser)


def results(browser: Browser) -> Seen:
    """What the page shows when it has checked."""
    WebDriverWait(browser, 10, poll_frequency=0.02).until(
        lambda browser: browser.find_element(By.ID, "results").is_displayed()
    )
    read = """return [...document.querySelectorAll("#made li")].map((item) =>
        [item.dataset.check, item.className, item.querySelector(".detail").textContent])"""
    rows = browser.execute_script(read)
    return Seen(
        states={name: state for name, state, _ in rows},
        details={name: detail for name, _, detail in rows},
        said=spoken(browser),
        text=browser.find_element(By.TAG_NAME, "main").text,
    )
