"""Volumes that come with an instance: provisioned as its block device mapping says.

AWS makes them with the mapping's Iops and Throughput (EC2 API, EbsBlockDevice: Iops is required for io1 and io2); moto
5.2 drops both, and so refuses io1 and io2.
"""

from contextvars import ContextVar
from typing import Any

from boatyard.sandbox.aws.extension.mend import mend

_provisioned: ContextVar[dict[str, dict[str, Any]]] = ContextVar("provisioned")
"""Device name → what its mapping says, of the instances that are being launched."""


def install() -> None:
    """Mend moto's launching of instances."""
    from moto.ec2.models.instances import Instance, InstanceBackend

    mend(InstanceBackend, "run_instances")(_run_instances)
    mend(Instance, "add_block_device")(_add_block_device)


def _run_instances(original: Any, backend: Any, *args: Any, **kwargs: Any) -> Any:
    mappings = kwargs.get("block_device_mappings")
    if mappings is None and kwargs.get("launch_template"):
        mappings = backend._get_template_from_args(kwargs["launch_template"]).data.get("BlockDeviceMappings")
    token = _provisioned.set({each["DeviceName"]: each.get("Ebs") or {} for each in mappings or ()})
    try:
        return original(backend, *args, **kwargs)
    finally:
        _provisioned.reset(token)


def _add_block_device(
    original: Any,
    instance: Any,
    size: int,
    device_path: str,
    snapshot_id: str | None,
    encrypted: bool,
    delete_on_termination: bool,
    kms_key_id: str | None,
    volume_type: str | None,
) -> None:
    told = _provisioned.get({}).get(device_path, {})
    iops, throughput = (int(told[name]) if told.get(name) else None for name in ("Iops", "Throughput"))
    volume = instance.ec2_backend.create_volume(
        size=size,
        zone_name=instance._placement.zone,
        snapshot_id=snapshot_id,
        encrypted=encrypted,
        kms_key_id=kms_key_id,
        volume_type=volume_type,
        iops=iops,
        throughput=throughput,
    )
    instance.ec2_backend.attach_volume(volume.id, instance.id, device_path, delete_on_termination)
