"""What single verbs do, short of running a flow."""

import json
import subprocess
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest

from boatyard.cli import plans
from boatyard.cli.prefect_server import client
from boatyard.cli.prefect_server.place import Place
from boatyard.cli.verbs import apply
from boatyard.plan.compute import compute
from boatyard.plan.model import Observed, ObservedPool, Phase
from boatyard.settings import Settings
from boatyard.spec.load import load_cluster

DESIRED = {
    "name": "shop",
    "owner": "ann@example.com",
    "provider": {"kind": "kwok"},
    "kubernetes": {"version": "1.36"},
    "pools": [{"name": "web", "min": 2, "max": 5}, {"name": "batch"}],
    "policy": {"maintenance": {"window": "Sat 02:00-06:00 Europe/Berlin"}},
}
OBSERVED = {
    "phase": "running",
    "version": "1.35",
    "pools": {"web": {"name": "web", "ready": 2, "versions": {"a": "1.35", "b": "1.35", "c": "1.35"}}},
}


@pytest.fixture
def shop(store):
    store.clusters.put(DESIRED)
    store.clusters.set_observed("shop", OBSERVED, fence=None)
    store.conditions.set("shop", "NodesReady", "False", "NotReady", "node c is not Ready")
    store.conditions.set("shop", "Reachable", "True", "Answers", "it answers")
    entry = store.journal.begin(
        "shop", operation="create", run_id="1", verb="create", target="shop", reason="new", who="ann", fence=None
    )
    store.journal.end(entry, "failed", "the disk is full")
    return store


def test_status_shows_what_needs_attention(call, shop):
    shop.clusters.put({**DESIRED, "name": "warehouse." * 15 + "example"})
    with shop.leases.hold("shop", "bob", "upgrade"):
        said = call("status")
    assert said.code == 0
    assert max(map(len, said.out.splitlines())) <= 80
    [row] = [line for line in said.out.splitlines() if line.startswith("shop")]
    assert "running" in row
    assert "1.35 →" in row
    text = " ".join(said.out.split())
    for words in ("web 2/3", "batch 0/1", "upgrade by bob"):
        assert words in text
    assert "NodesReady" in text
    assert "Reachable" not in text


def test_status_counts_conditions_where_many_are_not_well(call, shop):
    for kind in ("CertificatesValid", "ControlPlaneReady", "SystemPodsReady"):
        shop.conditions.set("shop", kind, "Unknown", "NotAsked", "it does not answer")
    text = " ".join(call("status").out.split())
    assert "3 conditions are Unknown" in text
    assert "SystemPodsReady" not in text


def test_status_of_one_tells_conditions_window_and_journal(call, shop):
    said = call("status", "shop")
    assert max(map(len, said.out.splitlines())) <= 80
    text = " ".join(said.out.split())
    for words in (
        "Sat 02:00-06:00 Europe/Berlin, next",
        "by nobody",
        "node c is not Ready",
        "create shop: the disk is full",
    ):
        assert words in text


def test_status_documents_are_stable(call, shop):
    fleet = json.loads(call("status", "--json").out)
    assert list(fleet) == ["clusters"]
    one = json.loads(call("--json", "status", "shop").out)
    keys = {"name", "provider", "owner", "state", "phase", "version", "wanted_version", "pools", "conditions", "lease"}
    assert keys < set(fleet["clusters"][0])
    assert set(one) - set(fleet["clusters"][0]) == {
        "journal",
        "claims",
        "next_window",
        "next_sleep_change",
        "last_active_at",
    }
    assert one["pools"][0] == {"name": "web", "ready": 2, "wanted": 3, "bounds": "2-5"}
    assert datetime.fromisoformat(one["next_window"]) > datetime.now(UTC) - timedelta(hours=5)
    assert one["journal"][0]["outcome"] == "failed"


def test_logs_show_the_journal_newest_last_and_limited(call, shop):
    for number in range(5):
        entry = shop.journal.begin(
            "shop",
            operation="scale",
            run_id="2",
            verb="scale pool",
            target=f"p{number}",
            reason="",
            who="ann",
            fence=None,
        )
        shop.journal.end(entry, "done")
    said = call("logs", "shop", "--limit", "3")
    assert [f"p{n}" in said.out for n in range(5)] == [False, False, True, True, True]
    told = json.loads(call("logs", "shop", "--json").out)
    assert [entry["target"] for entry in told["entries"]][-1] == "p4"


def test_unknown_names_are_met_with_those_there_are(call, shop):
    said = call("status", "shpo")
    assert (said.code, said.err) == (4, "boatyard: no cluster named 'shpo' is known. Did you mean shop?\n")
    assert "there are: shop" in call("upgrade", "zebra", "--to", "1.36").err


