"""Every recorded run of kOps, parsed; what comes out is in a golden file of the run's name.

BOATYARD_UPDATE_GOLDEN=1 writes the golden files anew; read the difference before committing it.
"""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import yaml

from boatyard.drivers.kops import failures, parse
from boatyard.drivers.kops.progress import Progress
from boatyard.errors import BoatyardError, InvalidSpec, NotFound, Permanent, Temporary, Unsafe

CASES = Path(__file__).parents[3] / "cases/kops/recorded"
RECORDING = json.loads((CASES / "runs.json").read_text())


def _id(number: int, run: dict[str, Any]) -> str:
    return f"{number:02}-{run['name']}"


RUNS = {_id(number, run): run for number, run in enumerate(RECORDING["runs"])}
KILLED = 124


def _value(argv: list[str], out: str) -> object:
    """What the driver would read from this output."""
    words = argv[1:]
    if words[:2] == ["update", "cluster"] or words[:2] == ["create", "cluster"]:
        return None if "--yes" in words else asdict(parse.preview(out))
    if words[:2] == ["delete", "cluster"]:
        return [asdict(resource) for resource in parse.deletion(out)]
    if words[0] == "rolling-update":
        return [asdict(group) for group in parse.rolling(out)]
    if words[0] == "validate":
        return asdict(parse.validation(out)) if "json" in words else None
    if words[:2] == ["get", "instances"]:
        return [asdict(instance) for instance in parse.instances(out, "k8s.example.com")]
    if words[:2] == ["get", "keypairs"]:
        return [asdict(keypair) for keypair in parse.keypairs(out)]
    if words[0] == "get" and "json" in words:
        return parse.documents(out)
    return parse.version(out) if words == ["version"] else None


def _parsed(run: dict[str, Any]) -> dict[str, Any]:
    lines = [*run["stdout"].splitlines(), *run["stderr"].splitlines()]
    parsed: dict[str, Any] = {"argv": " ".join(run["argv"]), "exit_code": run["exit_code"]}
    parsed["progress"] = list[str]()
    progress = Progress(parsed["progress"].append)
    for line in lines:
        progress.hear(line)
    parsed["hints"] = list(failures.hints(run["stdout"], run["stderr"]))
    if run["exit_code"] not in (0, KILLED):
        error = failures.failure("trying it", run["stdout"], run["stderr"], run["exit_code"])
        families = [cls.__name__ for cls in type(error).__mro__ if issubclass(cls, BoatyardError)]
        parsed["error"] = {"families": families, "message": error.message, "hint": error.hint}
    if run["exit_code"] in (0, KILLED) or (run["argv"][1] == "validate" and run["stdout"]):
        parsed["value"] = _value(run["argv"], run["stdout"])
    return json.loads(json.dumps(parsed, default=str))


@pytest.mark.parametrize("name", RUNS)
def test_a_recorded_run_is_parsed(name: str) -> None:
    golden, parsed = CASES / f"{name}.yaml", _parsed(RUNS[name])
    if os.environ.get("BOATYARD_UPDATE_GOLDEN"):
        golden.write_text(yaml.safe_dump(parsed, sort_keys=False, width=10_000, allow_unicode=True))
    assert parsed == yaml.safe_load(golden.read_text())


def test_no_golden_file_is_left_of_a_run_that_is_gone() -> None:
    assert sorted(path.stem for path in CASES.glob("*.yaml")) == sorted(RUNS)


def test_a_plan_holds_what_was_previewed() -> None:
    first = parse.preview(RUNS["07-update-preview"]["stdout"])
    assert len(first.create) + len(first.modify) == RUNS["07-update-preview"]["stdout"].count("\n\n")
    by_name = {(change.kind, change.name): change.fields for change in first.create}
    assert by_name["AutoscalingGroup", "nodes-us-east-1a.k8s.example.com"]["MaxSize"] == "2"
    assert by_name["Secret", "system:dns"] == {}
    assert by_name["Keypair", "kubernetes-ca"]["Issuer"] == ""
    scaled = parse.preview(RUNS["18-scale-preview"]["stdout"])
    assert scaled.create == ()
    assert scaled.modify[0].fields == {"MaxSize": "2 -> 6", "MinSize": "2 -> 4"}
    upgraded = parse.preview(RUNS["22-upgrade-update-preview"]["stdout"])
    diff = {change.name: change.fields for change in upgraded.modify}["cluster-completed.spec"]["Contents"]
    assert "+   kubernetesVersion: 1.36.1\n-   kubernetesVersion: 1.35.5\n" in diff


