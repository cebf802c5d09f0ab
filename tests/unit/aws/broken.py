"""Broken AWS accounts from case files: setup by boto3 calls on moto, answers at the wire where moto has no such state.

A case (tests/cases/aws/accounts/*.yaml):
  why      one line for the reader, and `wire` where answers are given at the wire, with the reason
  from     `empty`, or `good` (left out): all that the checks ask for is there before `setup`
  base     a file in tests/cases/aws with `setup` and `needs` that come first
  needs    fields of Needs over the usual ones
  setup    boto3 calls: {call: service.operation, with: {…}, keep: {name: JMESPath}, region, account}; $name later on
  answers  {service, operation, status, body, header}: `header` limits it to requests that have that header
  refused  actions that IAM's simulator refuses → reason (`implicit`, `organization`, `boundary`)
  quotas   quota code → value, for what moto has no quotas of
  dns      zone → name servers its parent names; `ours`, `parent zone` (as the account's own parent zone says), `nobody`
  environment  variable → value, null for none; `profile` and `role` as in the spec
  expect   findings: {subject, says: [texts], blocks (true), repaired (false), refuses: text}
  then     findings that appear only after the repairs; subjects
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import boto3
import jmespath
import yaml
from botocore.awsrequest import AWSResponse

from boatyard.aws.account import Account
from boatyard.aws.checks import Needs, Subnet
from boatyard.aws.errors import AwsBusy, NoCredentials

CASES = Path(__file__).parents[2] / "cases" / "aws"
USUAL: Mapping[str, Any] = {
    "cluster": "shop.k8s.example.com",
    "state_store": "example-kops",
    "region": "eu-central-1",
    "zones": ["eu-central-1a", "eu-central-1b"],
    "dns_zone": "k8s.example.com",
    "instances": {"m6i.large": 3},
    "pods_cidr": "100.96.0.0/11",
    "services_cidr": "100.64.0.0/13",
}
ENOUGH = {"L-1216C47A": 256, "L-34B43A08": 256, "L-DB2E81BA": 0, "L-0263D0A3": 20, "L-69A177A2": 50}


@dataclass(frozen=True)
class Case:
    name: str
    document: Mapping[str, Any]

    def get(self, key: str, otherwise: Any) -> Any:
        return self.document.get(key, otherwise)


def cases() -> list[Case]:
    """Every case there is, found by listing."""
    return [Case(path.stem, yaml.safe_load(path.read_text())) for path in sorted((CASES / "accounts").glob("*.yaml"))]


class World:
    """One emulated account with what a case says of it."""

    def __init__(self, case: Case) -> None:
        base = yaml.safe_load((CASES / f"{case.document['base']}.yaml").read_text()) if "base" in case.document else {}
        self.case, self.kept = case, {}
        self._calls = [*base.get("setup", []), *case.get("setup", [])]
        self._needs = {**USUAL, **base.get("needs", {}), **case.get("needs", {})}

    def setup(self) -> None:
        for step in self._calls:
            service, operation = step["call"].split(".")
            client = _setup_client(service, step.get("region", USUAL["region"]), step.get("account"))
            answer = getattr(client, operation)(**self.filled(step.get("with", {})))
            for name, path in step.get("keep", {}).items():
                self.kept[name] = jmespath.search(path, answer)
                assert self.kept[name], f"{self.case.name}: {step['call']} gave no {path}"

    def filled(self, value: Any) -> Any:
        """`$name` is what an earlier call gave."""
        if isinstance(value, Mapping):
            return {key: self.filled(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.filled(inner) for inner in value]
        if isinstance(value, str):
            return re.sub(r"\$([a-z_]\w*)", lambda found: str(self.kept[found[1]]), value)
        return value

    def needs(self) -> Needs:
        fields = self.filled(self._needs)
        fields["zones"] = tuple(fields["zones"])
        fields["subnets"] = tuple(Subnet(**subnet) for subnet in fields.get("subnets", ()))
        return Needs(**fields)

    def lookup(self, zone: str) -> Sequence[str]:
        said = self.case.get("dns", {}).get(zone, "ours")
        if said == "nobody":
            raise AwsBusy(f"DNS could not be asked about {zone}: no answer.")
        if said == "parent zone":
            return _in_parent(zone)
        return _name_servers(zone) if said == "ours" else said

    def answer(self, account: Account) -> None:
        """Puts this case's answers, and those that moto never has, in front of moto."""
        try:
            account.client("iam")
        except NoCredentials:
            return  # no client can be made, so nothing is asked either
        answers = self.case.get("answers", [])
        answers_for(account, answers)
        quotas = {**ENOUGH, **self.case.get("quotas", {})}
        given = {answer["service"] for answer in answers}
        if "iam" not in given:
            simulator(account, self.case.get("refused", {}))
        if "service-quotas" not in given:
            service_quotas(account, quotas)


