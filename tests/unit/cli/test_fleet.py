"""`boatyard fleet`, and the rules of upgrades that applying a folder keeps."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from boatyard.store import RingSoaked

RULES = """\
apiVersion: boatyard/v1
kind: Fleet
upgrades:
  rings:
    - {name: canary, match: {stage: canary}, soak: 2d}
    - {name: production, match: {stage: production}, approve: true}
"""
WINDOW = "daily 00:00-00:00"  # always open
OBSERVED = {"phase": "running"}


def member(store, name, ring, version="1.35"):
    """A cluster as monitoring left it: seen a moment ago, and healthy for a year."""
    store.clusters.put(
        {
            "name": name,
            "labels": {"stage": ring},
            "provider": {"kind": "kwok"},
            "kubernetes": {"version": "1.35", "channel": "rapid"},
            "pools": [{"name": "web"}],
            "policy": {"maintenance": {"window": WINDOW}},
        }
    )
    pool = {"name": "web", "versions": {"a": version}}
    store.clusters.set_observed(name, OBSERVED | {"version": version, "pools": {"web": pool}}, fence=None)
    for ago in (timedelta(days=365), timedelta()):
        store.conditions.set(name, "Healthy", "True", now=datetime.now(UTC) - ago)


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "fleet"
    place.mkdir()
    (place / "fleet.yaml").write_text(RULES)
    (place / "early.yaml").write_text("{name: early, provider: {kind: kwok}, kubernetes: {version: '1.35'}}")
    return place


@pytest.fixture
def rules(store):
    from boatyard.spec.waves import Waves

    rings = [
        {"name": "canary", "match": {"stage": "canary"}, "soak": "2d"},
        {"name": "production", "match": {"stage": "production"}, "approve": True},
    ]
    store.rollout.set_rules(Waves.model_validate({"upgrades": {"rings": rings}}).model_dump(mode="json"), "fleet.yaml")
    return store


def reasons(call):
    return {each["cluster"]: each["reason"] for each in json.loads(call("fleet", "upgrades", "--json").out)["clusters"]}


def test_a_fleet_without_clusters_says_so(call):
    assert "No clusters yet" in call("fleet", "upgrades").out


def test_it_shows_what_would_start_now_and_why_others_wait(call, rules):
    member(rules, "early", "canary")
    member(rules, "late", "production")
    said = call("fleet", "upgrades")
    assert said.code == 0
    assert max(map(len, said.out.splitlines())) <= 80
    text = " ".join(said.out.split())
    assert "early canary 1.35 1.36 channel rapid allows 1.36" in text
    assert "ring canary has not soaked 1.36: early is still at 1.35" in text


def test_a_ring_that_waits_for_a_word_says_which_and_takes_it(call, rules):
    member(rules, "early", "canary", version="1.36")
    member(rules, "late", "production")
    rules.rollout.remember([RingSoaked("canary", "1.36", datetime.now(UTC))])
    assert "boatyard fleet approve production 1.36" in call("fleet", "upgrades").out
    assert call("fleet", "refuse", "production", "1.36", "--note", "not now").code == 0
    assert "refused" in reasons(call)["late"]
    assert call("fleet", "approve", "production", "1.36").code == 0
    assert reasons(call)["late"] == "channel rapid allows 1.36"
    assert [(each.granted, each.who, each.note) for each in rules.rollout.answers()] == [
        (False, "ann", "not now"),
        (True, "ann", ""),
    ]


def test_a_halted_ring_goes_on_at_a_person_s_word(call, rules):
    member(rules, "early", "canary")
    member(rules, "late", "production")
    rules.rollout.end(rules.rollout.begin("early", "1.36").id, "failed", "node a is not Ready")
    said = call("fleet", "upgrades").out
    assert "Ring canary stands still" in said
    assert "boatyard fleet go-on canary" in said
    assert call("fleet", "go-on", "canary").code == 0
    assert "stands still" not in call("fleet", "upgrades").out


def test_a_fleet_without_rings_is_let_go_on_as_a_whole(call, store):
    from boatyard.spec.waves import Waves

    store.rollout.set_rules(Waves.model_validate({"upgrades": {"max_parallel": 5}}).model_dump(mode="json"))
    assert call("fleet", "go-on", "default").code == 0
    assert [each.ring for each in store.rollout.lifts()] == ["default"]
    assert call("fleet", "approve", "default", "1.36").code == 4


def test_an_upgrade_whose_run_was_killed_does_not_hold_its_place_for_ever(call, rules):
    member(rules, "early", "canary")
    rules.rollout.begin("early", "1.36")
    assert "under way" in reasons(call)["early"]
    with rules._database.write() as connection:
        connection.exec_driver_sql("UPDATE upgrades SET begun_at = '2026-01-01 00:00:00.000000'")
    assert reasons(call)["early"] == "channel rapid allows 1.36"


def test_a_cluster_that_nobody_looks_at_is_not_upgraded(call, rules):
    member(rules, "early", "canary")
    rules.conditions.clear("early", "Healthy")
    assert "monitor-fleet" in reasons(call)["early"]


@pytest.mark.parametrize("command", ["approve", "refuse", "go-on"])
def test_a_ring_that_is_not_there_is_named_with_those_that_are(call, rules, command):
    said = call("fleet", command, "prod", *([] if command == "go-on" else ["1.36"]))
    assert said.code == 4
    assert "there is no ring 'prod'; there are: canary, production" in said.err


def test_plan_shows_the_rules_that_applying_a_folder_would_keep(call, store, folder):
    member(store, "early", "canary")
    said = call("plan", str(folder), "--json")
    assert said.code == 2
    assert "rings: canary, production" in json.loads(said.out)["rules"]


def test_rules_are_kept_replaced_and_taken_away_by_their_own_file_only(store, folder, tmp_path, home):
    from boatyard.cli.fleet_rules import difference, keep
    from boatyard.cli.output import Out
    from boatyard.spec.fleet import load_fleet

    keep(Out(json=True), load_fleet(folder), str(folder))
    known = store.rollout.rules()
    assert known.source == str(folder / "fleet.yaml")
    assert [ring["name"] for ring in known.document["upgrades"]["rings"]] == ["canary", "production"]
    assert difference(load_fleet(folder), str(folder)) is None

    other = tmp_path / "other"
    other.mkdir()
    (other / "fleet.yaml").write_text("{apiVersion: boatyard/v1, kind: Fleet}")
    keep(Out(json=True), load_fleet(other), str(other))
    assert store.rollout.rules() is not None

    (other / "fleet.yaml").write_text(RULES.replace("2d", "3d"))
    assert "no longer by those of" in difference(load_fleet(other), str(other))

    (folder / "fleet.yaml").write_text("{apiVersion: boatyard/v1, kind: Fleet}")
    keep(Out(json=True), load_fleet(folder), str(folder))
    assert store.rollout.rules() is None


def test_the_forecast_goes_by_what_the_store_remembers(call, rules, folder):
    """A refused ring does not move in the forecast either, as long as nothing newer comes."""
    member(rules, "early", "canary")
    (folder / "late.yaml").write_text(
        "{name: late, labels: {stage: production}, provider: {kind: kwok},"
        " kubernetes: {version: '1.35', channel: n-1}, policy: {maintenance: {window: 'Sat 02:00-06:00 UTC'}}}"
    )
    (folder / "early.yaml").write_text(
        "{name: early, labels: {stage: canary}, provider: {kind: kwok}, kubernetes: {version: '1.35', channel: rapid},"
        " policy: {maintenance: {window: 'daily 00:00-00:00'}}}"
    )
    said = call("fleet", "forecast", str(folder), "--days", "20", "--json")
    assert said.code == 0, said.err
    told = {each["name"]: each for each in json.loads(said.out)["clusters"]}
    assert [move["to"] for move in told["early"]["moves"]] == ["1.36"]
    assert told["late"]["moves"] == []
