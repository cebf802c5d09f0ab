"""Upgrades that nobody watches: hooks and a canary in their order, halts with the evidence, going on, rolling back."""

import sys
from datetime import timedelta
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey
from prefect.client.schemas.sorting import ArtifactSort

from boatyard.drivers import execute
from boatyard.drivers.kwok.rolling import Rolling
from boatyard.drivers.upgrading import Halted
from boatyard.errors import Permanent, Unsafe
from boatyard.kube.client import Client
from boatyard.spec.models import Cluster
from flows.upgrade import upgrade_cluster
from tests.faults.harness import House, until

pytestmark = [pytest.mark.twin, pytest.mark.server]

NAME = "guarded"
TELL = (
    "import os, sys; open(sys.argv[1], 'a').write(os.environ['BOATYARD_FROM'] + '>' + os.environ['BOATYARD_TO'] + ' ')"
)
ONCE = "import os, sys; os.path.exists('tried') or (open('tried', 'w'), sys.exit('not yet'))"


@pytest.fixture(scope="module")
def cluster(house: House) -> Cluster:
    made = house.spec(
        NAME,
        apps=False,
        version="1.33",
        pools=[{"name": "web", "min": 3}, {"name": "batch", "min": 1, "labels": {"pool": "batch"}}],
    )
    house.set_up(made)
    return made


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here gets better by waiting for ten minutes."""
    monkeypatch.setattr(execute, "LEAST", timedelta(seconds=8))


def wants(house: House, cluster: Cluster, **upgrade: Any) -> None:
    """From now on this is its policy."""
    known = house.yard.registered(cluster.name).model_dump(mode="json", exclude_unset=True)
    known["policy"] = {"upgrade": {"rounds": 1, **upgrade}}
    house.yard.store.clusters.put(Cluster.model_validate(known).model_dump(mode="json"))


def journal(house: House, after: int = 0) -> list[Any]:
    return [entry for entry in house.yard.store.journal.list(NAME, limit=500) if entry.id > after]


def newest(house: House) -> int:
    return max(entry.id for entry in journal(house))


def done(house: House, after: int) -> list[str]:
    """What the journal says since then, the lease's own lines left out."""
    marks = {"done": "", "failed": " failed"}
    told = [entry for entry in journal(house, after) if "lease" not in entry.verb]
    return [f"{entry.verb} {entry.target}{marks[entry.outcome]}" for entry in told]


def kubelets(house: House, cluster: Cluster, pool: str) -> dict[str, str]:
    found: dict[str, str] = house.driver(cluster).observe().pools[pool].versions
    return found


def app(client: Client, name: str, replicas: int, **pod: Any) -> None:
    """A Deployment that lets one pod go at a time; not waited for."""
    labels = {"matchLabels": {"app": name}}
    container = {"name": "main", "image": "registry.example.com/app:1", **pod.pop("container", {})}
    spec = {"containers": [container], "terminationGracePeriodSeconds": 1, **pod}
    template = {"metadata": {"labels": {"app": name}}, "spec": spec}
    client.create(
        "/apis/apps/v1/namespaces/default/deployments",
        {"metadata": {"name": name}, "spec": {"replicas": replicas, "selector": labels, "template": template}},
    )
    client.create(
        "/apis/policy/v1/namespaces/default/poddisruptionbudgets",
        {"metadata": {"name": name}, "spec": {"maxUnavailable": 1, "selector": labels}},
    )


def ready(client: Client, name: str) -> int:
    found = client.get(f"/apis/apps/v1/namespaces/default/deployments/{name}")
    return int(found["status"].get("readyReplicas") or 0)


def remove(client: Client, name: str) -> None:
    client.delete(f"/apis/apps/v1/namespaces/default/deployments/{name}")
    client.delete(f"/apis/policy/v1/namespaces/default/poddisruptionbudgets/{name}")
    until(lambda: not client.list("/api/v1/namespaces/default/pods", labelSelector=f"app={name}"), f"the end of {name}")


def test_everything_goes_in_its_order_and_what_is_owed_is_made_up_for(house: House, cluster: Cluster) -> None:
    wants(
        house,
        cluster,
        canary="node",
        pause="1s",
        drain_order=["app=late"],
        before=[{"name": "announce", "command": [sys.executable, "-c", TELL, "told"]}],
        after=[
            {"name": "shaky", "command": [sys.executable, "-c", "import sys; sys.exit(9)"], "on_failure": "go_on"},
            {"name": "smoke", "command": [sys.executable, "-c", ONCE]},
        ],
    )
    start = newest(house)
    with pytest.raises(Permanent, match=r"hook smoke failed: .*not yet"):
        upgrade_cluster(NAME, "1.34")
    assert done(house, start) == [
        f"begin upgrade {NAME}",
        "run hook announce",
        f"validate {NAME}",
        f"upgrade control plane {NAME}",
        f"pause {NAME}",
        f"validate {NAME}",
        "upgrade pool web",
        f"validate {NAME}",
        "upgrade pool web",
        f"pause {NAME}",
        f"validate {NAME}",
        "upgrade pool batch",
        f"validate {NAME}",
        "run hook shaky failed",
        "run hook smoke failed",
    ]
    assert (house.home / "told").read_text() == "1.33>1.34 "
    again = newest(house)
    upgrade_cluster(NAME, "1.34")
    assert done(house, again) == [
        f"validate {NAME}",
        "run hook shaky failed",
        "run hook smoke",
        f"end upgrade {NAME}",
    ]
    once_more = newest(house)
    upgrade_cluster(NAME, "1.34")
    assert done(house, once_more) == [], "nothing is owed any more"


