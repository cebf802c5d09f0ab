"""What is applied before what."""

import random

import pytest

from boatyard.kube.apply import _moment, _of_new_kinds, _stages
from boatyard.kube.objects import Ref

ORDER = [
    ["v1/Namespace", "apiextensions.k8s.io/v1/CustomResourceDefinition", "scheduling.k8s.io/v1/PriorityClass"],
    [
        "v1/ServiceAccount",
        "v1/Secret",
        "v1/PersistentVolumeClaim",
        "v1/Service",
        "rbac.authorization.k8s.io/v1/RoleBinding",
        "networking.k8s.io/v1/NetworkPolicy",
    ],
    ["policy/v1/PodDisruptionBudget", "known.example.com/v1/Thing"],
    ["apps/v1/Deployment", "batch/v1/CronJob"],
    ["new.example.com/v1/Boat"],
    ["v1/Pod", "admissionregistration.k8s.io/v1/ValidatingWebhookConfiguration"],
]


def document(kind: str) -> dict:
    version, _, name = kind.rpartition("/")
    spec = {"group": "new.example.com", "names": {"kind": "Boat", "plural": "boats"}, "versions": [{"name": "v1"}]}
    metadata = {"name": "a", "namespace": "b"}
    return {"apiVersion": version, "kind": name, "metadata": metadata, "spec": spec}


@pytest.mark.parametrize("seed", range(5))
def test_what_others_rely_on_goes_first(seed: int) -> None:
    documents = [document(kind) for group in ORDER for kind in group]
    random.Random(seed).shuffle(documents)
    stages = _stages([Ref.of(one) for one in documents], _of_new_kinds(documents))
    applied = [f"{documents[i]['apiVersion']}/{documents[i]['kind']}" for _, indices in stages for i in indices]
    for group in ORDER:
        assert sorted(applied[: len(group)]) == sorted(group)
        del applied[: len(group)]
    assert applied == []


def test_a_servers_date_is_read() -> None:
    assert _moment("Wed, 05 Nov 2026 19:38:54 GMT") == "2026-11-05T19:38:54Z"
    assert _moment("Thu, 01 Jan 2026 00:00:00 GMT") == "2026-01-01T00:00:00Z"
