"""What a user may say of a kwok cluster."""

from typing import Annotated, ClassVar, Literal

from pydantic import StringConstraints

from boatyard.spec.provider import ProviderSettings

ApiVersion = Annotated[str, StringConstraints(pattern=r"^(api/(all|ga|beta|alpha)|[a-z0-9.-]{1,253}/v[a-z0-9]{1,20})$")]


class Provider(ProviderSettings):
    """A real control plane on this machine; nodes and pods' lives are played by KWOK."""

    minors: ClassVar[tuple[str, ...]] = ("1.33", "1.34", "1.35", "1.36")

    kind: Literal["kwok"]
    runtime_config: dict[ApiVersion, bool] = {}
    """APIs that the server is to serve beside its usual ones, or not to serve, like `{"storage.k8s.io/v1beta1": true}`.
    Read when the cluster is created."""
    audit: bool = False
    """Write each request to the API server, without its body, to `audit.log` beside the cluster's other logs.
    Read when the cluster is created."""


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