def test_a_canary_that_breaks_an_app_halts_with_the_evidence_and_mended_it_goes_on(
    house: House, cluster: Cluster
) -> None:
    wants(house, cluster, canary="node")
    first = min(kubelets(house, cluster, "web"))
    start = newest(house)
    with house.client(cluster) as client:
        app(client, "broken-before", 1, nodeSelector={"no": "node"})
        app(client, "pinned", 1, nodeSelector={"kubernetes.io/hostname": first})
        until(lambda: ready(client, "pinned") == 1, "the pinned app")
        with pytest.raises(
            Halted, match=r"the upgrade of guarded stops: .*budgets: PodDisruptionBudget default/pinned"
        ):
            upgrade_cluster(NAME, "1.35")
        versions = sorted(kubelets(house, cluster, "web").values())
        assert versions == ["1.34", "1.34", "1.35"], "the canary went, and nothing after it"
        assert set(kubelets(house, cluster, "batch").values()) == {"1.34"}
        begun, failed = journal(house, start)[0], journal(house, start)[-1]
        assert (begun.verb, failed.verb, failed.outcome) == ("begin upgrade", "validate", "failed")
        assert "not whole before it: default/broken-before" in begun.reason
        assert "pod default/pinned-" in failed.message
        assert "no node takes it" in failed.message
        with get_client(sync_client=True) as prefect:
            key = ArtifactFilter(key=ArtifactFilterKey(any_=[f"halt-{NAME}"]))
            (shown,) = prefect.read_artifacts(artifact_filter=key, sort=ArtifactSort.CREATED_DESC, limit=1)
        assert "- check budgets: PodDisruptionBudget default/pinned" in str(shown.data)
        assert "pod default/pinned-" in str(shown.data)

        again = newest(house)
        with pytest.raises(Halted):
            upgrade_cluster(NAME, "1.35")
        assert done(house, again) == [f"validate {NAME} failed"], "what broke is still broken"
        remove(client, "pinned")
        upgrade_cluster(NAME, "1.35")
        remove(client, "broken-before")
    assert {*kubelets(house, cluster, "web").values(), *kubelets(house, cluster, "batch").values()} == {"1.35"}
    assert done(house, start).count(f"begin upgrade {NAME}") == 1
    assert done(house, start)[-1] == f"end upgrade {NAME}"


def test_a_preflight_that_finds_a_culprit_lets_nothing_begin_unless_the_policy_only_warns(
    house: House, cluster: Cluster
) -> None:
    wants(house, cluster)
    start = newest(house)
    with house.client(cluster) as client:
        app(client, "frozen", 1)
        path = "/apis/policy/v1/namespaces/default/poddisruptionbudgets/frozen"
        client.patch(path, {"spec": {"maxUnavailable": 0}})
        until(lambda: ready(client, "frozen") == 1, "the frozen app")
        with pytest.raises(Unsafe, match="frozen"):
            upgrade_cluster(NAME, "1.36")
        assert done(house, start) == []
        assert house.driver(cluster).observe().version == "1.35"
        wants(house, cluster, preflight="warn", drain_timeout="20s", force_after="2s")
        upgrade_cluster(NAME, "1.36")
        remove(client, "frozen")
    forced = [entry for entry in journal(house, start) if entry.verb == "force eviction"]
    assert len(forced) >= 1
    assert all(entry.target.startswith("default/frozen-") for entry in forced)
    assert "maxUnavailable 0" in forced[0].reason


def test_new_nodes_that_do_not_do_go_again_and_the_old_ones_stay(
    house: House, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pool changes its size of nodes, which needs no new Kubernetes and rolls all the same."""
    before = kubelets(house, cluster, "web")
    known = house.yard.registered(NAME)
    resized = [pool.model_copy(update={"size": "8x32"}) if pool.name == "web" else pool for pool in known.pools]
    house.yard.store.clusters.put(known.model_copy(update={"pools": tuple(resized)}).model_dump(mode="json"))
    wants(house, cluster, strategy="blue_green")
    prepare = Rolling.prepare
    with house.client(cluster) as client:

        def prepared(rolling: Rolling) -> None:
            prepare(rolling)
            nodes = client.list("/api/v1/nodes", labelSelector="boatyard.dev/pool=web")
            assert sum(bool(node["spec"].get("unschedulable")) for node in nodes) == 3
            assert len(nodes) == 6
            app(client, "too-large", 1, container={"resources": {"requests": {"cpu": "4000"}}})

        start = newest(house)
        with monkeypatch.context() as patched:
            patched.setattr(Rolling, "prepare", prepared)
            with pytest.raises(Halted, match=r"default/too-large.* Pool web is as it was before\. Nothing after it"):
                upgrade_cluster(NAME, "1.36")
        assert kubelets(house, cluster, "web") == before
        nodes = client.list("/api/v1/nodes", labelSelector="boatyard.dev/pool=web")
        assert not any(node["spec"].get("unschedulable") for node in nodes)
        assert done(house, start)[-3:] == ["prepare pool web", f"validate {NAME} failed", "roll back pool web"]

        remove(client, "too-large")
        upgrade_cluster(NAME, "1.36")
    after = kubelets(house, cluster, "web")
    assert len(after) == 3
    assert not set(after) & set(before)
    assert house.driver(cluster).observe().pools["web"].size == "8x32"
