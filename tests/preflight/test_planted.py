"""More than twenty culprits planted in one real cluster: all found, named, none besides; mended: none."""

import json
from collections.abc import Iterator

import pytest

from boatyard.cli.main import main
from boatyard.errors import DeadlineExceeded, Unsafe
from boatyard.kube.client import Client
from boatyard.kube.preflight.culprit import Culprit, require_none
from boatyard.kube.preflight.look import Beside, look
from boatyard.spec.models import Cluster
from tests.preflight.conftest import TO, World, until
from tests.preflight.planted import cases, difference, finish, mend, plant, spec

pytestmark = pytest.mark.twin
CASES = cases()
EXPECTED = [wanted for case in CASES.values() for wanted in case["expected"]]


@pytest.fixture(scope="module")
def before(world: World) -> tuple[Culprit, ...]:
    return world.culprits()


@pytest.fixture(scope="module")
def planted(world: World, before: tuple[Culprit, ...]) -> Iterator[Cluster]:
    """The spec that goes with the planted cluster."""
    with world.client() as client:
        for case in CASES.values():
            plant(client, case)
        paths = [client.path_of(each) for case in CASES.values() for each in case.get("status", ())]
        until(lambda: all(_ready(client.get(path)) for path in paths), "pods to be ready")
        for case in CASES.values():
            finish(client, case)
    return spec(world.cluster, CASES.values(), world.folder)


def _ready(document: dict) -> bool:
    conditions = document.get("status", {}).get("conditions") or ()
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def settled(world: World, cluster: Cluster, expected: list) -> tuple[Culprit, ...]:
    """The culprits once the controllers have come to rest: as expected, or as they were when patience ended."""
    found: tuple[Culprit, ...] = ()

    def as_expected() -> bool:
        nonlocal found
        found = world.culprits(cluster)
        return not difference(expected, found)

    try:
        until(as_expected, "the controllers to have done their work")
    except DeadlineExceeded:
        pytest.fail("\n".join(difference(expected, found)))
    return found


def test_a_new_cluster_has_none(before: tuple[Culprit, ...]) -> None:
    assert before == ()


def test_every_planted_culprit_is_found_and_named_and_none_besides(world: World, planted: Cluster) -> None:
    assert len(CASES) >= 20
    found = settled(world, planted, EXPECTED)
    assert all(each.why and each.fix for each in found)


def test_looking_asks_for_each_collection_once_and_changes_nothing(world: World, planted: Cluster) -> None:
    before = len(world.requests)
    world.culprits(planted)
    asked = world.requests[before:]
    assert {each["verb"] for each in asked} <= {"get", "list"}
    lists = [
        each["requestURI"]
        for each in asked
        if each["verb"] == "list" and "secrets?fieldSelector" not in each["requestURI"]
    ]
    assert len(lists) > 40
    assert len(lists) == len(set(lists))
    assert not [uri for uri in lists if "v1beta1" in uri]


def test_the_first_few_are_named_in_one_sentence(world: World, planted: Cluster) -> None:
    with pytest.raises(Unsafe) as refused:
        require_none("harbour", TO, world.culprits(planted))
    said = refused.value.message
    first = "API admissionregistration.k8s.io/v1beta1/validatingadmissionpolicies (api-removed): It was called since"
    assert said.startswith(f"harbour must not be upgraded to 1.34: {first}")
    assert said.endswith(f"and {sum(each['blocks'] for each in EXPECTED) - 3} more.")
    assert "\n" not in said


def test_a_waived_culprit_stays_visible_and_lets_the_upgrade_pass(world: World, planted: Cluster) -> None:
    stopping = {(each.check, str(each.object)) for each in world.culprits(planted) if each.stops}
    waivers = [
        {"check": check, "object": name, "reason": "known to the harbour master", "until": "2999-12-31"}
        for check, name in sorted(stopping)
    ]
    over = {"check": "pdb-empty", "object": "* empty/*", "reason": "soon", "until": "2026-01-01"}
    idle = {"check": "node-skew", "object": "Node nobody", "reason": "gone", "until": "2999-12-31"}
    data = planted.model_dump(mode="json")
    data["policy"]["upgrade"]["waivers"] = [*waivers, over, idle]
    found = world.culprits(Cluster.model_validate(data))
    assert {(each.check, str(each.object)) for each in found if each.waived} == stopping
    assert all("known to the harbour master (until 2999-12-31)" in each.waived for each in found if each.waived)
    said = {each.check: str(each.object) for each in found if each.check.startswith("waiver-")}
    assert said == {"waiver-expired": "Waiver pdb-empty * empty/*", "waiver-unused": "Waiver node-skew Node nobody"}
    assert [each.verdict for each in found if each.check == "pdb-empty"] == ["warns"]
    require_none("harbour", TO, found)


