"""Tags of EC2 resources, found by their owner: moto tries a pattern on each tag of the region for each resource."""

from typing import Any

from boatyard.sandbox.aws.extension.mend import mend


def install() -> None:
    """Mend how moto reads the tags of one resource; what it answers stays the same."""
    from moto.ec2.models.core import TaggedEC2Resource
    from moto.ec2.utils import EC2_PREFIX_TO_RESOURCE, get_prefix

    @mend(TaggedEC2Resource, "get_tags")
    def get_tags(original: Any, resource: Any) -> list[dict[str, str]]:
        own = resource.ec2_backend.tags.get(resource.id) if resource.id else None
        if not own:
            return []
        kind = EC2_PREFIX_TO_RESOURCE.get(get_prefix(resource.id), "")
        shared = {"resource_id": resource.id, "resource_type": kind}
        return [{**shared, "key": key, "value": value} for key, value in own.items()]
