"""API versions that the target does not serve: the table, who is named for using them, and what the server tells."""

import base64
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boatyard.kube.apps import Sources
from boatyard.kube.preflight.apis import apis
from boatyard.kube.preflight.metrics import Requested, requested_deprecated
from boatyard.kube.preflight.removals import removals
from boatyard.kube.preflight.uses import decoded, manifests
from boatyard.spec.models import App
from boatyard.versions import Minor
from tests.unit.kube.preflight.scene import scene, served, thing

OLD, NEW = "flowcontrol.apiserver.k8s.io/v1beta3", "flowcontrol.apiserver.k8s.io/v1"
BOTH = served(f"{NEW} FlowSchema flowschemas", f"{OLD} FlowSchema flowschemas")


def schema(*writers: tuple[str, str], **rest: Any) -> dict[str, Any]:
    fields = [{"manager": who, "apiVersion": version, "time": "2026-01-01T00:00:00Z"} for who, version in writers]
    return thing(NEW, "FlowSchema", "mine", "", meta={"managedFields": fields}, **rest)


def at_1_32(*documents: dict[str, Any], **rest: Any) -> Any:
    return scene(*documents, current="1.31", target="1.32", **{"served": BOTH, **rest})


def told(found: Any) -> list[tuple[str, str, bool]]:
    return [(each.check, str(each.object), each.blocks) for each in found]


def test_the_table_is_dated_and_every_entry_is_in_order() -> None:
    table = removals()
    assert table.as_of.year >= 2026
    assert table.known >= Minor(1, 37)
    assert len(table.by_kind) > 60
    assert all(each.deprecated < each.removed for each in table.by_kind.values())
    assert all(each.instead != each.api_version for each in table.by_kind.values())


@pytest.mark.parametrize(
    ("api_version", "kind", "removed"),
    [
        ("policy/v1beta1", "PodDisruptionBudget", "1.25"),
        ("flowcontrol.apiserver.k8s.io/v1beta3", "FlowSchema", "1.32"),
        ("admissionregistration.k8s.io/v1beta1", "ValidatingAdmissionPolicy", "1.34"),
        ("storage.k8s.io/v1beta1", "VolumeAttributesClass", "1.37"),
        ("networking.k8s.io/v1beta1", "ServiceCIDR", "1.37"),
        ("networking.k8s.io/v1beta1", "Ingress", "1.22"),
    ],
)
def test_what_the_releases_say_of_themselves(api_version: str, kind: str, removed: str) -> None:
    found = removals().find(api_version, kind)
    assert found is not None
    assert str(found.removed) == removed
    assert found.instead


def test_who_still_writes_the_old_version_is_named() -> None:
    [found] = apis(*at_1_32(schema(("argocd", OLD), ("kubectl", NEW))))
    assert told([found]) == [("api-removed", "FlowSchema mine", True)]
    assert "argocd wrote it so" in found.why
    assert "kubectl" not in found.why
    assert NEW in found.fix


def test_the_control_plane_and_versions_served_no_more_are_nobody_s_fault() -> None:
    mine = schema(
        ("api-priority-and-fairness-config-consumer-v1", OLD), ("helm", "flowcontrol.apiserver.k8s.io/v1beta1")
    )
    assert told(apis(*at_1_32(mine))) == []


def test_a_removal_behind_the_target_only_warns() -> None:
    seen = scene(schema(("argocd", OLD)), current="1.29", target="1.30", served=BOTH)
    assert told(apis(*seen)) == [("api-deprecated", "FlowSchema mine", False)]


def test_objects_that_no_version_of_the_target_serves_are_named_whoever_wrote_them() -> None:
    only = served(f"{OLD} FlowSchema flowschemas")
    found = list(apis(*at_1_32({**schema(), "apiVersion": OLD}, served=only)))
    assert told(found) == [("api-removed", "FlowSchema mine", True)]
    assert "served in no other version" in found[0].why


def release(manifest: str, *, plain: bool = False) -> dict[str, Any]:
    raw = json.dumps({"version": 4, "manifest": manifest}).encode()
    packed = base64.b64encode(raw if plain else gzip.compress(raw))
    labels = {"name": "guard", "owner": "helm", "status": "deployed"}
    data = {"release": base64.b64encode(packed).decode()}
    return thing("v1", "Secret", "sh.helm.release.v1.guard.v4", meta={"labels": labels}, data=data)


MANIFEST = f"---\napiVersion: {OLD}\nkind: FlowSchema\nmetadata: {{name: mine}}\n---\n# nothing\n"


@pytest.mark.parametrize("plain", [False, True])
def test_a_release_and_the_object_it_made_are_one_culprit_with_both_owners(plain: bool) -> None:
    [found] = apis(*at_1_32(schema(("helm", OLD)), releases=(release(MANIFEST, plain=plain),)))
    assert found.owner == "field manager helm, Helm release shop/guard"
    assert "helm wrote it so; the manifest of revision 4 has it so" in found.why