def test_the_command_line_lists_them_in_80_columns_and_ends_with_the_code_of_a_refusal(
    world: World, planted: Cluster, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    world.yard.store.clusters.put(planted.model_dump(mode="json"))
    asked = ["--home", str(world.folder), "preflight", "harbour"]
    assert main(asked) == Unsafe.exit_code
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    assert "pdb-blocks: PodDisruptionBudget never/web (Deployment never/web)" in text
    assert "harbour must not be upgraded to 1.34:" in text
    assert main([*asked, "--to", "1.34", "--json"]) == Unsafe.exit_code
    document = json.loads(capsys.readouterr().out)
    assert (document["cluster"], document["to"], document["ok"]) == ("harbour", "1.34", False)
    [never] = [each for each in document["culprits"] if each["object"]["namespace"] == "never"]
    assert (never["check"], never["verdict"], never["owner"]) == ("pdb-blocks", "blocks", "Deployment never/web")


def test_what_may_not_be_read_is_named(world: World, planted: Cluster) -> None:
    account = "/api/v1/namespaces/default/serviceaccounts/{}"
    rules = [
        {"nonResourceURLs": ["/version", "/api", "/apis", "/readyz"], "verbs": ["get"]},
        {"apiGroups": ["apps", "policy"], "resources": ["*"], "verbs": ["list"]},
        {"apiGroups": [""], "resources": ["nodes", "namespaces", "services"], "verbs": ["list"]},
    ]
    rbac = "/apis/rbac.authorization.k8s.io/v1"
    with world.client() as client:
        client.create("/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "narrow"}})
        client.create(f"{rbac}/clusterroles", {"metadata": {"name": "narrow"}, "rules": rules})
        subject = {"kind": "ServiceAccount", "name": "narrow", "namespace": "default"}
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "narrow"}
        binding = {"metadata": {"name": "narrow"}, "roleRef": role, "subjects": [subject]}
        client.create(f"{rbac}/clusterrolebindings", binding)
        token = client.create(account.format("narrow") + "/token", {"spec": {}})["status"]["token"]
    kubeconfig = dict(world.driver().kubeconfig())
    kubeconfig["users"] = [{"name": "harbour-admin", "user": {"token": token}}]
    with Client(kubeconfig) as narrow:
        found = look(narrow, TO, world.yard.clock.now(), Beside(kubeconfig))
    unread = {each.object.name: each.blocks for each in found if each.check == "not-looked-at"}
    assert unread["pods"] is True
    assert unread["validatingwebhookconfigurations.admissionregistration.k8s.io"] is True
    assert unread["/metrics"] is False
    assert unread["secrets of Helm releases"] is False
    assert not {"nodes", "deployments.apps", "poddisruptionbudgets.policy"} & set(unread)
    others = {each.check for each in found} - {"not-looked-at"}
    assert others == {"node-cordoned", "node-skew", "node-unhealthy"}  # nothing is concluded from what was not seen
    refusals = [each.why for each in found if each.check == "not-looked-at" and each.object.name != "/metrics"]
    assert all("narrow" in why for why in refusals)


def test_the_same_cluster_mended_has_none(world: World, planted: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    with world.client() as client:
        for case in CASES.values():
            mend(client, case)
    world.restart()
    mended = spec(world.cluster, CASES.values(), world.folder, mended=True)
    settled(world, mended, [])
    world.yard.store.clusters.put(mended.model_dump(mode="json"))
    assert main(["--home", str(world.folder), "preflight", "harbour"]) == 0
    assert capsys.readouterr().out == "Nothing blocks the upgrade of harbour to 1.34.\n"
