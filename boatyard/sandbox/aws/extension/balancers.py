"""Target groups: two hyphens side by side in a name are allowed.

moto refuses them by a rule of 2017 that AWS' documentation never had; in 2020 AWS' API took such a name (aws-sdk-js,
issue 3300), and kOps' own expected results hold them (`tcp-minimal-ipv6-example--bne5ih`).
"""

from typing import Any

from boatyard.sandbox.aws.extension.mend import mend


def install() -> None:
    """Mend moto's target groups."""
    from moto.elbv2.exceptions import DuplicateTargetGroupName
    from moto.elbv2.models import ELBv2Backend

    @mend(ELBv2Backend, "create_target_group")
    def create_target_group(original: Any, backend: Any, name: str, **kwargs: Any) -> Any:
        """Made by a name that moto takes, and then called what it should be; its ARN keeps the other."""
        if "--" not in name:
            return original(backend, name, **kwargs)
        if any(group.name == name for group in backend.target_groups.values()):
            raise DuplicateTargetGroupName
        made = original(backend, name.replace("--", "-0"), **kwargs)
        made.name = name
        return made
