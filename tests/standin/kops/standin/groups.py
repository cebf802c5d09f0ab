"""Launch templates, Auto Scaling groups, etcd volumes, SSH key. Names, fields and tags as recorded."""

import base64
import hashlib
from collections.abc import Iterator
from typing import Any

from standin import api, channel, contents
from standin.aws import tag_list
from standin.say import Fail, Field, flag, tags
from standin.store import Document, ssh_keys
from standin.world import Task, World, cloud_name, decoded, role

DEFAULT_TYPE = "t3.medium"
_METRICS = [
    "GroupDesiredCapacity",
    "GroupInServiceInstances",
    "GroupMaxSize",
    "GroupMinSize",
    "GroupPendingInstances",
    "GroupStandbyInstances",
    "GroupTerminatingInstances",
    "GroupTotalInstances",
]
_TEMPLATE = "k8s.io/cluster-autoscaler/node-template/label/"


def tasks(world: World) -> Iterator[Task]:
    yield from _ssh_key(world)
    for etcd in world.spec.get("etcdClusters", ()):
        for member in etcd["etcdMembers"]:
            yield _volume(world, etcd["name"], member, etcd["etcdMembers"])
    for group in world.chosen:
        yield _launch_template(world, group)
        yield _scaling_group(world, group)


def group_tags(world: World, group: Document) -> dict[str, str]:
    name = group["metadata"]["name"]
    roles = {"ControlPlane": ("master", "control-plane"), "Node": ("node",), "Bastion": ("bastion",)}[role(group)]
    found = world.tags(cloud_name(world, group)) | {"aws-node-termination-handler/managed": ""}
    found |= {f"{_TEMPLATE}kops.k8s.io/instancegroup": name, "kops.k8s.io/instancegroup": name}
    found |= {f"k8s.io/role/{one}": "1" for one in roles}
    if role(group) == "ControlPlane":
        labels = ("kops.k8s.io/kops-controller-pki", "node-role.kubernetes.io/control-plane")
        for label in (*labels, "node.kubernetes.io/exclude-from-external-load-balancers"):
            found[f"{_TEMPLATE}{label}"] = ""
    if role(group) == "Node":
        found[f"{_TEMPLATE}node-role.kubernetes.io/node"] = ""
    labels = {f"{_TEMPLATE}{key}": value for key, value in group["spec"].get("nodeLabels", {}).items()}
    return labels | found | world.spec.get("cloudLabels", {}) | group["spec"].get("cloudLabels", {})


def _profile(world: World, group: Document) -> str:
    return {"ControlPlane": "masters", "Node": "nodes", "Bastion": "bastions"}[role(group)] + f".{world.name}"


def _security_groups(world: World, group: Document) -> str:
    return {"ControlPlane": "masters", "Node": "nodes", "Bastion": "bastion"}[role(group)] + f".{world.name}"


def image_id(world: World, name: str) -> str:
    """An AMI's id, of `ami-…` or owner/name."""
    if name.startswith("ami-"):
        return name
    owner, _, title = name.partition("/")
    filters = [{"Name": "name", "Values": [title]}]
    asked = {"Owners": [owner], "Filters": filters}
    found = world.aws.look(f"image {name}", lambda: world.aws.pages("ec2", "describe_images", "Images", **asked))
    if not found:
        raise Fail(f'could not find Image for "{name}"')
    return str(found[0]["ImageId"])


def _volume(world: World, etcd: str, member: dict[str, Any], members: list[dict[str, Any]]) -> Task:
    name = f"{member['name']}.etcd-{etcd}.{world.name}"
    group = world.group_named(member["instanceGroup"])
    if group is None:
        raise Fail(f'InstanceGroup "{member["instanceGroup"]}" not found (for etcd {etcd}/{member["name"]})')
    zone = world.subnet(group["spec"]["subnets"][0])["zone"]
    peers = ",".join(sorted(one["name"] for one in members))
    more = {f"k8s.io/etcd/{etcd}": f"{member['name']}/{peers}", "k8s.io/role/control-plane": "1"}
    more["k8s.io/role/master"] = "1"
    encrypted, size = bool(member.get("encryptedVolume", True)), int(member.get("volumeSize", 20))

    def find() -> Any:
        return {} if name in world.tagged("describe_volumes", "Volumes") else None

    def make() -> None:
        asked = {"AvailabilityZone": zone, "Size": size, "VolumeType": "gp3", "Iops": 3000, "Throughput": 125}
        specs = world.tag_specs("volume", name, **more)
        world.aws.call("ec2", "create_volume", **asked, Encrypted=encrypted, TagSpecifications=specs)

    fields = [("AvailabilityZone", zone), ("Encrypted", flag(encrypted)), ("SizeGB", str(size))]
    fields += [world.shown_tags(name, **more), ("VolumeIops", "3000"), ("VolumeThroughput", "125")]
    return Task("EBSVolume", name, [*fields, ("VolumeType", "gp3")], find, make)


