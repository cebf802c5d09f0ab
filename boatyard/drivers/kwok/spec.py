"""What a user may say of a kwok cluster."""

from typing import ClassVar, Literal

from boatyard.spec.provider import ProviderSettings


class Provider(ProviderSettings):
    """A real control plane on this machine; nodes and pods' lives are played by KWOK."""

    minors: ClassVar[tuple[str, ...]] = ("1.33", "1.34", "1.35", "1.36")

    kind: Literal["kwok"]


EXAMPLE = """\
apiVersion: boatyard/v1
kind: Cluster
name: demo
owner: you@example.com
provider: {kind: kwok}          # real control plane on this machine, simulated nodes
kubernetes: {version: "1.34"}   # 1.33 to 1.36
pools:
  - {name: web, size: m6i.large, min: 2, max: 5}
  - {name: batch, size: 8x32, min: 1, labels: {team: data}, taints: ["batch=true:NoSchedule"]}
"""
