"""A running `boatyard up` as a person meets it; to check what it shows, its API, store and clusters."""

import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page, expect
from playwright.sync_api import TimeoutError as PatienceLost

from boatyard import run
from boatyard.cli.prefect_server import client, server
from boatyard.cli.prefect_server.place import Place
from boatyard.clock import SystemClock
from boatyard.drivers.operation import Yard
from boatyard.errors import Temporary
from boatyard.kube.client import Client
from boatyard.settings import Settings
from boatyard.spec.provider import all_settings_models
from boatyard.store import Store
from boatyard.tools import Toolbox

PATIENCE = 180.0
"""Seconds after which a condition will not come true any more; a quiet machine needs a tenth of it."""
ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
_LABELLED = (
    'xpath=.//div[contains(concat(" ",@class," ")," schema-form-property ")]'
    '[./div[contains(@class,"p-label__header")]//span[contains(@class,"schema-form-property__label")'
    ' and (text()="{0}" or text()="{0} (Optional)")]]'
)


def until(ask: Callable[[], Any], what: str, seconds: float = PATIENCE) -> Any:
    """The first true answer."""
    end, tick = time.monotonic() + seconds, threading.Event()
    while not (answer := ask()):
        assert time.monotonic() < end, f"{what} did not come in {seconds:g} s"
        tick.wait(0.2)
    return answer


def part(root: Locator, *labels: str) -> Locator:
    """A field of a form, by the labels that lead to it."""
    for label in labels:
        root = root.locator(_LABELLED.format(label)).first
    return root


def fill(root: Locator, values: Mapping[tuple[str, ...], str]) -> None:
    """Type into fields, key by key; again where the form, still filling in its defaults, lost some of it."""

    def box(labels: tuple[str, ...]) -> Locator:
        return part(root, *labels).locator("textarea,input").first

    def filled() -> bool:
        for labels, text in values.items():
            if box(labels).input_value() != text:
                box(labels).click()
                box(labels).press("Control+a")
                box(labels).press_sequentially(text)
        rest(root.page)
        return all(box(labels).input_value() == text for labels, text in values.items())

    rest(root.page)
    until(filled, f"{dict(values)} in the form")


def rest(page: Page) -> None:
    """Wait until the page has nothing to do: a form gives its defaults to its fields one after another."""
    page.evaluate(
        "() => new Promise(done => requestIdleCallback("
        "() => requestAnimationFrame(() => requestIdleCallback(done, {timeout: 5000})), {timeout: 5000}))"
    )


def switch(root: Locator, *labels: str) -> None:
    one = part(root, *labels).get_by_role("switch")
    one.click()
    expect(one).to_have_attribute("aria-checked", "true")


def choose_provider(cluster: Locator, kind: str) -> None:
    """Where there is more than one distribution, the form begins with the first and has a button for each."""
    field = part(cluster, "Provider")
    if len(all_settings_models()) > 1:
        field.get_by_text(kind, exact=True).first.click()
    expect(part(field, "Kind").locator("textarea,input").first).to_have_value(kind)


def told(page: Page, button: Locator, path: str, what: str) -> dict[str, Any]:
    """Press a button whose press is one request; the answer. A person presses again when the page says "busy" (503)."""

    def answered() -> dict[str, Any] | None:
        wanted = re.compile(re.escape(path) + "$")
        try:
            with page.expect_response(lambda one: one.request.method == "POST" and bool(wanted.search(one.url))) as got:
                button.click()
        except PatienceLost as error:
            said = page.locator(".p-label__message:visible, .p-toast:visible").all_inner_texts()
            raise AssertionError(f"{what}: nothing was sent; the page says {said}") from error
        answer = got.value
        if answer.status == 503:
            return None
        assert answer.ok, f"{what}: {answer.status} {answer.text()}"
        return dict(answer.json())

    return dict(until(answered, what))