def ssh_key(world: World) -> tuple[str, bytes] | None:
    """Name of the key pair, and its public key."""
    store, folder = ssh_keys(world.cluster, world.store)
    if not (kept := world.aws.look("ssh", lambda: store.names(folder))):
        return None
    public = world.aws.look("ssh key", lambda: store.read(f"{folder}/{kept[0]}"))
    digest = hashlib.md5(_blob(public), usedforsecurity=False).hexdigest()
    shown = ":".join(digest[at : at + 2] for at in range(0, 32, 2))
    return f"kubernetes.{world.name}-{shown}", public


def _blob(public: bytes) -> bytes:
    return base64.b64decode(public.split()[1])


def fingerprint(public: bytes) -> str:
    """As AWS shows an imported key that kOps wrote: SHA-256, base64."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(_blob(public)).digest()).decode().rstrip("=")


def _ssh_key(world: World) -> Iterator[Task]:
    if (kept := ssh_key(world)) is None:
        return
    name, public = kept
    wanted = {"PublicKey": "<resource>", "KeyFingerprint": fingerprint(public)}

    def find() -> Any:
        pairs = world.aws.look("keys", lambda: world.aws.pages("ec2", "describe_key_pairs", "KeyPairs"))
        found = next((one for one in pairs if one["KeyName"] == name), None)
        if found is None:
            return None
        there = found["KeyFingerprint"]
        same = there.removeprefix("SHA256:").rstrip("=") == wanted["KeyFingerprint"].removeprefix("SHA256:")
        told = there if there.startswith("SHA256:") else f"SHA256:{there}"
        return {} if same else {"PublicKey": "<nil>", "KeyFingerprint": told}

    def make() -> None:
        specs = world.tag_specs("key-pair", world.name)
        world.aws.call("ec2", "import_key_pair", KeyName=name, PublicKeyMaterial=public, TagSpecifications=specs)

    fields = [("Shared", "false"), ("KeyFingerprint", wanted["KeyFingerprint"]), world.shown_tags(world.name)]
    yield Task("SSHKey", name, fields, find, make, wanted, lambda: None)


def _root(group: Document) -> dict[str, Any]:
    spec = group["spec"]
    kind, size = spec.get("rootVolumeType", "gp3"), {"ControlPlane": 64, "Node": 128, "Bastion": 32}[role(group)]
    found = {"VolumeType": kind, "VolumeSize": spec.get("rootVolumeSize", size)}
    found["Encrypted"] = spec.get("rootVolumeEncryption", True)
    if kind in ("gp3", "io1", "io2"):
        found["Iops"] = spec.get("rootVolumeIops", 3000)
    if kind == "gp3":
        found["Throughput"] = spec.get("rootVolumeThroughput", 125)
    return found


def _launch_template(world: World, group: Document) -> Task:
    name, spec, root = cloud_name(world, group), group["spec"], _root(group)
    kept, mixed = ssh_key(world), "mixedInstancesPolicy" in spec
    price = "" if mixed else str(spec.get("maxPrice", ""))
    more = list(spec.get("additionalSecurityGroups", ()))
    zone = world.subnet(spec["subnets"][0])
    public = bool(spec.get("associatePublicIp", zone.get("type", "Public") != "Private"))
    image = str(spec.get("image") or channel.image(world.spec))
    settings: dict[str, str] = {
        "AssociatePublicIP": flag(public),
        "ImageID": image,
        "InstanceType": spec.get("machineType", DEFAULT_TYPE),
        "RootVolumeIops": str(root.get("Iops", "")),
        "RootVolumeSize": str(root["VolumeSize"]),
        "RootVolumeThroughput": str(root.get("Throughput", "")),
        "RootVolumeType": root["VolumeType"],
        "RootVolumeEncryption": flag(root["Encrypted"]),
        "SpotPrice": price,
    }

    def find() -> Any:
        data = world.launch_template(name)
        if data is None:
            return None
        disk = (data.get("BlockDeviceMappings") or [{}])[0].get("Ebs", {})
        card = (data.get("NetworkInterfaces") or [{}])[0]
        spot = data.get("InstanceMarketOptions", {}).get("SpotOptions", {})
        return {
            "AssociatePublicIP": flag(str(card.get("AssociatePublicIpAddress")).lower() == "true"),
            "ImageID": image if image and data["ImageId"] == image_id(world, image) else data["ImageId"],
            "InstanceType": data["InstanceType"],
            "RootVolumeSize": str(disk.get("VolumeSize")),
            "RootVolumeType": disk.get("VolumeType"),
            "RootVolumeEncryption": flag(str(disk.get("Encrypted")).lower() == "true"),
            "SpotPrice": spot.get("MaxPrice", ""),
            "UserData": contents.shown(decoded(data)),
        }

    def data() -> dict[str, Any]:
        groups = [world.security_group(_security_groups(world, group))["GroupId"], *more]
        card = {"DeviceIndex": 0, "AssociatePublicIpAddress": public, "Groups": groups, "DeleteOnTermination": True}
        found: dict[str, Any] = {
            "BlockDeviceMappings": [{"DeviceName": "/dev/sda1", "Ebs": {**root, "DeleteOnTermination": True}}],
            "IamInstanceProfile": {"Name": _profile(world, group)},
            "ImageId": image_id(world, image),
            "InstanceType": settings["InstanceType"],
            "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 1},
            "NetworkInterfaces": [card],
            "UserData": base64.b64encode(contents.user_data(world, group).encode()).decode(),
        }
        labels = tag_list(group_tags(world, group))
        found["TagSpecifications"] = [{"ResourceType": kind, "Tags": labels} for kind in ("instance", "volume")]
        if kept:
            found["KeyName"] = kept[0]
        if price:
            found["InstanceMarketOptions"] = {"MarketType": "spot", "SpotOptions": {"MaxPrice": price}}
        return found

    def make() -> None:
        specs = [{"ResourceType": "launch-template", "Tags": tag_list(group_tags(world, group))}]
        asked = {"LaunchTemplateName": name, "LaunchTemplateData": data(), "TagSpecifications": specs}
        world.aws.call("ec2", "create_launch_template", **asked)

    def change() -> None:
        asked = {"LaunchTemplateName": name, "LaunchTemplateData": data()}
        made = world.aws.call("ec2", "create_launch_template_version", **asked)["LaunchTemplateVersion"]
        newest = str(made["VersionNumber"])
        world.aws.call("ec2", "modify_launch_template", LaunchTemplateName=name, DefaultVersion=newest)

    fields: list[Field] = [("AssociatePublicIP", flag(public)), ("CPUCredits", ""), ("HTTPPutResponseHopLimit", "1")]
    profile = _profile(world, group)
    fields += [("HTTPTokens", "required"), ("HTTPProtocolIPv6", "disabled")]
    fields += [("IAMInstanceProfile", f"name:{profile} id:{profile}"), ("ImageID", image)]
    fields += [("InstanceMonitoring", "false"), ("InstanceType", settings["InstanceType"]), ("IPv6AddressCount", "0")]
    fields += [(key, value) for key, value in settings.items() if key.startswith("RootVolume")]
    fields += [("RootVolumeKmsKey", "")]
    fields += [("SSHKey", f"name:{kept[0]} id:{kept[0]}")] if kept else []
    shown = ", ".join([f"name:{_security_groups(world, group)}", *(f"id:{one}" for one in more)])
    fields += [("SecurityGroups", f"[{shown}]"), ("SpotPrice", price), ("Tags", tags(group_tags(world, group)))]
    wanted = {**settings, "UserData": contents.shown(contents.user_data(world, group))}
    return Task("LaunchTemplate", name, fields, find, make, wanted, change)


def _scaling_group(world: World, group: Document) -> Task:
    name, spec = cloud_name(world, group), group["spec"]
    wanted = {"MaxSize": str(spec["maxSize"]), "MinSize": str(spec["minSize"])}
    behind = role(group) == "ControlPlane" and world.balanced
    targets = sorted(target for target, _ in api.ports(world).values()) if behind else []
    targets += [api.bastion_targets(world)] if role(group) == "Bastion" else []
    policy = spec.get("mixedInstancesPolicy")
    if policy:
        wanted["MixedInstanceOverrides"] = f"[{', '.join(policy.get('instances', ()))}]"

    def find() -> Any:
        found = world.auto_scaling_groups().get(name)
        if found is None:
            return None
        overrides = found.get("MixedInstancesPolicy", {}).get("LaunchTemplate", {}).get("Overrides", ())
        types = ", ".join(one["InstanceType"] for one in overrides)
        return {key: str(found[key]) for key in ("MaxSize", "MinSize")} | {"MixedInstanceOverrides": f"[{types}]"}

    def sizes() -> dict[str, Any]:
        template = {"LaunchTemplateName": name, "Version": "$Latest"}
        asked: dict[str, Any] = {"AutoScalingGroupName": name, "MinSize": spec["minSize"], "MaxSize": spec["maxSize"]}
        zones = [str(world.subnet_id(subnet)) for subnet in spec["subnets"]]
        asked["VPCZoneIdentifier"] = ",".join(zones)
        return asked | (
            {"MixedInstancesPolicy": _mixed(policy, template, spec)} if policy else {"LaunchTemplate": template}
        )

    def make() -> None:
        labels = [{**one, "PropagateAtLaunch": True} for one in tag_list(group_tags(world, group))]
        arns = [world.target_groups()[target]["TargetGroupArn"] for target in targets]
        more = {"TargetGroupARNs": arns} if arns else {}
        world.aws.call("autoscaling", "create_auto_scaling_group", **sizes(), **more, Tags=labels)
        asked = {"AutoScalingGroupName": name, "Granularity": "1Minute", "Metrics": _METRICS}
        world.aws.call("autoscaling", "enable_metrics_collection", **asked)

    def change() -> None:
        world.aws.call("autoscaling", "update_auto_scaling_group", **sizes())

    fields: list[Field] = [("Granularity", "1Minute"), ("InstanceProtection", "false")]
    fields += [("LaunchTemplate", f"name:{name}"), ("LoadBalancers", "[]"), ("MaxInstanceLifetime", "0")]
    fields += [("MaxSize", wanted["MaxSize"]), ("Metrics", f"[{', '.join(_METRICS)}]"), ("MinSize", wanted["MinSize"])]
    fields += [("MixedInstanceOverrides", wanted["MixedInstanceOverrides"])] if policy else []
    where = ", ".join(f"name:{subnet}.{world.name}" for subnet in spec["subnets"])
    fields += [("Subnets", f"[{where}]"), ("SuspendProcesses", "[]"), ("Tags", tags(group_tags(world, group)))]
    fields.append(("TargetGroups", f"[{', '.join(f'name:{one} id:{one}' for one in targets)}]"))
    return Task("AutoscalingGroup", name, fields, find, make, wanted, change)


def _mixed(policy: dict[str, Any], template: dict[str, str], spec: dict[str, Any]) -> dict[str, Any]:
    overrides = [{"InstanceType": one} for one in policy.get("instances", ())]
    names = {
        "onDemandBase": "OnDemandBaseCapacity",
        "onDemandAboveBase": "OnDemandPercentageAboveBaseCapacity",
        "spotAllocationStrategy": "SpotAllocationStrategy",
    }
    spread = {theirs: policy[ours] for ours, theirs in names.items() if ours in policy}
    if "maxPrice" in spec:
        spread["SpotMaxPrice"] = str(spec["maxPrice"])
    chosen = {"LaunchTemplateSpecification": template, "Overrides": overrides}
    return {"LaunchTemplate": chosen, "InstancesDistribution": spread}


def outdated(world: World, name: str) -> dict[str, bool]:
    """Instances of an Auto Scaling group: was it launched from an older launch template version?"""
    found = world.auto_scaling_groups()[name]
    template = world.launch_templates().get(name)
    newest = str(template["LatestVersionNumber"]) if template else ""
    answer = {}
    for one in found["Instances"]:
        version = str(one.get("LaunchTemplate", {}).get("Version", newest))
        answer[one["InstanceId"]] = version not in (newest, "$Latest", "$Default")
    return answer
