"""Desired against observed: which steps, in which order, and that carrying them out ends the matter."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boatyard.errors import NotFound, Permanent, Temporary, Unsafe
from boatyard.plan.compute import by_dependency, compute, deletion, hibernation, rotation, scaling
from boatyard.plan.model import Observed, ObservedApp, ObservedPool, Phase, Plan, Step, Verb
from boatyard.spec.models import App, Cluster, Pool


def cluster(version="1.35", channel="stable", pools=(), apps=(), **policy):
    """Without validations between the steps; see test_upgrade.py for these."""
    policy = {"upgrade": {"rounds": 0}} | policy
    return Cluster.model_validate(
        {
            "name": "shop",
            "provider": {"kind": "kwok"},
            "kubernetes": {"version": version, "channel": channel},
            "pools": list(pools),
            "apps": [{"manifests": name, **extra} | {"name": name} for name, extra in dict(apps).items()],
            "policy": policy,
        }
    )


def pool(name, count, version="1.35", **extra):
    return ObservedPool(name=name, versions={f"{name}-{i}": version for i in range(count)}, ready=count, **extra)


def running(version="1.35", *pools, apps=()):
    return Observed(
        phase=Phase.RUNNING,
        version=version,
        pools={p.name: p for p in pools},
        apps={name: ObservedApp(name=name, digest=digest, complete=True) for name, digest in dict(apps).items()},
    )


def lines(plan):
    return [f"{step.verb} {step.target}" for step in plan.steps]


def step(plan, verb, target=None) -> Step:
    return next(s for s in plan.steps if s.verb == verb and target in (None, s.target))


def test_an_absent_cluster_is_created_then_its_pools_then_its_apps():
    wanted = cluster(
        pools=[{"name": "web", "min": 2}, {"name": "batch"}], apps={"db": {}, "shop": {"depends_on": ["db"]}}
    )
    plan = compute(wanted, Observed(phase=Phase.ABSENT), {"db": "1", "shop": "1"})
    assert lines(plan) == ["create shop", "create pool web", "create pool batch", "deploy app db", "deploy app shop"]
    assert step(plan, Verb.CREATE_POOL, "web").after == step(plan, Verb.CREATE_POOL, "batch").after == ("create",)
    assert set(step(plan, Verb.DEPLOY_APP, "db").after) == {"create-pool-web", "create-pool-batch"}
    assert "deploy-app-db" in step(plan, Verb.DEPLOY_APP, "shop").after


def test_a_cluster_as_the_spec_says_needs_nothing():
    wanted = cluster(pools=[{"name": "web", "min": 2, "max": 4}], apps={"db": {}})
    assert compute(wanted, running("1.35", pool("web", 3), apps={"db": "x"}), {"db": "x"}).empty


def test_control_plane_goes_minor_by_minor_and_nodes_are_replaced_once():
    plan = compute(cluster("1.36", pools=[{"name": "web", "min": 2}]), running("1.34", pool("web", 2, "1.34")), {})
    assert lines(plan) == ["upgrade control plane shop", "upgrade control plane shop", "upgrade pool web"]
    assert [s.params["version"] for s in plan.steps] == ["1.35", "1.36", "1.36"]
    assert plan.steps[1].after == (plan.steps[0].id,)
    assert plan.steps[2].after == (plan.steps[1].id,)


def test_kubelets_never_fall_more_than_three_minors_behind():
    plan = compute(cluster("1.36", pools=[{"name": "web", "min": 1}]), running("1.33", pool("web", 1, "1.32")), {})
    seen = [(s.verb, s.params["version"]) for s in plan.steps]
    at = seen.index((Verb.UPGRADE_POOL, "1.35"))
    assert seen.index((Verb.UPGRADE_CONTROL_PLANE, "1.35")) < at < seen.index((Verb.UPGRADE_CONTROL_PLANE, "1.36"))
    assert seen[-1] == (Verb.UPGRADE_POOL, "1.36")


def test_pools_are_upgraded_one_after_another_in_the_specs_order():
    wanted = cluster("1.35", pools=[{"name": "b", "min": 1}, {"name": "a", "min": 1}])
    plan = compute(wanted, running("1.35", pool("a", 1, "1.34"), pool("b", 1, "1.34")), {})
    assert lines(plan) == ["upgrade pool b", "upgrade pool a"]
    assert plan.steps[1].after == (plan.steps[0].id,)


@pytest.mark.parametrize(("count", "to"), [(1, 3), (9, 5), (3, None), (5, None)])
def test_a_pool_outside_its_bounds_goes_to_the_nearest_bound(count, to):
    plan = compute(cluster(pools=[{"name": "web", "min": 3, "max": 5}]), running("1.35", pool("web", count)), {})
    assert [s.params["count"] for s in plan.steps] == ([] if to is None else [to])


def test_labels_and_taints_that_differ_are_named():
    wanted = cluster(pools=[{"name": "web", "labels": {"tier": "front"}, "taints": ["gpu=yes:NoSchedule"]}])
    plan = compute(wanted, running("1.35", pool("web", 1, labels={"tier": "back"})), {})
    assert lines(plan) == ["configure pool web"]
    assert "tier" in plan.steps[0].reason
    assert "gpu=yes:NoSchedule" in plan.steps[0].reason


def test_an_instance_type_that_differs_replaces_the_nodes():
    wanted = cluster(pools=[{"name": "web", "size": "m6i.xlarge"}])
    plan = compute(wanted, running("1.35", pool("web", 1, size="m6i.large")), {})
    assert lines(plan) == ["upgrade pool web"]
    assert "m6i.large" in plan.steps[0].reason


def test_a_pool_the_spec_no_longer_has_goes_last_and_says_whom_it_disrupts():
    wanted = cluster(pools=[{"name": "new", "min": 2}])
    plan = compute(wanted, running("1.35", pool("old", 4)), {})
    assert lines(plan) == ["create pool new", "delete pool old"]
    assert plan.steps[1].after == ("create-pool-new",)
    assert "4 nodes" in (plan.steps[1].disrupts or "")


def test_apps_changed_cut_off_and_removed():
    seen = running("1.35", apps={"same": "1", "changed": "1", "gone": "1", "cut": "1"})
    seen = seen.model_copy(update={"apps": seen.apps | {"cut": ObservedApp(name="cut", digest="1", complete=False)}})
    plan = compute(
        cluster(apps={"same": {}, "changed": {}, "cut": {}}), seen, {"same": "1", "changed": "2", "cut": "1"}
    )
    assert lines(plan) == ["remove app gone", "deploy app changed", "deploy app cut"]
    assert "cut off" in step(plan, Verb.DEPLOY_APP, "cut").reason


def test_maintenance_may_be_ahead_of_the_spec_but_a_pin_is_never_a_downgrade():
    assert compute(cluster("1.34"), running("1.35"), {}).empty
    with pytest.raises(Unsafe, match=r"runs Kubernetes 1\.35 and kubernetes\.version pins 1\.34"):
        compute(cluster("1.34", "pinned"), running("1.35"), {})


@pytest.mark.parametrize(("phase", "verb"), [(Phase.BROKEN, Verb.REPAIR), (Phase.HIBERNATED, Verb.WAKE)])
def test_a_cluster_that_does_not_answer_is_brought_back_first_and_compared_then(phase, verb):
    plan = compute(cluster(pools=[{"name": "web"}]), Observed(phase=phase, version="1.35"), {})
    assert [s.verb for s in plan.steps] == [verb]
    assert plan.incomplete


def test_deletion_is_refused_for_a_protected_cluster_and_empty_for_an_absent_one():
    assert lines(deletion(cluster(), running())) == ["delete shop"]
    assert deletion(cluster(), Observed(phase=Phase.ABSENT)).empty
    with pytest.raises(Unsafe, match="protected"):
        deletion(cluster(protect=True), running())


def test_hibernation_of_a_sleeping_cluster_does_nothing():
    assert lines(hibernation(cluster(), running())) == ["hibernate shop"]
    assert hibernation(cluster(), Observed(phase=Phase.HIBERNATED)).empty


def test_scaling_stays_inside_the_specs_bounds():
    wanted = cluster(pools=[{"name": "web", "min": 2, "max": 5}])
    assert scaling(wanted, running("1.35", pool("web", 2)), {"web": 5}).steps[0].params["count"] == 5
    assert scaling(wanted, running("1.35", pool("web", 2)), {"web": 2}).empty
    with pytest.raises(Unsafe, match="2 to 5"):
        scaling(wanted, running("1.35", pool("web", 2)), {"web": 6})
    with pytest.raises(NotFound, match="no pool named wbe"):
        scaling(wanted, running(), {"wbe": 2})


def test_dropping_verbs_keeps_the_order_of_the_rest():
    wanted = cluster("1.36", pools=[{"name": "web", "min": 3}], apps={"db": {}})
    plan = compute(wanted, running("1.34", pool("web", 1, "1.34")), {"db": "1"})
    kept = plan.only(Verb.UPGRADE_CONTROL_PLANE, Verb.UPGRADE_POOL)
    assert [s.verb for s in kept.steps] == [Verb.UPGRADE_CONTROL_PLANE] * 2 + [Verb.UPGRADE_POOL]
    assert kept.steps[2].after == (kept.steps[1].id,)


def test_apps_come_after_what_they_depend_on():
    apps = [
        App(name="c", manifests="c", depends_on=("b",)),
        App(name="b", manifests="b", depends_on=("a",)),
        App(name="a", manifests="a"),
    ]
    assert [app.name for app in by_dependency(tuple(apps))] == ["a", "b", "c"]


names = st.sampled_from(["a", "b", "c", "d"])


def test_settings_of_the_cluster_change_before_its_version_and_name_what_they_are():
    seen = running("1.35", pool("web", 2)).model_copy(update={"differs": ("dns: none, public is wanted",)})
    plan = compute(cluster("1.36", pools=[{"name": "web", "min": 2}]), seen, {})
    assert [s.verb for s in plan.steps] == [Verb.CONFIGURE, Verb.UPGRADE_CONTROL_PLANE, Verb.UPGRADE_POOL]
    assert plan.steps[0].params["changes"] == ["dns: none, public is wanted"]
    assert plan.steps[0].disrupts
    assert plan.steps[1].after == (plan.steps[0].id,)


def test_nothing_is_planned_for_a_cluster_that_could_not_be_looked_at():
    seen = Observed(phase=Phase.UNKNOWN, detail="there are no AWS credentials. Run `aws configure`.")
    wanted = cluster()
    for plan in (
        lambda: compute(wanted, seen, {}),
        lambda: hibernation(wanted, seen),
        lambda: deletion(wanted, seen),
        lambda: scaling(wanted, seen, {}),
        lambda: rotation(wanted, seen, []),
    ):
        with pytest.raises(Permanent, match=r"^cluster shop could not be looked at: there are no AWS credentials\."):
            plan()


def test_a_look_that_failed_for_now_is_worth_another():
    seen = Observed(phase=Phase.UNKNOWN, detail="AWS could not be reached.", passing=True)
    with pytest.raises(Temporary, match=r"^cluster shop could not be looked at: AWS could not be reached\."):
        compute(cluster(), seen, {})


def test_nodes_of_an_older_configuration_are_replaced():
    seen = running("1.35", pool("web", 2, outdated=("web-0",)))
    (only,) = compute(cluster(pools=[{"name": "web", "min": 2}]), seen, {}).steps
    assert only.verb is Verb.UPGRADE_POOL
    assert only.reason == "1 of 2 nodes were launched from an older configuration"


def test_labels_replace_nodes_where_they_cannot_be_changed_in_place():
    wanted = cluster(pools=[{"name": "web", "min": 2, "labels": {"team": "data"}}])
    (only,) = compute(wanted, running("1.35", pool("web", 2)), {}, in_place=False).steps
    assert (only.verb, only.reason) == (Verb.UPGRADE_POOL, "labels differ (team)")


def test_bounds_that_the_provider_keeps_follow_the_spec():
    seen = running("1.35", pool("web", 3, bounds=(1, 4)))
    (only,) = compute(cluster(pools=[{"name": "web", "min": 2, "max": 6}]), seen, {}).steps
    assert (only.verb, only.params["count"], only.disrupts) == (Verb.SCALE_POOL, 3, None)
    assert only.reason == "it may have 1 to 4 nodes, the spec allows 2 to 6"


def test_rotation_goes_through_what_is_left_of_its_phases_and_only_while_the_cluster_runs():
    plan = rotation(cluster(), running(), ["promote", "distrust"])
    assert [s.params["phase"] for s in plan.steps] == ["promote", "distrust"]
    assert plan.steps[1].after == (plan.steps[0].id,)
    assert rotation(cluster(), running(), []).empty
    with pytest.raises(Unsafe, match="hibernated"):
        rotation(cluster(), Observed(phase=Phase.HIBERNATED), ["stage"])


versions = st.sampled_from(["1.33", "1.34", "1.35", "1.36"])


@st.composite
def wanted_clusters(draw):
    chosen = draw(st.lists(names, unique=True))
    pools = []
    for name in chosen:
        low = draw(st.integers(0, 4))
        pools.append(
            {
                "name": name,
                "min": low,
                "max": low + draw(st.integers(0, 3)),
                "labels": draw(st.dictionaries(names, names, max_size=2)),
            }
        )
    apps = {name: {} for name in draw(st.lists(names, unique=True))}
    return cluster(draw(versions), pools=pools, apps=apps)


@st.composite
def observations(draw):
    phase = draw(st.sampled_from([Phase.ABSENT, Phase.RUNNING, Phase.PARTIAL]))
    if phase is Phase.ABSENT:
        return Observed(phase=phase)
    version = draw(versions)
    older = [v for v in ["1.33", "1.34", "1.35", "1.36"] if v <= version]
    pools = {
        name: ObservedPool(
            name=name,
            versions={f"{name}-{i}": draw(st.sampled_from(older)) for i in range(draw(st.integers(0, 4)))},
            bounds=draw(st.none() | st.just((0, 9))),
            differs=draw(st.sampled_from([(), ("its volume is gp2, gp3 is wanted",)])),
            outdated=draw(st.sampled_from([(), ("i-1",)])),
        )
        for name in draw(st.lists(names, unique=True))
    }
    apps = {
        name: ObservedApp(name=name, digest=draw(names), complete=draw(st.booleans()))
        for name in draw(st.lists(names, unique=True))
    }
    differs = draw(st.sampled_from([(), ("spec.sshAccess: ::/0, 10.0.0.0/8 is wanted",)]))
    outdated = draw(st.sampled_from([(), ("i-2",)]))
    return Observed(phase=phase, version=version, pools=pools, apps=apps, differs=differs, outdated=outdated)


def after_step(seen: Observed, done: Step, wanted: Cluster, digests) -> Observed:
    """What the world looks like once a step has been carried out, by the words of the contract."""
    pools, apps = dict(seen.pools), dict(seen.apps)
    spec = wanted.pool(done.target) or Pool(name="x")
    match done.verb:
        case Verb.CREATE:
            came = {"phase": Phase.RUNNING, "version": seen.version or done.params["version"]}
            return seen.model_copy(update={**came, "differs": (), "outdated": ()})
        case Verb.CONFIGURE:
            assert tuple(done.params["changes"]) == seen.differs
            return seen.model_copy(update={"differs": (), "outdated": ()})
        case Verb.UPGRADE_CONTROL_PLANE:
            assert int(done.params["version"][2:]) == int(seen.version[2:]) + 1, "a minor was skipped"
            return seen.model_copy(update={"version": done.params["version"]})
        case Verb.CREATE_POOL:
            pools[done.target] = pool(done.target, spec.min, done.params["version"], labels=spec.labels)
        case Verb.SCALE_POOL:
            version = max(pools[done.target].versions.values(), default=seen.version)
            have = list(pools[done.target].versions.items())[: done.params["count"]]
            more = {f"{done.target}-new{i}": version for i in range(done.params["count"] - len(have))}
            sized = {"versions": dict(have) | more, "bounds": seen.pools[done.target].bounds and (spec.min, spec.upper)}
            pools[done.target] = pools[done.target].model_copy(update=sized)
        case Verb.CONFIGURE_POOL:
            pools[done.target] = pools[done.target].model_copy(update={"labels": dict(spec.labels)})
        case Verb.UPGRADE_POOL:
            assert done.params["version"] <= seen.version, "a kubelet ahead of the API server"
            new = {"labels": dict(spec.labels), "differs": (), "outdated": ()}
            new["versions"] = dict.fromkeys(pools[done.target].versions, done.params["version"])
            pools[done.target] = pools[done.target].model_copy(update=new)
        case Verb.DELETE_POOL:
            del pools[done.target]
        case Verb.DEPLOY_APP:
            apps[done.target] = ObservedApp(name=done.target, digest=digests[done.target], complete=True)
        case Verb.REMOVE_APP:
            del apps[done.target]
    return seen.model_copy(update={"pools": pools, "apps": apps})


@settings(max_examples=400, deadline=None)
@given(wanted_clusters(), observations(), st.booleans())
def test_carrying_out_a_plan_leaves_nothing_to_do(wanted, seen, in_place):
    digests = {app.name: f"new-{app.name}" for app in wanted.apps}
    plan = compute(wanted, seen, digests, in_place=in_place)
    assert isinstance(plan, Plan)
    assert all(s.expected > timedelta() for s in plan.steps)
    for done in plan.steps:
        seen = after_step(seen, done, wanted, digests)
    assert compute(wanted, seen, digests, in_place=in_place).steps == ()