@dataclass
class Site:
    """`boatyard up` in a home of its own."""

    home: Path
    process: run.Process | None = None
    pictures: Path | None = field(
        default_factory=lambda: Path(place) if (place := os.environ.get("BOATYARD_PICTURES")) else None
    )

    @property
    def settings(self) -> Settings:
        return Settings(self.home, Settings.load().cache, f"sqlite:///{self.home / 'boatyard.db'}")

    @property
    def place(self) -> Place:
        return Place.of(self.settings)

    @property
    def running(self) -> client.Running:
        found = client.read(self.place)
        assert found is not None
        return found

    @property
    def password(self) -> str | None:
        return client.password(self.place, self.running)

    def start(self) -> None:
        log = self.home / "up.log"
        kept = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")}
        argv = [sys.executable, "-c", "from boatyard.cli.main import main; main()", "up", "--port", "0"]
        env = kept | {"BOATYARD_HOME": str(self.home), "BOATYARD_CACHE": str(self.settings.cache)}
        self.process = process = run.start(argv, log=log, env=env)

        def ready() -> bool:
            assert process.poll() is None, log.read_text()
            return "is up" in log.read_text()

        until(ready, "boatyard up")

    def stop(self) -> None:
        """End `up`, then whatever its flows may have left: only processes that carry this home in their command."""
        if self.process:
            self.process.stop(60)
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                if str(self.home).encode() in path.read_bytes():
                    os.kill(int(path.parent.name), signal.SIGKILL)
            except (OSError, ProcessLookupError):
                continue

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """One request; a busy server is asked again."""

        def once() -> list[object]:
            try:
                return [server.ask(self.running.api, method, path, self.password, body=body)]
            except Temporary:
                return []

        return until(once, f"an answer to {path}")[0]

    def deployment(self, name: str) -> dict[str, Any]:
        return self.ask("POST", "/deployments/filter", {"deployments": {"name": {"any_": [name]}}})[0]

    def begin(self, deployment: str, **parameters: object) -> str:
        """Start a run without the form; its id."""
        body = {"parameters": parameters, "state": {"type": "SCHEDULED"}}
        return str(self.ask("POST", f"/deployments/{self.deployment(deployment)['id']}/create_flow_run", body)["id"])

    def runs_of(self, deployment: str) -> list[dict[str, Any]]:
        """Newest first."""
        body = {"deployments": {"name": {"any_": [deployment]}}, "sort": "EXPECTED_START_TIME_DESC", "limit": 20}
        return self.ask("POST", "/flow_runs/filter", body)

    def in_state(self, run_id: str, *types: str) -> dict[str, Any]:
        def there() -> dict[str, Any] | None:
            found = self.ask("GET", f"/flow_runs/{run_id}")
            unasked = found["state_type"] == "PAUSED" and "PAUSED" not in types
            assert not unasked, f"{found['name']} waits for an answer"
            return found if found["state_type"] in types else None

        return until(there, f"state {types} of {run_id}")

    def log_of(self, run_id: str) -> str:
        body = {"logs": {"flow_run_id": {"any_": [run_id]}}, "sort": "TIMESTAMP_ASC"}
        return "\n".join(line["message"] for line in self.ask("POST", "/logs/filter", body))

    def artifact(self, key: str) -> str:
        """The page of the newest artifact of that name."""
        body = {"artifacts": {"key": {"any_": [key]}}, "sort": "CREATED_DESC", "limit": 1}
        return f"/artifacts/artifact/{self.ask('POST', '/artifacts/filter', body)[0]['id']}"

    def visit(self, page: Page, path: str, *texts: str) -> None:
        """Open a page and wait for what it should show; a page that a busy server left empty is opened again."""

        def shown() -> bool:
            try:
                page.goto(self.running.url + path)
                for text in texts:
                    page.get_by_text(text).first.wait_for(timeout=60_000)
            except PatienceLost:
                return False
            return True

        until(shown, f"{texts} on {path}")

    def open_form(self, page: Page, deployment: str) -> Locator:
        self.visit(page, f"/deployments/deployment/{self.deployment(deployment)['id']}/run", "Submit", "Name")
        return page.locator("body")

    def submit(self, page: Page, deployment: str) -> str:
        """Press Submit; the id of the run that came of it."""
        path = f"/deployments/{self.deployment(deployment)['id']}/create_flow_run"
        form = page.url
        made = told(page, page.get_by_role("button", name="Submit"), path, f"a run of {deployment}")
        page.wait_for_url(lambda url: url != form)
        return str(made["id"])

    def store(self) -> Store:
        return Store.open(self.settings.store_url, SystemClock())

    def kube(self, name: str) -> Client:
        """A client of the cluster itself."""
        yard = Yard(self.settings, self.store(), Toolbox(self.settings.cache), SystemClock())
        return Client(yard.reader(yard.registered(name)).kubeconfig())

    def picture(self, page: Page, name: str, *, height: int = 900) -> None:
        """Keep what the page shows, from its top, when BOATYARD_PICTURES names a folder for it."""
        if self.pictures:
            page.set_viewport_size({"width": 1300, "height": height})
            page.mouse.move(0, 0)
            page.evaluate("document.activeElement.blur(); document.querySelectorAll('*').forEach(e => e.scrollTop = 0)")
            page.wait_for_timeout(2000)  # only for the look of it: animations come to rest
            page.screenshot(path=self.pictures / f"{name}.png", animations="disabled")