def test_home_is_taken_before_and_after_the_verb(call, tmp_path):
    for arguments in (["--home", str(tmp_path / "x"), "init"], ["init", "--home", str(tmp_path / "x")]):
        assert call(*arguments).code == 0
    said = call("status", "--home", str(tmp_path / "x"))
    assert "keeps no cluster yet" in said.out


def test_init_writes_an_example_that_loads_and_never_overwrites(call, tmp_path):
    file = tmp_path / "new.yaml"
    assert call("init", "kwok", "--to", str(file)).code == 0
    assert load_cluster(file).provider.kind == "kwok"
    before = file.read_text()
    said = call("init", "--to", str(file))
    assert said.code == 7
    assert file.read_text() == before
    assert call("init", "moon").code == 4


def test_schema_is_json_schema_of_cluster_and_fleet(call, tmp_path):
    cluster, fleet = json.loads(call("schema").out), json.loads(call("schema", "--fleet").out)
    assert "kubernetes" in cluster["properties"]
    assert "defaults" in fleet["properties"]
    assert call("schema", "--to", str(tmp_path / "s.json")).code == 0
    assert json.loads((tmp_path / "s.json").read_text()) == cluster
    assert call("schema", "--to", str(tmp_path / "no" / "s.json")).code == 1


def test_compare_explains_every_column(call):
    told = json.loads(call("compare", "--json").out)
    [kwok] = [driver for driver in told["drivers"] if driver["kind"] == "kwok"]
    assert kwok["production_use"] == "no"
    assert "upgradable" in kwok["capabilities"]
    assert {"production_use", "managed_by_provider", "easy_upgrades", "enterprise_support", "customizable"} <= set(
        told["legend"]
    )
    assert max(map(len, call("compare").out.splitlines())) <= 80


def test_doctor_names_what_is_missing_and_ends_9(call, tmp_path, monkeypatch):
    monkeypatch.setenv("BOATYARD_CACHE", str(tmp_path / "empty"))
    monkeypatch.setenv("PATH", str(tmp_path))
    said = call("doctor")
    assert said.code == 9
    assert "etcd" in said.out.rpartition("Missing: ")[2]
    assert "boatyard doctor --fix" in said.out
    told = json.loads(call("doctor", "--json").out)
    assert told["ok"] is False
    assert {"name", "state", "required", "version", "wanted", "source", "path", "advice", "note"} == set(
        told["prerequisites"][0]
    )


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_are_what_the_shell_reads(call, shell):
    said = call("completion", shell)
    assert said.code == 0
    assert "_BOATYARD_COMPLETE" in said.out
    if shell == "bash":
        assert subprocess.run(["/bin/bash", "-n"], input=said.out, text=True, check=False).returncode == 0


