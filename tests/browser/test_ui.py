"""A person's way through the Prefect UI: fill in a form, watch the run, read the plan, say yes or no, and end it."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

import deployments
from tests.browser.visit import ENDED, Site, choose_provider, fill, part, switch, told, until

pytestmark = [pytest.mark.browser, pytest.mark.server, pytest.mark.twin]

NAME = "harbour"
APPS = Path(deployments.__file__).parent / "apps"


@pytest.fixture(scope="module")
def created(site: Site, visitor: Callable[..., Page]) -> str:
    """The id of the run that made the cluster; the form was filled in by typing."""
    page = visitor()
    body = site.open_form(page, "create-cluster")
    form = part(body, "Cluster")
    choose_provider(form, "kwok")
    fill(form, {("Name",): NAME, ("Owner",): "team-shop@example.com", ("Kubernetes", "Version"): "1.34"})
    site.picture(page, "form", height=1200)
    pools = part(form, "Pools")
    pools.get_by_role("button", name="Add item").last.click()
    fill(pools, {("Name",): "web", ("Min",): "2"})
    switch(form, "Policy", "Upgrade", "Approve")
    run_id = site.submit(page, "create-cluster")
    ended = site.in_state(run_id, *ENDED)
    assert ended["state_type"] == "COMPLETED", ended["state"]["message"]
    page.context.close()
    return run_id


def test_the_ui_asks_for_the_password(site: Site, visitor: Callable[..., Page]):
    page = visitor(known=False)
    page.goto(f"{site.running.url}/deployments")
    box = page.locator("input[type=password], input").first
    box.wait_for()
    box.press_sequentially(site.password or "")
    box.press("Enter")
    site.visit(page, "/deployments", "create-cluster")
    page.context.close()


def test_every_deployment_says_what_it_does(site: Site, page: Page):
    for one in site.ask("POST", "/deployments/filter", {"limit": 100}):
        assert one["description"], one["name"]
        assert "Args:" not in one["description"], one["name"]
    site.visit(
        page,
        f"/deployments/deployment/{site.deployment('upgrade-cluster')['id']}?tab=Description",
        "validate at the end",
    )


def test_the_form_has_words_and_defaults_that_can_be_sent_back(site: Site, page: Page):
    body = site.open_form(page, "create-cluster")
    form = part(body, "Cluster")
    choose_provider(form, "kwok")
    names = form.locator(".schema-form-property__label")
    expect(names.last).to_have_text(re.compile(r"^Kind\b"))
    labels = names.all_inner_texts()
    assert labels[:2] == ["Cluster", "Name"]
    assert [label.removesuffix(" (Optional)") for label in labels[-2:]] == ["API version", "Kind"]
    expect(part(form, "Policy", "Upgrade", "Drain timeout").locator("textarea,input").first).to_have_value("15m")
    shown = form.inner_text()
    assert not re.search(r"\bPT\d|\bstr\b|\bNone\b \||timedelta", shown)


def test_a_value_that_no_cluster_can_have_is_refused_before_a_run_exists(site: Site, page: Page):
    body = site.open_form(page, "create-cluster")
    fill(part(body, "Cluster"), {("Name",): "Not_A_Name"})
    before = len(site.runs_of("create-cluster"))
    page.get_by_role("button", name="Submit").click()
    error = page.locator(".p-label__message, .p-toast").first
    expect(error).to_be_visible()
    assert len(site.runs_of("create-cluster")) == before


def test_fields_that_contradict_each_other_are_refused_in_one_sentence(site: Site):
    cluster = {"name": "wrong", "provider": {"kind": "kwok"}, "kubernetes": {"version": "1.35"}}
    cluster["pools"] = [{"name": "web", "min": 5, "max": 2}]
    run_id = site.begin("create-cluster", cluster=cluster)
    ended = site.in_state(run_id, *ENDED)
    assert ended["state_type"] == "FAILED"
    assert "pools.0: max: found 2, allowed at least min (5)" in ended["state"]["message"]
    said = until(lambda: "parameters were refused" in (log := site.log_of(run_id)) and log, "its log")
    assert "Traceback" not in said
    assert site.store().clusters.get("wrong") is None


def test_what_was_typed_is_what_there_is(site: Site, created: str):
    record = site.store().clusters.get(NAME)
    assert record is not None
    assert record.desired["owner"] == "team-shop@example.com"
    assert record.desired["policy"]["upgrade"]["approve"] is True
    with site.kube(NAME) as kube:
        nodes = kube.list("/api/v1/nodes")
        assert [node["status"]["nodeInfo"]["kubeletVersion"][:5] for node in nodes] == ["v1.34", "v1.34"]


def test_the_run_shows_its_steps_and_its_plan(site: Site, created: str, page: Page):
    said = "create pool web: adding 2 nodes"
    site.visit(page, f"/runs/flow-run/{created}", f"create {NAME}", "Completed", said)
    steps = (f"create {NAME} at 1.34", "create pool web with 2 nodes")
    site.visit(page, site.artifact(f"plan-{NAME}"), *steps)


def test_a_whole_cluster_in_one_run_shows_what_waits_for_what(site: Site, page: Page):
    pools = [{"name": "web", "min": 3}, {"name": "batch", "min": 2}, {"name": "data", "min": 2}]
    apps = [
        {"name": "web", "manifests": str(APPS / "web")},
        {"name": "guestbook", "kustomize": str(APPS / "guestbook/overlays/prod"), "depends_on": ["web"]},
        {"name": "beacon", "chart": str(APPS / "beacon")},
    ]
    cluster = {"name": "shop", "provider": {"kind": "kwok"}, "kubernetes": {"version": "1.35"}}
    run_id = site.begin("apply-cluster", cluster=cluster | {"pools": pools, "apps": apps})
    ended = site.in_state(run_id, *ENDED)
    assert ended["state_type"] == "COMPLETED", ended["state"]["message"]
    site.visit(page, f"/runs/flow-run/{run_id}", "apply shop", "Completed", "7 Task runs", "deploy app guestbook: done")
    site.picture(page, "run")
    deletion = site.in_state(site.begin("delete-cluster", name="shop", confirm="shop"), *ENDED)
    assert deletion["state_type"] == "COMPLETED", deletion["state"]["message"]


def ask_for_upgrade(site: Site, page: Page) -> str:
    body = site.open_form(page, "upgrade-cluster")
    fill(body, {("Name",): NAME, ("To",): "1.35"})
    run_id = site.submit(page, "upgrade-cluster")
    site.in_state(run_id, "PAUSED", *ENDED)
    site.visit(page, f"/runs/flow-run/{run_id}", "Suspended", "Resume")
    assert wanted_version(site) == "1.34"  # a question is no wish yet
    return run_id


def test_a_refused_plan_changes_nothing_and_says_why(site: Site, created: str, page: Page):
    run_id = ask_for_upgrade(site, page)
    page.get_by_role("button", name="Resume").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("disrupts: the API server restarts")).to_be_visible()
    fill(dialog, {("Why",): "not before the weekend"})
    answer(page, run_id)
    ended = site.in_state(run_id, *ENDED)
    assert ended["state_type"] == "FAILED"
    sentence = f"the plan for {NAME} was refused: not before the weekend; nothing was done."
    assert ended["state"]["message"].endswith(sentence)
    said = until(lambda: sentence in (log := site.log_of(run_id)) and log, "its log")
    assert "Traceback" not in said
    assert wanted_version(site) == "1.34"
    with site.kube(NAME) as kube:
        assert version_of(kube.version()) == "1.34"


def test_an_approved_plan_is_carried_out(site: Site, created: str, page: Page):
    run_id = ask_for_upgrade(site, page)
    visitor = page.context.new_page()
    site.visit(visitor, site.artifact(f"plan-{NAME}"), "upgrade control plane", "the API server restarts")
    site.picture(visitor, "plan")
    visitor.close()
    page.get_by_role("button", name="Resume").click()
    dialog = page.get_by_role("dialog")
    switch(dialog, "Carry out this plan")
    fill(dialog, {("Why",): "agreed with team-shop"})
    site.picture(page, "approval")
    answer(page, run_id)
    ended = site.in_state(run_id, *ENDED)
    assert ended["state_type"] == "COMPLETED", ended["state"]["message"]
    expect(page.get_by_text("Completed").first).to_be_visible()
    assert wanted_version(site) == "1.35"
    with site.kube(NAME) as kube:
        assert version_of(kube.version()) == "1.35"
        assert all(
            node["status"]["nodeInfo"]["kubeletVersion"].startswith("v1.35") for node in kube.list("/api/v1/nodes")
        )


def wanted_version(site: Site) -> str:
    record = site.store().clusters.get(NAME)
    assert record is not None
    return record.desired["kubernetes"]["version"]


def version_of(told: dict[str, str]) -> str:
    """Binaries of one minor may serve an older one; the emulated one counts."""
    minor = told.get("emulationMinor") or told["minor"]
    return f"1.{minor.rstrip('+')}"


def answer(page: Page, run_id: str) -> None:
    """Press the dialog's Submit, and be believed."""
    button = page.get_by_role("dialog").get_by_role("button", name="Submit")
    taken = told(page, button, f"/flow_runs/{run_id}/resume", "the answer")
    assert taken["status"] == "ACCEPT", taken


def test_the_wrong_word_deletes_nothing_and_the_right_one_all(site: Site, created: str, page: Page):
    for confirm, state in (("harbor", "FAILED"), (NAME, "COMPLETED")):
        body = site.open_form(page, "delete-cluster")
        fill(body, {("Name",): NAME, ("Confirm",): confirm})
        ended = site.in_state(site.submit(page, "delete-cluster"), *ENDED)
        assert ended["state_type"] == state, ended["state"]["message"]
        record = site.store().clusters.get(NAME)
        assert (record is not None and record.state != "deleted") == (state == "FAILED")
    # A run's own lines arrive a little after it has ended, and after those of the worker.
    until(lambda: "nothing is left of harbour" in site.log_of(ended["id"]), "the proof in its log")
    site.visit(page, "/deployments", "create-cluster")
    site.picture(page, "deployments")
