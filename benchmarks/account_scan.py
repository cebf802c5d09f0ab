"""Looking through a whole AWS account with 1,000 resources, all regions, on an emulated one."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import boto3

from benchmarks.base import Row, median
from benchmarks.twin import scratch
from boatyard.aws.account import Account
from boatyard.aws.inventory import account_resources, cluster_resources, enabled_regions
from boatyard.clock import Deadline, SystemClock

REGION = "us-east-1"
BUDGET = 10.0
"""Seconds."""
CLUSTERS = 10
EACH = {"volume": 40, "security-group": 25, "address": 5, "target-group": 10, "role": 8, "record": 10}
"""Resources of a cluster, besides its VPC and its queue: 100 together."""
LIMIT = 600.0
TIMES = 3


def run() -> list[Row]:
    """`ours`: median seconds of a scan, clients made anew each time; `theirs`: the budget."""
    with scratch() as folder, server(folder) as address, patch.dict(os.environ, _environment(folder, address)):
        planted = plant()
        for region in enabled_regions(_account(folder)):
            boto3.client("ec2", region).describe_snapshots(OwnerIds=["self"])  # moto makes a region when first asked
        rows = []
        looks: dict[str, Callable[[Account], int]] = {
            "account": lambda account: sum(map(len, account_resources(account).values())),
            "cluster": lambda account: len(
                cluster_resources(account, "c0.example.com", state_store=None, dns_zone=None)
            ),
        }
        for name, look in looks.items():
            found: list[int] = []
            seconds = median(lambda look=look, found=found: found.append(look(_account(folder))), TIMES)
            if set(found) != {planted if name == "account" else planted // CLUSTERS}:
                raise RuntimeError(f"{found} resources were found, {planted} are there")
            rows.append(Row(f"account-scan/{name}", seconds, BUDGET, "s", 1.0, "a budget of 10 s"))
        return rows


def _account(folder: Path) -> Account:
    return Account(REGION, home=folder, deadline=Deadline.after(LIMIT, "the scan", SystemClock()))


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """A moto server of its own process; its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    argv = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with (folder / "moto.log").open("wb") as log:
        child = subprocess.Popen(argv, stdout=log, stderr=subprocess.STDOUT)
    try:
        _answers(port, child)
        yield f"http://127.0.0.1:{port}"
    finally:
        child.terminate()
        child.wait(30)


def _answers(port: int, child: "subprocess.Popen[bytes]") -> None:
    clock = SystemClock()
    deadline = Deadline.after(60, "moto's start", clock)
    while True:
        deadline.check("its port")
        if child.poll() is not None:
            raise RuntimeError(f"moto ended with exit code {child.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            continue
        return


def _environment(folder: Path, address: str) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": address,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_CONFIG_FILE": str(folder / "none"),
        "AWS_SHARED_CREDENTIALS_FILE": str(folder / "none"),
        "NO_PROXY": "127.0.0.1",
    }


def plant() -> int:
    """Ten clusters of a hundred resources; how many that is."""
    zone = _client("route53").create_hosted_zone(Name="example.com", CallerReference="1")["HostedZone"]["Id"]
    with ThreadPoolExecutor(4) as pool:
        return sum(pool.map(lambda at: _cluster(f"c{at}.example.com", f"10.{at}.0.0/16", zone), range(CLUSTERS)))


def _client(service: str) -> Any:
    return boto3.session.Session().client(service, region_name=REGION)


def _cluster(name: str, cidr: str, zone: str) -> int:
    ec2, balancers, iam = _client("ec2"), _client("elbv2"), _client("iam")
    labels = {"KubernetesCluster": name, f"kubernetes.io/cluster/{name}": "owned"}
    tags = [{"Key": key, "Value": value} for key, value in labels.items()]

    def spec(kind: str) -> list[dict[str, Any]]:
        return [{"ResourceType": kind, "Tags": tags}]

    vpc = ec2.create_vpc(CidrBlock=cidr, TagSpecifications=spec("vpc"))["Vpc"]["VpcId"]
    _client("sqs").create_queue(QueueName=name.replace(".", "-") + "-nth", tags=labels)
    for _ in range(EACH["volume"]):
        ec2.create_volume(Size=8, AvailabilityZone=f"{REGION}a", TagSpecifications=spec("volume"))
    for at in range(EACH["security-group"]):
        ec2.create_security_group(GroupName=f"k8s-elb-{at}", Description="x", VpcId=vpc)
    for _ in range(EACH["address"]):
        ec2.allocate_address(Domain="vpc", TagSpecifications=spec("elastic-ip"))
    for at in range(EACH["target-group"]):
        group = f"{name.partition('.')[0]}-tg-{at}"
        balancers.create_target_group(Name=group, Protocol="TCP", Port=443, VpcId=vpc, Tags=tags)
    for at in range(EACH["role"]):
        iam.create_role(RoleName=f"sa-{at}.shop.sa.{name}", AssumeRolePolicyDocument="{}", Tags=tags)
    changes = [
        {
            "Action": "CREATE",
            "ResourceRecordSet": {
                "Name": f"etcd-{at}.internal.{name}",
                "Type": "A",
                "TTL": 60,
                "ResourceRecords": [{"Value": "192.0.2.1"}],
            },
        }
        for at in range(EACH["record"])
    ]
    _client("route53").change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": changes})
    return 2 + sum(EACH.values())