def test_deletions_and_no_change_of_a_plan() -> None:
    assert parse.preview("No changes need to be applied\n").nothing
    text = (
        "Items will be deleted only when the --prune flag is specified:\n"
        "  NetworkLoadBalancer  api-old\n\n"
        "Items will be deleted during update:\n"
        "  autoscaling-group    batch.k8s.example.com\n\n"
        "Must specify --yes to apply changes\n"
    )
    plan = parse.preview(text)
    assert plan.delete == (parse.Change("autoscaling-group", "batch.k8s.example.com"),)
    assert plan.prune == (parse.Change("NetworkLoadBalancer", "api-old"),)
    assert not plan.nothing


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (parse.preview, "Segmentation fault"),
        (parse.preview, "Will create resources:\n  VPC/x\n"),
        (parse.rolling, "No rolling-update required."),
        (parse.documents, "<html>"),
        (parse.document, "[]"),
        (parse.version, "kubectl"),
    ],
)
def test_what_kops_never_prints_is_refused(read: Any, text: str) -> None:
    with pytest.raises(Permanent, match=r"kOps (printed|did not)"):
        read(text)


@pytest.mark.parametrize(
    ("said", "family"),
    [
        ("operation error STS: GetCallerIdentity, https response error StatusCode: 403, RequestID: a-b, api error "
         "ExpiredToken: The security token included in the request is expired", failures.Credentials),
        ("get identity: get credentials: failed to refresh cached credentials, no EC2 IMDS role found, operation "
         "error ec2imds: GetMetadata, canceled, context deadline exceeded", failures.Credentials),
        ("operation error EC2: RunInstances, https response error StatusCode: 503, RequestID: x, api error "
         "RequestLimitExceeded: Request limit exceeded.", failures.Throttled),
        ("operation error Route 53: ChangeResourceRecordSets, exceeded maximum number of attempts, 3, https response "
         "error StatusCode: 400, RequestID: x, api error Throttling: Rate exceeded", failures.Throttled),
        ("operation error IAM: CreateRole, https response error StatusCode: 403, RequestID: x, api error AccessDenied:"
         " User: arn:aws:iam::1:user/x is not authorized to perform: iam:CreateRole", failures.Denied),
        ("operation error EC2: CreateVpc, https response error StatusCode: 400, RequestID: x, api error "
         "VpcLimitExceeded: The maximum number of VPCs has been reached.", Permanent),
        ("operation error EC2: CreateVpc, https response error StatusCode: 500, RequestID: x, api error "
         "InternalError: An internal error has occurred", Temporary),
        ("kops version older than last used to update the cluster", Unsafe),
        ("kops upgrade is required", failures.VersionRefused),
        ('cluster "a.example.com" not found', failures.NotRegistered),
        ('error creating instanceGroup: instanceGroup "web" already exists', failures.AlreadyRegistered),
        ('spec.networking: Unsupported value: "flannel"', InvalidSpec),
        ("unknown flag: --frobnicate", Permanent),
        ("wait time exceeded during resources deletion", Temporary),
        ("NoSuchBucket: The specified bucket does not exist", NotFound),
        ("something nobody has seen before", Permanent),
        ('error doing DNS lookup for NS records for "a.io": lookup a.io on 10.0.0.2:53: no such host', Permanent),
        ('error doing DNS lookup for NS records for "a.io": lookup a.io: i/o timeout', failures.Unreachable),
    ],
)  # fmt: skip
def test_the_family_of_a_failure(said: str, family: type[BoatyardError]) -> None:
    error = failures.failure("updating a", "", f"I1122 15:51:10.627202   29153 x.go:1] Working\nError: {said}\n", 1)
    assert type(error) is family or isinstance(error, family)
    assert "RequestID" not in str(error)
    assert "I1122" not in str(error)
    assert error.message.startswith("updating a")
    if family is Permanent:
        assert not isinstance(error, InvalidSpec | NotFound)


def test_a_failure_without_an_error_line() -> None:
    said = "E1122 15:51:10.627202   29153 x.go:1] cannot work\n"
    assert "kOps said: cannot work." in str(failures.failure("a", "", said, 1))
    assert "exit code 3 and said nothing" in str(failures.failure("a", "", "", 3))
    secret = "Error: bad\nAWS_SECRET_ACCESS_KEY=abcdefghijk\n"
    assert "abcdefghijk" not in str(failures.failure("a", "", secret, 1))


def test_hints() -> None:
    said = "A new kops version is available: 1.37.0\nUpgrading is recommended\n"
    assert failures.hints(said, "") == ("A newer kops is available: 1.37.0.",)


def test_a_deletion_is_counted_and_what_holds_it_up_is_named() -> None:
    heard: list[str] = []
    progress = Progress(heard.append)
    delete = RUNS["33-delete-yes"]
    for line in delete["stdout"].splitlines():
        progress.hear(line)
    counted = [line for line in heard if "resources deleted" in line]
    assert counted[:2] == ["kOps: 10 of 28 resources deleted", "kOps: 20 of 28 resources deleted"]
    assert counted[-1] == "kOps: 27 of 28 resources deleted; waiting for dhcp-options:dopt-7a4945a45424fc9a5"
    assert len(heard) <= 6, "28 resources, in many rounds"
