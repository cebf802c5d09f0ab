"""Which instance types a zone has, in the way kOps asks for it: by what can be reserved there."""

from typing import Any

from boatyard.sandbox.aws.extension.mend import mend


def install() -> None:
    """Mend moto's offers of reserved instances."""
    from moto.core.responses import ActionResult
    from moto.ec2.responses.reserved_instances import ReservedInstances

    @mend(ReservedInstances, "describe_reserved_instances_offerings")
    def describe_reserved_instances_offerings(original: Any, request: Any) -> Any:
        """A type can be reserved wherever it can be had; moto knows a few offers by heart and no parameter."""
        wanted = request._get_param("InstanceType")
        if not wanted:
            return original(request)
        found = request.ec2_backend.describe_instance_type_offerings("availability-zone", {"instance-type": [wanted]})
        offers = [{"InstanceType": wanted, "AvailabilityZone": each["Location"]} for each in found]
        return ActionResult({"ReservedInstancesOfferings": offers})
