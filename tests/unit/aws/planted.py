"""A cluster as kOps 1.36 leaves it in an account, made with boto3: every kind of resource, with kOps' names and tags.

What needs more of AWS than moto has is left out: see `NOT_IN_MOTO`.
"""

import json
from collections.abc import Mapping
from typing import Any

import boto3

from boatyard.aws import ownership

NOT_IN_MOTO = {
    "an instance's own public address": "moto gives every instance one without an Elastic IP",
    "interfaces that a load balancer makes": "moto makes none",
}
FINGERPRINT = "-dd:5a:97:fb:60:d6:e5:54:8c:3a:35:2a:38:32:26:9d"
IMAGE = "ami-12c6146b"


def tags(cluster: str, name: str = "", **more: str) -> dict[str, str]:
    """kOps' tags of what is the cluster's own."""
    own = {"KubernetesCluster": cluster, f"kubernetes.io/cluster/{cluster}": "owned"}
    return own | ({"Name": name} if name else {}) | more


def pairs(values: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in values.items()]


def spec(kind: str, values: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{"ResourceType": kind, "Tags": pairs(values)}]


class Planted:
    """Makes the cluster; `made` holds (kind, identity) of everything."""

    def __init__(self, cluster: str, region: str, *, cidr: str = "172.20.0.0/16", store: str = "kops-store") -> None:
        self.cluster, self.region, self.cidr, self.store = cluster, region, cidr, store
        self.zone = f"{region}a"
        self.made: set[tuple[str, str]] = set()
        self.ec2 = boto3.client("ec2", region)
        self.network()
        self.machines()
        self.disks()
        self.balancers()
        self.events()
        self.identities()
        self.names()
        self.objects()

    def add(self, kind: str, identity: str) -> str:
        self.made.add((kind, identity))
        return identity

    def owned(self, kind: str, name: str, **more: str) -> list[dict[str, Any]]:
        return spec(kind, tags(self.cluster, name, **more))

    def network(self) -> None:
        ec2, name = self.ec2, self.cluster
        options = [{"Key": "domain-name-servers", "Values": ["AmazonProvidedDNS"]}]
        self.dhcp = self.add(
            "dhcp-options",
            ec2.create_dhcp_options(DhcpConfigurations=options, TagSpecifications=self.owned("dhcp-options", name))[
                "DhcpOptions"
            ]["DhcpOptionsId"],
        )
        vpc = ec2.create_vpc(CidrBlock=self.cidr, TagSpecifications=self.owned("vpc", name))["Vpc"]["VpcId"]
        self.vpc = self.add("vpc", vpc)
        ec2.associate_dhcp_options(DhcpOptionsId=self.dhcp, VpcId=vpc)
        self.gateway()
        subnet = ec2.create_subnet(
            VpcId=vpc,
            CidrBlock=self.cidr.replace("/16", "/24"),
            AvailabilityZone=self.zone,
            TagSpecifications=self.owned("subnet", f"{self.zone}.{name}", SubnetType="Public"),
        )
        self.subnet = self.add("subnet", subnet["Subnet"]["SubnetId"])
        table = ec2.create_route_table(VpcId=vpc, TagSpecifications=self.owned("route-table", name))["RouteTable"]
        self.add("route-table", table["RouteTableId"])
        ec2.associate_route_table(RouteTableId=table["RouteTableId"], SubnetId=self.subnet)
        self.groups = {}
        for group in ("masters", "nodes", "api-elb"):
            made = ec2.create_security_group(
                GroupName=f"{group}.{name}",
                Description=group,
                VpcId=vpc,
                TagSpecifications=self.owned("security-group", f"{group}.{name}"),
            )
            self.groups[group] = self.add("security-group", made["GroupId"])
        address = ec2.allocate_address(Domain="vpc", TagSpecifications=self.owned("elastic-ip", f"{self.zone}.{name}"))
        self.add("elastic-ip", address["AllocationId"])
        nat = ec2.create_nat_gateway(
            SubnetId=self.subnet,
            AllocationId=address["AllocationId"],
            TagSpecifications=self.owned("natgateway", f"{self.zone}.{name}"),
        )["NatGateway"]
        self.add("nat-gateway", nat["NatGatewayId"])
        for each in nat["NatGatewayAddresses"]:
            self.add("network-interface", each["NetworkInterfaceId"])

    def gateway(self) -> None:
        way = self.ec2.create_internet_gateway(TagSpecifications=self.owned("internet-gateway", self.cluster))
        identity = self.add("internet-gateway", way["InternetGateway"]["InternetGatewayId"])
        self.ec2.attach_internet_gateway(InternetGatewayId=identity, VpcId=self.vpc)
        out = self.ec2.create_egress_only_internet_gateway(
            VpcId=self.vpc, TagSpecifications=self.owned("egress-only-internet-gateway", self.cluster)
        )
        self.add("egress-only-internet-gateway", out["EgressOnlyInternetGateway"]["EgressOnlyInternetGatewayId"])

    def machines(self) -> None:
        name = f"nodes-{self.zone}.{self.cluster}"
        key = self.ec2.create_key_pair(
            KeyName=f"kubernetes.{self.cluster}{FINGERPRINT}", TagSpecifications=self.owned("key-pair", self.cluster)
        )
        self.add("keypair", key["KeyPairId"])
        template = self.ec2.create_launch_template(
            LaunchTemplateName=name,
            LaunchTemplateData={
                "ImageId": IMAGE,
                "InstanceType": "t3.medium",
                "SecurityGroupIds": [self.groups["nodes"]],
                "TagSpecifications": self.owned("instance", name) + self.owned("volume", name),
            },
            TagSpecifications=self.owned("launch-template", name),
        )["LaunchTemplate"]["LaunchTemplateId"]
        self.add("launch-template", template)
        scaling = boto3.client("autoscaling", self.region)
        scaling.create_auto_scaling_group(
            AutoScalingGroupName=name,
            MinSize=1,
            MaxSize=1,
            VPCZoneIdentifier=self.subnet,
            LaunchTemplate={"LaunchTemplateId": template, "Version": "$Latest"},
            Tags=[
                {**pair, "ResourceId": name, "ResourceType": "auto-scaling-group", "PropagateAtLaunch": True}
                for pair in pairs(tags(self.cluster, name, **{"k8s.io/role/node": "1"}))
            ],
        )
        self.add("autoscaling-group", name)
        own = [{"Name": "vpc-id", "Values": [self.vpc]}]
        for reservation in self.ec2.describe_instances(Filters=own)["Reservations"]:
            for machine in reservation["Instances"]:
                self.add("instance", machine["InstanceId"])
                for device in machine["BlockDeviceMappings"]:
                    self.add("volume", device["Ebs"]["VolumeId"])
                for card in machine["NetworkInterfaces"]:
                    self.add("network-interface", card["NetworkInterfaceId"])

    def disks(self) -> None:
        for name, more in (
            (f"a.etcd-main.{self.cluster}", {"k8s.io/etcd/main": "a/a", "k8s.io/role/control-plane": "1"}),
            (f"a.etcd-events.{self.cluster}", {"k8s.io/etcd/events": "a/a", "k8s.io/role/control-plane": "1"}),
            (f"{self.cluster}-dynamic-pvc-1", {"kubernetes.io/created-for/pvc/name": "data", "CSIVolumeName": "pvc-1"}),
        ):
            volume = self.ec2.create_volume(
                Size=20,
                VolumeType="gp3",
                AvailabilityZone=self.zone,
                TagSpecifications=self.owned("volume", name, **more),
            )["VolumeId"]
            self.add("volume", volume)
        snapshot = self.ec2.create_snapshot(
            VolumeId=volume, TagSpecifications=self.owned("snapshot", "", **{"ebs.csi.aws.com/cluster": "true"})
        )
        self.add("snapshot", snapshot["SnapshotId"])

    def balancers(self) -> None:
        modern, classic = boto3.client("elbv2", self.region), boto3.client("elb", self.region)
        for name, kind in ((ownership.hashed("api", self.cluster), "network"), (self.short("alb"), "application")):
            made = modern.create_load_balancer(
                Name=name,
                Type=kind,
                Subnets=[self.subnet],
                SecurityGroups=[self.groups["api-elb"]],
                Tags=pairs(tags(self.cluster, f"api.{self.cluster}")),
            )
            self.add("load-balancer", made["LoadBalancers"][0]["LoadBalancerArn"])
        for prefix in ("tcp", "kops-controller"):
            name = ownership.hashed(prefix, self.cluster).replace("--", "-")  # moto takes no two dashes, AWS does
            made = modern.create_target_group(
                Name=name, Protocol="TCP", Port=443, VpcId=self.vpc, Tags=pairs(tags(self.cluster, name))
            )
            self.add("target-group", made["TargetGroups"][0]["TargetGroupArn"])
        name = self.short("a")
        service = {"kubernetes.io/service-name": "default/shop", f"kubernetes.io/cluster/{self.cluster}": "owned"}
        classic.create_load_balancer(
            LoadBalancerName=name,
            Listeners=[{"Protocol": "TCP", "LoadBalancerPort": 80, "InstanceProtocol": "TCP", "InstancePort": 30080}],
            Subnets=[self.subnet],
            SecurityGroups=[self.groups["nodes"]],
            Tags=pairs(service),
        )
        self.add("classic-load-balancer", name)

    def short(self, prefix: str) -> str:
        """A name that tells nothing of the cluster, as controllers in the cluster give."""
        return prefix + ownership.hashed("x", self.cluster)[-6:]

    def events(self) -> None:
        queue = ownership.queue_name(self.cluster)
        url = boto3.client("sqs", self.region).create_queue(QueueName=queue, tags=tags(self.cluster, queue))
        self.add("sqs", url["QueueUrl"])
        bridge = boto3.client("events", self.region)
        for event in ("ASGLifecycle", "SpotInterruption", "InstanceStateChange", "InstanceScheduledChange"):
            name = f"{ownership.cut(self.cluster, 40)}-{event}"
            bridge.put_rule(Name=name, EventPattern='{"source":["aws.ec2"]}', Tags=pairs(tags(self.cluster, name)))
            self.add("eventbridge-rule", name)

    def identities(self) -> None:
        iam = boto3.client("iam", self.region)
        trust = json.dumps({"Version": "2012-10-17", "Statement": []})
        for role in ("masters", "nodes"):
            name = ownership.cut(f"{role}.{self.cluster}", 64)
            labels = pairs(tags(self.cluster, name))
            iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust, Tags=labels)
            iam.create_instance_profile(InstanceProfileName=name, Tags=labels)
            iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
            self.add("iam-role", name)
            self.add("iam-instance-profile", name)
        account = ownership.cut(f"ebs-csi-controller-sa.kube-system.sa.{self.cluster}", 64)
        iam.create_role(RoleName=account, AssumeRolePolicyDocument=trust, Tags=pairs(tags(self.cluster, account)))
        self.add("iam-role", account)
        allowed = {"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"}
        policy = iam.create_policy(
            PolicyName=f"extra.{self.cluster}",
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allowed]}),
            Tags=pairs(tags(self.cluster)),
        )
        self.add("iam-policy", policy["Policy"]["Arn"])
        provider = iam.create_open_id_connect_provider(
            Url=f"https://s3.amazonaws.com/discovery/{self.cluster}",
            ThumbprintList=["a" * 40],
            Tags=pairs(tags(self.cluster, self.cluster)),
        )
        self.add("oidc-provider", provider["OpenIDConnectProviderArn"])

    def names(self) -> None:
        route = boto3.client("route53", self.region)
        zone = route.create_hosted_zone(
            Name=self.cluster,
            CallerReference=self.cluster,
            HostedZoneConfig={"PrivateZone": True, "Comment": ""},
            VPC={"VPCRegion": self.region, "VPCId": self.vpc},
        )["HostedZone"]["Id"].removeprefix("/hostedzone/")
        self.add("hosted-zone", zone)
        for prefix in ("api", "api.internal", "kops-controller.internal", "etcd-a.internal"):
            record(zone, f"{prefix}.{self.cluster}", "203.0.113.123")
            self.add("route53-record", f"{zone}/A/{prefix}.{self.cluster}")

    def objects(self) -> None:
        s3 = boto3.client("s3", "us-east-1")
        for bucket, keys in (
            (self.store, ("config", "instancegroup/nodes", "pki/private/ca/keyset.yaml", "backups/etcd/main/1/_etcd")),
            (f"{self.store}-discovery", (".well-known/openid-configuration", "openid/v1/jwks")),
        ):
            s3.create_bucket(Bucket=bucket)
            for key in keys:
                s3.put_object(Bucket=bucket, Key=f"{self.cluster}/{key}", Body=b"x" * 100)
        self.add("state-store", f"s3://{self.store}/{self.cluster}/")
        self.add("oidc-discovery", f"s3://{self.store}-discovery/{self.cluster}/")


def record(zone: str, name: str, value: str, kind: str = "A") -> None:
    """One DNS record."""
    entry = {"Name": name, "Type": kind, "TTL": 60, "ResourceRecords": [{"Value": value}]}
    changes = {"Changes": [{"Action": "CREATE", "ResourceRecordSet": entry}]}
    boto3.client("route53", "us-east-1").change_resource_record_sets(HostedZoneId=zone, ChangeBatch=changes)


def warm(region: str) -> None:
    """moto makes a region's resources when it is first asked, and answers 500 when many threads ask at once."""
    boto3.client("ec2", region).describe_snapshots(OwnerIds=["self"])
