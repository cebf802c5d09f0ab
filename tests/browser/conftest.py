"""One `boatyard up` for all browser tests, pages of people who have given its password, and a limit for every test."""

import base64
import contextlib
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser.visit import Site
from tests.browser.watch import Overdue, Watch

expect.set_options(timeout=60_000)

CHROMIUM = Path("/usr/bin/chromium")
INSTALL_LOG = Path("/tmp/boatyard-chromium.log")  # noqa: S108 - written by .ci/chromium
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WATCH = Watch()


def why_not() -> str:
    """Why there is no Chromium."""
    reason = f"{CHROMIUM} is not there, and make browser could not install it"
    with contextlib.suppress(OSError):
        if said := INSTALL_LOG.read_text(errors="replace").strip().splitlines()[-3:]:
            return f"{reason}: {' '.join(said)}"
    return f"{reason}: that takes root and apt-get"


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    if not CHROMIUM.exists():
        pytest.skip(why_not())
    one = Site(tmp_path_factory.mktemp("browser-home"))
    WATCH.begin(one.home, tmp_path_factory.getbasetemp() / "failed")
    try:
        one.start()
        yield one
    finally:
        one.stop()


@pytest.fixture(scope="session")
def browser(site: Site) -> Iterator[Browser]:
    with sync_playwright() as started:
        program = started.chromium.launch(executable_path=str(CHROMIUM), args=[*FLAGS, WATCH.mark])
        yield program
        program.close()


@pytest.fixture(scope="session")
def visitor(browser: Browser, site: Site) -> Callable[..., Page]:
    """Makes pages of fresh visitors who have logged in already; whoever asks closes the page's context."""

    def enter(*, known: bool = True) -> Page:
        context = browser.new_context(viewport={"width": 1300, "height": 900})
        context.set_default_timeout(60_000)
        if known:
            secret = base64.b64encode((site.password or "").encode()).decode()
            context.add_init_script(f"localStorage.setItem('prefect-password', '{secret}')")
        context.on("page", WATCH.follow)
        return context.new_page()

    return enter


@pytest.fixture
def page(visitor: Callable[..., Page]) -> Iterator[Page]:
    one = visitor()
    yield one
    one.context.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, object, object]:
    WATCH.forget()
    with WATCH.limited(f"the set-up of {item.name}"):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    with WATCH.limited(item.name):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, object, object]:
    with WATCH.limited(f"the tear-down of {item.name}"):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Of a failed test, all that there is to see."""
    report = yield
    if report.failed:
        try:
            with WATCH.limited("looking at what failed", 60):
                report.sections.extend(WATCH.evidence(f"{item.name}-{report.when}"))
        except Overdue as error:
            report.sections.append(("nothing to see", str(error)))
    return report
