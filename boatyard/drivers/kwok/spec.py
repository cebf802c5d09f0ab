"""What a user may say of a kwok cluster."""

from typing import ClassVar, Literal

from boatyard.spec.provider import ProviderSettings


class Provider(ProviderSettings):
    """A real control plane on this machine; nodes and pods' lives are played by KWOK."""

    minors: ClassVar[tuple[str, ...]] = ("1.33", "1.34", "1.35", "1.36")

    kind: Literal["kwok"]