def test_completion_knows_verbs_and_clusters(process, shop):
    def complete(words, at):
        env = {"_BOATYARD_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(at)}
        code = "import sys; from boatyard.cli.main import main; sys.exit(main([]))"
        return process(code=code, env=env).stdout.split()

    assert "plain,status" in complete("boatyard st", 1)
    assert "plain,shop" in complete("boatyard upgrade sh", 2)


def test_delete_refuses_what_is_protected_before_asking(call, shop):
    shop.clusters.put({**DESIRED, "policy": {"protect": True}})
    for arguments in ([], ["--yes"]):
        said = call("delete", "shop", *arguments)
        assert said.code == 7
        assert "protected" in said.err


def test_delete_needs_somebody_to_ask(call, shop):
    said = call("delete", "shop", text="shop\n")
    assert said.code == 7
    assert "--yes" in said.err
    assert shop.clusters.get("shop").state == "managed"


def test_deploy_names_the_apps_there_are(call, shop):
    said = call("deploy", "shop", "--app", "nosuch")
    assert said.code == 4
    assert "nosuch" in said.err


@pytest.mark.parametrize("flag", [[], ["--wake"]])
@pytest.mark.parametrize(
    ("words", "flow", "asked"),
    [
        (["deploy", "shop"], "deploy_apps", {"apps": []}),
        (["upgrade", "shop", "--to", "1.36"], "upgrade_cluster", {"to": "1.36"}),
    ],
)
def test_only_who_asks_for_it_wakes_a_cluster(call, shop, monkeypatch, words, flow, asked, flag):
    runs = []
    monkeypatch.setattr("boatyard.cli.flowrun.run_flow", lambda *words, **more: runs.append(words))
    assert call(*words, *flag).code == 0
    [(_, _, started, name, given)] = runs
    assert (started, name, given) == (flow, "shop", {"name": "shop", **asked, "wake": bool(flag)})


def _planned(spec, observed):
    cluster = load_cluster(spec)
    return [plans.Planned(cluster, plan=compute(cluster, observed, {}))]


RUNNING = Observed(
    phase=Phase.RUNNING,
    version="1.35",
    pools={"web": ObservedPool(name="web", versions={f"n{i}": "1.35" for i in range(9)}, ready=9)},
)
AS_WANTED = RUNNING.model_copy(update={"pools": {"web": ObservedPool(name="web", versions={"a": "1.35", "b": "1.35"})}})


def test_apply_refuses_to_disrupt_when_nobody_can_be_asked(call, spec, monkeypatch):
    monkeypatch.setattr(plans, "plan_all", lambda yard, clusters, **how: _planned(spec, RUNNING))
    said = call("apply", str(spec))
    assert said.code == 7
    assert "scale pool web of shop" in said.err
    assert "--yes" in said.err


def test_apply_with_nothing_to_do_still_remembers_owner_and_policy(call, spec, store, monkeypatch):
    monkeypatch.setattr(plans, "plan_all", lambda yard, clusters, **how: _planned(spec, AS_WANTED))
    spec.write_text(spec.read_text() + "policy: {protect: true}\n")
    said = call("apply", str(spec), "--json")
    assert said.code == 0
    assert json.loads(said.out)["results"][0]["outcome"] == "nothing to do"
    assert store.clusters.get("shop").desired["policy"]["protect"] is True


def test_apply_with_nothing_to_do_meets_whoever_holds_the_cluster(call, spec, store, monkeypatch):
    monkeypatch.setattr(plans, "plan_all", lambda yard, clusters, **how: _planned(spec, AS_WANTED))
    with store.leases.hold("shop", "bob", "upgrade"):
        said = call("apply", str(spec))
    assert said.code == 8
    assert "upgrade by bob" in said.err


def test_apply_asks_and_takes_no_for_an_answer(spec, monkeypatch):
    tty = SimpleNamespace(isatty=lambda: True, write=lambda text: None, flush=lambda: None)
    monkeypatch.setattr("sys.stdin", tty)
    monkeypatch.setattr(apply.click, "confirm", lambda *args, **options: False)
    out = SimpleNamespace(stream=tty, line=lambda *a: None, json=False)
    with pytest.raises(apply.Unsafe, match="nothing was changed"):
        apply._agree(_planned(spec, RUNNING), False, out)


class _Server(BaseHTTPRequestHandler):
    def do_GET(self):
        self._answer()

    def do_POST(self):
        self.server.posted.append((self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
        self._answer()

    def _answer(self):
        self.send_response(200)
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"true")

    def log_message(self, *args):
        pass


@pytest.fixture
def server(home):
    with ThreadingHTTPServer(("127.0.0.1", 0), _Server) as listening:
        listening.posted = []
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        place = Place.of(Settings.load()).make()
        client.write(place, f"http://127.0.0.1:{listening.server_port}", auth=False)
        yield listening
        listening.shutdown()
        thread.join()


EVENT = ["event", "pull_request.opened", "--repository", "example/shop", "--number", "12"]


def test_an_event_is_told_to_the_running_server(call, server):
    said = call(*EVENT, "--occurred", "2026-11-22T10:00:00Z")
    assert said.code == 0
    [(path, [event])] = server.posted
    assert path == "/api/events"
    assert event["event"] == "pull_request.opened"
    assert event["resource"] == {"prefect.resource.id": "pull_request/example/shop/12"}
    assert event["payload"] == {"repository": "example/shop", "number": 12}
    assert event["occurred"] == "2026-11-22T10:00:00+00:00"


def test_an_event_without_a_server_says_what_to_do(call):
    said = call(*EVENT)
    assert said.code == 4
    assert "boatyard up" in said.err


@pytest.mark.parametrize(
    "wrong",
    [["--number", "0"], ["--repository", "shop"], ["--repository", "a/" + "b" * 300], ["--occurred", "noon"]],
    ids=str,
)
def test_events_that_make_no_sense_are_usage_errors(call, server, wrong):
    said = call(*EVENT, *wrong)
    assert said.code == 64
    assert server.posted == []


def test_a_cluster_that_is_held_is_refused_without_starting_a_server(call, store, monkeypatch):
    monkeypatch.setattr("boatyard.cli.flowrun.flows", lambda *_, **__: pytest.fail("a server was started"))
    store.clusters.put({"name": "shop", "provider": {"kind": "kwok"}, "kubernetes": {"version": "1.35"}})
    with store.leases.hold("shop", "bob", "upgrade"):
        ran = call("scale", "shop", "web=3")
    assert ran.code == 8
    assert "Cluster shop is held" in ran.err
    assert "bob" in ran.err
