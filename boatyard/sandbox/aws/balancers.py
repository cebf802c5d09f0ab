"""A Service of type LoadBalancer has a load balancer in the account, from its creation until its deletion."""

from typing import TYPE_CHECKING, Any

from boatyard.kube.client import Client

if TYPE_CHECKING:
    from boatyard.sandbox.aws.cloud import Aws

Json = dict[str, Any]

FINALIZER = "service.kubernetes.io/load-balancer-cleanup"
_KIND = "service.beta.kubernetes.io/aws-load-balancer-type"
_NETWORK = ("nlb", "nlb-ip", "external")


class Balancers:
    """Classic ones, or network load balancers where the Service is annotated so."""

    def __init__(self, cluster: str, aws: "Aws") -> None:
        self._cluster, self._aws = cluster, aws

    def take(self, client: Client, service: Json) -> None:
        """Make or remove what this Service asks for now."""
        metadata = service["metadata"]
        ours = FINALIZER in (metadata.get("finalizers") or [])
        wanted = service["spec"].get("type") == "LoadBalancer" and not metadata.get("deletionTimestamp")
        path = f"/api/v1/namespaces/{metadata['namespace']}/services/{metadata['name']}"
        if wanted and not ours:
            client.patch(path, _finalizers(service, add=True))  # its change comes back here
        elif wanted and not (service["status"].get("loadBalancer") or {}).get("ingress"):
            host = self._make(service)
            client.patch(f"{path}/status", {"status": {"loadBalancer": {"ingress": [{"hostname": host}]}}})
        elif ours and not wanted:
            self._remove(service)
            client.patch(path, {"status": {"loadBalancer": None}} | _finalizers(service, add=False))

    def _make(self, service: Json) -> str:
        """The host name of the Service's load balancer, which may be there already."""
        subnets, vpc = self._subnets()
        if _network(service):
            return self._make_network(service, subnets, vpc)
        listeners = [
            {"Protocol": "TCP", "LoadBalancerPort": port["port"], "InstancePort": port.get("nodePort") or port["port"]}
            for port in service["spec"]["ports"]
        ]
        made = self._aws("elb").create_load_balancer(
            LoadBalancerName=_name(service),
            Listeners=listeners,
            Subnets=subnets,
            SecurityGroups=[self._security_group(service, vpc)],
            Tags=self._tags(service),
        )
        return str(made["DNSName"])

    def _make_network(self, service: Json, subnets: list[str], vpc: str) -> str:
        aws, tags = self._aws("elbv2"), self._tags(service)
        made = aws.create_load_balancer(Name=_name(service), Subnets=subnets, Type="network", Tags=tags)
        balancer = made["LoadBalancers"][0]
        for number, port in enumerate(service["spec"]["ports"]):
            group = aws.create_target_group(
                Name=f"{_name(service)[:28]}-{number}",
                Protocol="TCP",
                Port=port.get("nodePort") or port["port"],
                VpcId=vpc,
                Tags=tags,
            )["TargetGroups"][0]["TargetGroupArn"]
            forward = [{"Type": "forward", "TargetGroupArn": group}]
            aws.create_listener(
                LoadBalancerArn=balancer["LoadBalancerArn"], Protocol="TCP", Port=port["port"], DefaultActions=forward
            )
        return str(balancer["DNSName"])

    def _remove(self, service: Json) -> None:
        """Whichever kind it was: the annotation may have changed since."""
        name, aws = _name(service), self._aws("elbv2")
        for balancer in aws.describe_load_balancers()["LoadBalancers"]:
            if balancer["LoadBalancerName"] == name:
                aws.delete_load_balancer(LoadBalancerArn=balancer["LoadBalancerArn"])
        for group in aws.describe_target_groups()["TargetGroups"]:
            if group["TargetGroupName"].startswith(f"{name[:28]}-"):
                aws.delete_target_group(TargetGroupArn=group["TargetGroupArn"])
        self._aws("elb").delete_load_balancer(LoadBalancerName=name)
        named = [{"Name": "group-name", "Values": [f"k8s-elb-{name}"]}]
        for group in self._aws("ec2").describe_security_groups(Filters=named)["SecurityGroups"]:
            self._aws("ec2").delete_security_group(GroupId=group["GroupId"])

    def _security_group(self, service: Json, vpc: str) -> str:
        ec2, name = self._aws("ec2"), f"k8s-elb-{_name(service)}"
        for group in ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": [name]}])["SecurityGroups"]:
            return str(group["GroupId"])
        made = ec2.create_security_group(
            GroupName=name,
            Description=f"Security group for Kubernetes ELB {_name(service)}",
            VpcId=vpc,
            TagSpecifications=[{"ResourceType": "security-group", "Tags": self._tags(service)}],
        )
        return str(made["GroupId"])

    def _subnets(self) -> tuple[list[str], str]:
        """One subnet a zone where the cluster's machines run, and their VPC."""
        running = [
            {"Name": "tag:KubernetesCluster", "Values": [self._cluster]},
            {"Name": "instance-state-name", "Values": ["running"]},
        ]
        zones, vpc = {}, ""
        for reservation in self._aws("ec2").describe_instances(Filters=running)["Reservations"]:
            for instance in reservation["Instances"]:
                zones[instance["Placement"]["AvailabilityZone"]] = instance["SubnetId"]
                vpc = instance["VpcId"]
        return list(zones.values()), vpc

    def _tags(self, service: Json) -> list[dict[str, str]]:
        """The cloud controller's, `KubernetesCluster` among them where the machines have it (source), as kOps' do: by
        that one kOps finds what a cluster has ordered."""
        metadata = service["metadata"]
        return [
            {"Key": "KubernetesCluster", "Value": self._cluster},
            {"Key": f"kubernetes.io/cluster/{self._cluster}", "Value": "owned"},
            {"Key": "kubernetes.io/service-name", "Value": f"{metadata['namespace']}/{metadata['name']}"},
        ]


def _name(service: Json) -> str:
    """As the cloud controller names it: from the Service's UID."""
    return f"a{service['metadata']['uid'].replace('-', '')}"[:32]


def _network(service: Json) -> bool:
    return (service["metadata"].get("annotations") or {}).get(_KIND) in _NETWORK


def _finalizers(service: Json, *, add: bool) -> Json:
    """A merge patch that adds or takes off ours, unless the object changed since."""
    metadata = service["metadata"]
    others = [each for each in metadata.get("finalizers") or [] if each != FINALIZER]
    kept = [*others, FINALIZER] if add else others
    return {"metadata": {"resourceVersion": metadata["resourceVersion"], "finalizers": kept}}