def answers_for(account: Account, answers: Sequence[Mapping[str, Any]]) -> None:
    for answer in answers:
        client = _client(account, answer["service"])

        def instead(request: Any, answer: Mapping[str, Any] = answer, **_: Any) -> AWSResponse | None:
            if "header" in answer and answer["header"] not in request.headers:
                return None
            return response(request, answer["status"], answer.get("body", ""))

        client.meta.events.register_first(f"before-send.*.{answer['operation']}", instead)


def _client(account: Account, service: str) -> Any:
    """`ec2`, `ec2@us-east-1`, or `sts without role`: the one that takes on the account's role."""
    if service == "sts without role":
        return account._client("sts", account.region, assumed=False)
    name, _, region = service.partition("@")
    return account.client(name, region=region or None)


def simulator(account: Account, refused: Mapping[str, str]) -> None:
    """IAM's policy simulator, which moto does not have: everything is allowed but what is `refused`."""

    def simulate(request: Any, **_: Any) -> AWSResponse:
        body = request.body.decode() if isinstance(request.body, bytes) else request.body
        asked = [value for key, value in parse_qsl(body) if key.startswith("ActionNames.member.")]
        results = "".join(_result(action, refused.get(action)) for action in asked)
        inner = f"<EvaluationResults>{results}</EvaluationResults><IsTruncated>false</IsTruncated>"
        name = "SimulatePrincipalPolicy"
        return response(request, 200, f"<{name}Response><{name}Result>{inner}</{name}Result></{name}Response>")

    account.client("iam").meta.events.register_first("before-send.*.SimulatePrincipalPolicy", simulate)


def _result(action: str, why: str | None) -> str:
    decision = {None: "allowed", "explicit": "explicitDeny"}.get(why, "implicitDeny")
    detail = {
        "organization": "<OrganizationsDecisionDetail><AllowedByOrganizations>false</AllowedByOrganizations>"
        "</OrganizationsDecisionDetail>",
        "boundary": "<PermissionsBoundaryDecisionDetail><AllowedByPermissionsBoundary>false"
        "</AllowedByPermissionsBoundary></PermissionsBoundaryDecisionDetail>",
    }.get(why or "", "")
    named = f"<EvalActionName>{action}</EvalActionName><EvalDecision>{decision}</EvalDecision>"
    return f"<member>{named}{detail}</member>"


def service_quotas(account: Account, values: Mapping[str, int]) -> None:
    """Quotas of EC2 and load balancing, which moto does not have."""

    def quota(request: Any, **_: Any) -> AWSResponse | None:
        code = json.loads(request.body)["QuotaCode"]
        return response(request, 200, json.dumps({"Quota": {"Value": values[code]}})) if code in values else None

    account.client("service-quotas").meta.events.register_first("before-send.*.GetServiceQuota", quota)


class _Raw:
    def __init__(self, body: bytes) -> None:
        self.body = body

    def stream(self, **_: Any) -> list[bytes]:
        return [self.body]


def response(request: Any, status: int, body: str) -> AWSResponse:
    return AWSResponse(request.url, status, {}, _Raw(body.encode()))


@cache
def _boto3(service: str, region: str) -> Any:
    """moto answers clients of earlier accounts too, and making one takes longer than most of the calls."""
    return boto3.client(service, region_name=region, aws_access_key_id="testing", aws_secret_access_key="testing")


def _setup_client(service: str, region: str, account: str | None) -> Any:
    if account is None:
        return _boto3(service, region)
    role = f"arn:aws:iam::{account}:role/owner"
    given = _boto3("sts", "us-east-1").assume_role(RoleArn=role, RoleSessionName="owner")["Credentials"]
    return boto3.client(
        service,
        region_name=region,
        aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretAccessKey"],
        aws_session_token=given["SessionToken"],
    )


def _route53() -> Any:
    return _boto3("route53", "us-east-1")


def _zone(name: str) -> str:
    return next(z["Id"] for z in _route53().list_hosted_zones()["HostedZones"] if z["Name"] == f"{name}.")


def _name_servers(zone: str) -> list[str]:
    return list(_route53().get_hosted_zone(Id=_zone(zone))["DelegationSet"]["NameServers"])


def _in_parent(zone: str) -> list[str]:
    records = _route53().list_resource_record_sets(HostedZoneId=_zone(zone.partition(".")[2]))["ResourceRecordSets"]
    mine = [record for record in records if record["Name"] == f"{zone}." and record["Type"] == "NS"]
    return [value["Value"] for record in mine for value in record["ResourceRecords"]]


Maker = Callable[..., Account]
