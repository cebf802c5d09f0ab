"""Which program of another version will do, and that the pins agree with each other."""

import re

import pytest

from boatyard.tools.build import MODULE
from boatyard.tools.catalogue import CATALOGUE, Release


@pytest.mark.parametrize(
    ("name", "version", "fits"),
    [
        ("kube-apiserver", "1.36.0", True),
        ("kube-apiserver", "1.35.9", False),
        ("kube-apiserver", "1.36.3-rc.1", False),
        ("etcd", "3.6.1", True),
        ("etcd", "3.5.30", False),
        ("kwokctl", "0.7.0", False),
        ("kubectl", "1.35.2", True),
        ("kubectl", "1.37.0", True),
        ("kubectl", "1.34.9", False),
        ("kubectl", "1.36.3-dispatcher", False),
        ("helm", "4.9.0", True),
        ("helm", "4.2.2", False),
        ("helm", "3.20.0", False),
        ("helm", "4.2.3+g1234567", True),
        ("helm", "", False),
        ("kops", "1.36.0", True),
        ("kops", "1.37.1", True),
        ("kops", "1.35.4", False),
        ("kops", "1.37.0-alpha.1", False),
    ],
)
def test_fits(name: str, version: str, fits: bool) -> None:
    assert CATALOGUE[name].accepts(version) is fits


@pytest.mark.parametrize(
    ("name", "output", "version"),
    [
        ("kubectl", "Client Version: v1.36.3\nKustomize Version: v5.8.1\n", "1.36.3"),
        ("kubectl", "Client Version: v1.32.4-dispatcher\n", "1.32.4-dispatcher"),
        ("etcd", "etcd Version: 3.6.8\nGit SHA: Not provided\n", "3.6.8"),
        ("kube-scheduler", "Kubernetes v1.36.3\n", "1.36.3"),
        ("kwok", "kwok version v0.8.0 go1.26.8 (linux/amd64)\n", "0.8.0"),
        ("kwok", "kwokctl version v0.8.0 go1.26.8 (linux/amd64)\n", None),
        ("kops", "Client version: 1.36.2\n", "1.36.2"),
        ("kops", "Client version: 1.36.2 (git-v1.36.2)\n", "1.36.2"),
        ("helm", "v4.2.3", "4.2.3"),
        ("helm", "Usage: helm is a game", None),
    ],
)
def test_parse(name: str, output: str, version: str | None) -> None:
    assert CATALOGUE[name].parse(output) == version


def test_go_module_and_catalogue_pin_the_same_versions() -> None:
    text = (MODULE / "go.mod").read_text()
    for tool in CATALOGUE.values():
        if tool.go_package:
            module, version = re.search(
                rf"^\s({re.escape('/'.join(tool.go_package.split('/')[:2]))}\S*) v(\S+)$", text, re.M
            ).groups()
            assert (module, version) == (tool.go_package.partition("/cmd/")[0], tool.version)
            assert f'_ "{tool.go_package}"' in (MODULE / "tools.go").read_text()


@pytest.mark.parametrize("name", CATALOGUE)
def test_releases_name_the_machine_and_the_version(name: str) -> None:
    tool = CATALOGUE[name]
    release = tool.release.on("linux", "arm64")
    assert tool.version in release.url
    assert "arm64" in release.url
    assert not set("{}") & set(release.url + release.checksums + (release.member or ""))


@pytest.mark.parametrize(
    ("name", "machine", "url", "checksums", "member"),
    [
        (
            "etcd",
            ("linux", "amd64"),
            "https://github.com/etcd-io/etcd/releases/download/v3.6.8/etcd-v3.6.8-linux-amd64.tar.gz",
            "https://github.com/etcd-io/etcd/releases/download/v3.6.8/SHA256SUMS",
            "etcd-v3.6.8-linux-amd64/etcd",
        ),
        (
            "etcd",
            ("darwin", "arm64"),
            "https://github.com/etcd-io/etcd/releases/download/v3.6.8/etcd-v3.6.8-darwin-arm64.zip",
            "https://github.com/etcd-io/etcd/releases/download/v3.6.8/SHA256SUMS",
            "etcd-v3.6.8-darwin-arm64/etcd",
        ),
        (
            "kube-apiserver",
            ("linux", "arm64"),
            "https://dl.k8s.io/release/v1.36.3/bin/linux/arm64/kube-apiserver",
            "https://dl.k8s.io/release/v1.36.3/bin/linux/arm64/kube-apiserver.sha256",
            None,
        ),
        (
            "helm",
            ("darwin", "arm64"),
            "https://get.helm.sh/helm-v4.2.3-darwin-arm64.tar.gz",
            "https://get.helm.sh/helm-v4.2.3-darwin-arm64.tar.gz.sha256sum",
            "darwin-arm64/helm",
        ),
        (
            "kwokctl",
            ("linux", "amd64"),
            "https://github.com/kubernetes-sigs/kwok/releases/download/v0.8.0/kwokctl-linux-amd64",
            "https://api.github.com/repos/kubernetes-sigs/kwok/releases/tags/v0.8.0",
            None,
        ),
        (
            "kops",
            ("linux", "amd64"),
            "https://github.com/kubernetes/kops/releases/download/v1.36.2/kops-linux-amd64",
            "https://github.com/kubernetes/kops/releases/download/v1.36.2/kops-linux-amd64.sha256",
            None,
        ),
    ],
)
def test_addresses_are_those_that_the_projects_publish_at(
    name: str, machine: tuple[str, str], url: str, checksums: str, member: str | None
) -> None:
    """As in the projects' release notes and scripts: etcd packs by zip for all but Linux; kwok publishes no sums
    but those that GitHub itself reckons.
    """
    assert CATALOGUE[name].release.on(*machine) == Release(url, checksums, member)
