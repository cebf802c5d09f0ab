"""What every test shares: the machine's own Boatyard is left alone, and CI skips nothing it is there for."""

import os
import random
import signal
import threading
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

# A busy machine is no failure; CI looks at the same examples every time, so that red means a change.
hypothesis_settings.register_profile(
    "house", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=bool(os.environ.get("CI"))
)
hypothesis_settings.load_profile("house")

# Without a server of the test's own, Prefect's threads would start one for what they still have to send at the end, and
# leave it there.
os.environ["PREFECT_SERVER_EPHEMERAL_ENABLED"] = "false"

# A shell that runs the tests in the background ignores Ctrl-C, and programs that they start would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN and threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)


def own_random() -> None:
    """Threads of Prefect's live as long as the tests' process, and the pings of its websockets draw from the generator
    that all of `random` shares. Hypothesis takes that for a strategy's doing, and warns of whatever test it meets: give
    them one of their own."""
    from prefect.utilities import math
    from websockets import client
    from websockets.asyncio import connection

    for module in (math, client, connection):
        vars(module)["random"] = random.Random()


MUST_RUN = {"twin", "server", "postgres", "browser"}


@pytest.fixture(autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """State goes to a folder of the test's own; the tool cache is shared, since what it holds is verified."""
    monkeypatch.setenv("BOATYARD_HOME", str(tmp_path_factory.mktemp("home")))
    monkeypatch.delenv("BOATYARD_STORE_URL", raising=False)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, "pytest.CallInfo[None]", None]:
    """With BOATYARD_NO_SKIPS, a test of a tier that CI has to run fails instead of being skipped; CI has no kops."""
    outcome = yield
    report = outcome.get_result()
    marks = {mark.name for mark in item.iter_markers()}
    marked = marks & MUST_RUN if "real_kops" not in marks else set()
    if report.skipped and marked and os.environ.get("BOATYARD_NO_SKIPS") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, but CI has to run {', '.join(sorted(marked))} tests: {report.longrepr}"
