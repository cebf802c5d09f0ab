"""Which fields a manifest may have: those of kops.k8s.io/v1alpha2 (documentation). An unknown one is an odd input.

A mapping lists fields with what may be in them; None stands for anything.
"""

from collections.abc import Mapping
from typing import Any

from standin.say import Odd

Known = Mapping[str, Any]


def _any(names: str) -> dict[str, Any]:
    return dict.fromkeys(names.split())


_SUBNET = _any("name zone region cidr ipv6CIDR id egress type publicIP additionalRoutes")
_MEMBER = _any("name instanceGroup volumeType volumeIops volumeThroughput volumeSize kmsKeyId encryptedVolume")
_ETCD = _any("name provider version memoryRequest cpuRequest manager backups image") | {"etcdMembers": [_MEMBER]}
_BALANCER = _any(
    "class type idleTimeoutSeconds securityGroupOverride additionalSecurityGroups useForInternalApi sslCertificate"
    " sslPolicy crossZoneLoadBalancing subnets accessLog"
)
CLUSTER = _any(
    "channel addons configBase cloudProvider containerRuntime kubernetesVersion project masterPublicName"
    " masterInternalName networkCIDR additionalNetworkCIDRs networkID secretStore keyStore configStore dnsZone"
    " additionalSans clusterDNSDomain serviceClusterIPRange podCIDR nonMasqueradeCIDR sshAccess nodePortAccess"
    " egressProxy sshKeyName kubernetesApiAccess updatePolicy externalPolicies additionalPolicies fileAssets containerd"
    " kubeDNS kubeAPIServer kubeControllerManager cloudControllerManager kubeScheduler kubeProxy kubelet masterKubelet"
    " cloudConfig externalDns ntp packages nodeTerminationHandler nodeProblemDetector metricsServer certManager"
    " awsLoadBalancerController networking authentication authorization cloudLabels hooks assets encryptionConfig"
    " DisableSubnetTags useHostCertificates sysctlParameters rollingUpdate clusterAutoscaler warmPool"
    " snapshotController karpenter podIdentityWebhook"
) | {
    "subnets": [_SUBNET],
    "etcdClusters": [_ETCD],
    "topology": _any("masters nodes") | {"bastion": _any("bastionPublicName loadBalancer"), "dns": _any("type")},
    "api": {"dns": {}, "loadBalancer": _BALANCER, "publicName": None},
    "iam": _any("legacy allowContainerRegistry permissionsBoundary useServiceAccountExternalPermissions")
    | {"serviceAccountExternalPermissions": None},
    "serviceAccountIssuerDiscovery": _any("discoveryStore discoveryService enableAWSOIDCProvider additionalAudiences"),
}
GROUP = _any(
    "manager role image minSize maxSize autoscale autoscalePriority machineType rootVolumeSize rootVolumeType"
    " rootVolumeIops rootVolumeThroughput rootVolumeOptimization rootVolumeDeleteOnTermination rootVolumeEncryption"
    " rootVolumeEncryptionKey volumes volumeMounts subnets zones hooks maxPrice cpuCredits associatePublicIp"
    " additionalSecurityGroups cloudLabels nodeLabels fileAssets tenancy kubelet taints capacityRebalance"
    " additionalUserData suspendProcesses externalLoadBalancers detailedInstanceMonitoring iam securityGroupOverride"
    " instanceProtection sysctlParameters rollingUpdate instanceInterruptionBehavior compressUserData instanceMetadata"
    " updatePolicy warmPool containerd packages maxInstanceLifetime"
) | {
    "mixedInstancesPolicy": _any(
        "instances instanceRequirements onDemandAllocationStrategy onDemandBase onDemandAboveBase"
        " spotAllocationStrategy spotInstancePools"
    )
}
_META = _any("name creationTimestamp generation") | {"labels": None, "annotations": None}
_KINDS: Mapping[str, Known] = {"Cluster": CLUSTER, "InstanceGroup": GROUP}


def check(document: Any) -> None:
    """`Odd` when a document has what v1alpha2 does not."""
    if not isinstance(document, dict) or document.get("apiVersion") != "kops.k8s.io/v1alpha2":
        raise Odd(f"a manifest that is not of kops.k8s.io/v1alpha2: {str(document)[:80]}")
    kind = document.get("kind")
    if kind not in _KINDS:
        raise Odd(f"a manifest of kind {kind!r}")
    known = _any("apiVersion kind") | {"metadata": _META, "spec": _KINDS[kind]}
    _check(document, known, kind)


def _check(value: Any, known: Any, where: str) -> None:
    if known is None:
        return
    if isinstance(known, list):
        for one in value if isinstance(value, list) else [value]:
            _check(one, known[0], where)
        return
    if not isinstance(value, dict):
        raise Odd(f"{where} is {value!r}, not a mapping")
    for key, inner in value.items():
        if key not in known:
            raise Odd(f"the manifest field {where}.{key}")
        _check(inner, known[key], f"{where}.{key}")