def test_what_is_gone_already_is_told_but_an_upgrade_breaks_it_no_more() -> None:
    old = "apiVersion: policy/v1beta1\nkind: PodDisruptionBudget\nmetadata: {name: web}\n"
    [found] = apis(*at_1_32(releases=(release(old),)))
    assert (found.check, found.blocks) == ("api-removed", False)
    assert "even now" in found.why


def test_a_release_that_cannot_be_read_is_named() -> None:
    broken = thing("v1", "Secret", "x", meta={"labels": {"name": "guard"}}, data={"release": "bm90aGluZw=="})
    assert told(apis(*at_1_32(releases=(broken,)))) == [("not-looked-at", "HelmRelease shop/guard", False)]


@given(st.binary(max_size=200))
def test_whatever_a_secret_holds_reading_it_never_fails(data: bytes) -> None:
    assert decoded({"data": {"release": base64.b64encode(data).decode()}}) is None or data


@given(st.text(max_size=200))
def test_whatever_a_manifest_holds_reading_it_never_fails(text: str) -> None:
    assert isinstance(manifests(text), list)


def test_a_manifest_is_read_as_the_server_reads_it() -> None:
    text = "apiVersion: v1\nkind: A\nmetadata: {name: a}\nsame: =\nday: 2026-13-45\n---\n"
    text += "apiVersion: v1\nkind: B\nmetadata: none\n---\napiVersion: v1\nkind: C\nmetadata: {name: c}\n"
    assert [each["kind"] for each in manifests(text)] == ["A", "C"]


def test_lists_in_a_manifest_are_opened() -> None:
    text = "apiVersion: v1\nkind: List\nitems: [{apiVersion: v1, kind: Pod, metadata: {name: a}}]"
    assert [each["kind"] for each in manifests(text)] == ["Pod"]


METRICS = """\
# HELP apiserver_requested_deprecated_apis [STABLE] Gauge of deprecated APIs that have been requested
process_start_time_seconds 1.7e+09
apiserver_requested_deprecated_apis{group="flowcontrol.apiserver.k8s.io",removed_release="1.32",resource="flowschemas",\
subresource="",version="v1beta3"} 1
apiserver_requested_deprecated_apis{group="flowcontrol.apiserver.k8s.io",removed_release="1.32",resource="flowschemas",\
subresource="status",version="v1beta3"} 1
apiserver_requested_deprecated_apis{group="",removed_release="",resource="componentstatuses",\
subresource="",version="v1"} 1
"""


def test_the_server_s_metric_is_read_one_a_resource() -> None:
    flow, status = sorted(requested_deprecated(METRICS), key=lambda each: each.resource, reverse=True)
    assert flow == Requested("flowcontrol.apiserver.k8s.io", "v1beta3", "flowschemas", "1.32", 1.7e9)
    assert status.removed == ""


def test_calls_are_told_with_the_writers_that_are_known() -> None:
    calls = requested_deprecated(METRICS)
    found = list(apis(*at_1_32(schema(("argocd", OLD)), requested=calls)))
    assert told(found) == [("api-removed", "FlowSchema mine", True), ("api-removed", f"API {OLD}/flowschemas", True)]
    assert found[1].owner == "argocd"
    assert "2023-11-14 22:13 UTC" in found[1].why
    [alone] = apis(*at_1_32(requested=calls))
    assert "no object tells by whom" in alone.why


def test_calls_of_the_only_version_tell_nothing_since_controllers_make_them() -> None:
    calls = requested_deprecated(METRICS)
    assert told(apis(*at_1_32(requested=calls, served=served(f"{OLD} FlowSchema flowschemas")))) == []


def test_a_target_beyond_the_table_is_said() -> None:
    found = list(apis(*scene(target="1.99")))
    assert told(found) == [("not-looked-at", "Resource removed APIs", False)]


def test_an_app_whose_source_is_gone_is_named(tmp_path: Path) -> None:
    sources = Sources(tmp_path, lambda name: tmp_path / name, tmp_path)
    app = App(name="shop", manifests="nowhere")
    seen, owners = at_1_32()
    assert told(apis(seen, owners, [app], sources)) == [("not-looked-at", "App shop", False)]


def test_an_app_s_object_gets_the_app_s_namespace(tmp_path: Path) -> None:
    budget = "apiVersion: policy/v1beta1\nkind: PodDisruptionBudget\nmetadata: {name: web}\n"
    (tmp_path / "a.yaml").write_text(budget)
    sources = Sources(tmp_path, lambda name: tmp_path / name, tmp_path)
    seen, owners = at_1_32(served=served("policy/v1beta1 PodDisruptionBudget poddisruptionbudgets"))
    [found] = apis(seen, owners, [App(name="shop", namespace="front", manifests="a.yaml")], sources)
    assert (str(found.object), found.owner) == ("PodDisruptionBudget front/web", "app shop")
    assert found.blocks
