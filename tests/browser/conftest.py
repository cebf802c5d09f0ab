"""One `boatyard up` for all browser tests, and a page that has given its password."""

import base64
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser.visit import Site

expect.set_options(timeout=60_000)

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is not there")
    one = Site(tmp_path_factory.mktemp("browser-home"))
    try:
        one.start()
        yield one
    finally:
        one.stop()


@pytest.fixture(scope="session")
def browser(site: Site) -> Iterator[Browser]:
    with sync_playwright() as started:
        program = started.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield program
        program.close()


@pytest.fixture(scope="session")
def visitor(browser: Browser, site: Site) -> Callable[[], Page]:
    """Makes pages of fresh visitors who have logged in already; whoever asks closes the page's context."""

    def enter() -> Page:
        context = browser.new_context(viewport={"width": 1300, "height": 900})
        context.set_default_timeout(60_000)
        secret = base64.b64encode((site.password or "").encode()).decode()
        context.add_init_script(f"localStorage.setItem('prefect-password', '{secret}')")
        return context.new_page()

    return enter


@pytest.fixture
def page(visitor: Callable[[], Page]) -> Iterator[Page]:
    one = visitor()
    yield one
    one.context.close()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, "pytest.CallInfo[None]", None]:
    """Of a failed test, what its page showed."""
    outcome = yield
    report = outcome.get_result()
    shown = getattr(item, "funcargs", {}).get("page")
    if report.when == "call" and report.failed and isinstance(shown, Page):
        report.sections.append(("page", f"{shown.url}\n{shown.locator('body').inner_text(timeout=5_000)}"))
