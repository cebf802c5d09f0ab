"""The KwokctlConfiguration we write, and the few facts we read back from kwokctl's own copy of it."""

import json
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from boatyard.drivers.kwok.processes import COMPONENTS
from boatyard.drivers.kwok.state import Layout, write_atomically
from boatyard.errors import Permanent
from boatyard.spec.models import Network

_TOOL = {"kwok-controller": "kwok"}  # component → our name of its program, where they differ
_OPTION = {
    "etcd": "etcdBinary",
    "kube-apiserver": "kubeApiserverBinary",
    "kube-controller-manager": "kubeControllerManagerBinary",
    "kube-scheduler": "kubeSchedulerBinary",
    "kwok-controller": "kwokControllerBinary",
}
TOOLS = ("kwokctl", *(_TOOL.get(component, component) for component in COMPONENTS))

_EMULATED = re.compile(r"^(\s*- --emulated-version=)([0-9.]+)$", re.MULTILINE)
_PATCHED = re.compile(r"(key: emulated-version\n(?:\s+override: \w+\n)?\s+value: \"?)([0-9.]+)(\"?)")


AUDIT_POLICY = "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules: [{level: Metadata}]\n"
"""One line a request: who asked for what, and with which answer."""


def document(
    version: str,
    ports: Mapping[str, int],
    network: Network,
    tool: Callable[[str], Path],
    *,
    runtime_config: Mapping[str, bool] | None = None,
    audit_policy: Path | None = None,
) -> str:
    """The configuration a cluster is created from: every program by path, every port by number, loopback only.

    kwokctl's own wait asks `kubectl` for up to two minutes and then ends with 0 in any case. We judge readiness
    ourselves and want to hear of a dead component at once, so its wait is answered by `true`.
    """
    options: dict[str, Any] = {
        "runtime": "binary",
        "runtimes": ["binary"],
        "bindAddress": "127.0.0.1",
        "kubectlBinary": shutil.which("true") or "/bin/true",
        **ports,
        **{option: str(tool(_TOOL.get(component, component))) for component, option in _OPTION.items()},
    }
    if runtime_config:
        options["kubeRuntimeConfig"] = ",".join(
            f"{api}={str(on).lower()}" for api, on in sorted(runtime_config.items())
        )
    if audit_policy is not None:
        options["kubeAuditPolicy"] = str(audit_policy)
    services = {"service-cluster-ip-range": network.services}
    alone = {
        "leader-elect": "false"
    }  # there is no second one, and a lease of a killed one would cost 15 s at each start
    emulated = {"emulated-version": version}
    # By default 20 requests a second: one that replaces a thousand pods would spend minutes waiting for its turn.
    brisk = {"kube-api-qps": "200", "kube-api-burst": "400"}
    extra = {
        "kube-apiserver": emulated | services,
        "kube-controller-manager": emulated | services | alone | brisk,
        "kube-scheduler": emulated | alone | brisk,
        "kwok-controller": {"cidr": network.pods},
    }
    patches = [
        {"name": name, "extraArgs": [{"key": key, "value": value} for key, value in arguments.items()]}
        for name, arguments in extra.items()
    ]
    whole = {
        "apiVersion": "config.kwok.x-k8s.io/v1alpha1",
        "kind": "KwokctlConfiguration",
        "options": options,
        "componentsPatches": patches,
    }
    return json.dumps(whole, indent=1)


def installed(layout: Layout) -> bool:
    """Did kwokctl finish laying out the cluster? It writes the components into kwok.yaml at the very end."""
    text = _text(layout)
    parts = (
        layout.pki / "admin.crt",
        layout.pki / "admin.key",
        layout.pki / "ca.crt",
        layout.folder / "kubeconfig.yaml",
    )
    return (
        all(f"name: {component}\n" in text for component in COMPONENTS)
        and emulated_version(layout) is not None
        and all(path.is_file() and path.stat().st_size for path in parts)
        and all(layout.binary(component).exists() for component in COMPONENTS)
    )


def emulated_version(layout: Layout) -> str | None:
    """The minor that the control plane runs, or will run once started; None when kwok.yaml does not say."""
    found = _EMULATED.search(_text(layout))
    return found.group(2) if found else None


def set_emulated_version(layout: Layout, version: str) -> None:
    """Change the minor for the next start. One atomic replacement: kwok.yaml is either the old or the new one."""
    text = _text(layout)
    changed, count = _EMULATED.subn(rf"\g<1>{version}", text)
    if count != 3:
        raise Permanent(f"{layout.kwok_yaml} names --emulated-version {count} times, not for all three components.")
    write_atomically(layout.kwok_yaml, _PATCHED.sub(rf"\g<1>{version}\g<3>", changed))


def _text(layout: Layout) -> str:
    try:
        return layout.kwok_yaml.read_text()
    except OSError:
        return ""
