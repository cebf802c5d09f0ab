"""Charts from where they are published: a repository and an OCI registry, both served here, asked by the real Helm."""

import functools
import http.server
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from boatyard.errors import BoatyardError, Permanent, Temporary
from boatyard.kube.objects import Ref
from boatyard.kube.render import Rendered, render
from boatyard.run import minimal_env, run
from boatyard.spec.models import App
from tests.unit.kube.certificates import served
from tests.unit.kube.registry import Registry, digest_of, serving

pytestmark = pytest.mark.twin

BEACON = Path(__file__).parents[3] / "deployments/apps/beacon"
VERSION = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: version}
data: {version: "{{ .Chart.Version }}"}
"""
Tool = Callable[[str], Path]


class Charts:
    """The beacon chart in the versions 0.1.0 and 0.2.0, packaged by Helm."""

    def __init__(self, folder: Path, tool: Tool) -> None:
        self.folder, self.home, self._helm = folder / "packages", folder / "home", tool("helm")
        self.home.mkdir()
        beacon = folder / "beacon"
        shutil.copytree(BEACON, beacon)
        (beacon / "templates/version.yaml").write_text(VERSION)
        for version in ("0.1.0", "0.2.0"):
            self.helm("package", beacon, "--version", version, "--destination", self.folder)

    def helm(self, *arguments: str | Path, given: str = "") -> None:
        run([self._helm, *arguments], timeout=60, env=minimal_env(HOME=str(self.home)), input=given)

    def push(self, registry: Registry) -> None:
        for package in sorted(self.folder.glob("*.tgz")):
            self.helm("push", package, f"oci://{registry.host}/team/charts", "--plain-http")


@pytest.fixture(scope="module")
def charts(tmp_path_factory: pytest.TempPathFactory, tool: Tool) -> Charts:
    return Charts(tmp_path_factory.mktemp("charts"), tool)


@pytest.fixture
def rendered(tmp_path: Path, tool: Tool, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Rendered]:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("HELM_REGISTRY_CONFIG", raising=False)

    def rendered(**source: object) -> Rendered:
        app = App.model_validate({"name": "beacon", "values": {"replicas": 3}, **source})
        return render(app, base=tmp_path, tool=tool, cache=tmp_path / "cache")

    return rendered


def is_beacon(result: Rendered, version: str) -> None:
    """All of the chart, with the values that were asked for, in that version."""
    found = {Ref.of(one.object).kind: one.object for one in result.all}
    assert set(found) == {
        "CustomResourceDefinition",
        "Beacon",
        "ServiceAccount",
        "Role",
        "RoleBinding",
        "Deployment",
        "Job",
        "ConfigMap",
    }
    assert found["Deployment"]["spec"]["replicas"] == 3
    assert found["ConfigMap"]["data"] == {"version": version}


def one_sentence(error: BoatyardError) -> str:
    text = str(error)
    assert text.startswith("App beacon: helm cannot render ")
    assert "\n" not in text
    assert text.endswith(".")
    return text


# repositories


@pytest.fixture(scope="module")
def packages(charts: Charts) -> Path:
    """What a repository serves: packages and their index."""
    charts.helm("repo", "index", charts.folder)
    return charts.folder


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        return


@pytest.fixture(params=["http", "https"])
def repository(
    request: pytest.FixtureRequest, packages: Path, authority: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    handler = functools.partial(Quiet, directory=str(packages))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    if request.param == "https":
        server.socket = served(authority).wrap_socket(server.socket, server_side=True)
        monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    with serving(server):
        yield f"{request.param}://127.0.0.1:{server.server_port}"


def test_a_chart_of_a_repository(rendered: Callable[..., Rendered], repository: str) -> None:
    is_beacon(rendered(chart="beacon", repository=repository), "0.2.0")
    is_beacon(rendered(chart="beacon", repository=repository, version="0.1.0"), "0.1.0")
    is_beacon(rendered(chart="beacon", repository=repository, version="~0.1.0"), "0.1.0")
    for wrong in ({"version": "9.9.9"}, {"chart": "lighthouse"}):
        with pytest.raises(Permanent, match=r"9\.9\.9|lighthouse") as error:
            rendered(**{"chart": "beacon", "repository": repository, **wrong})
        one_sentence(error.value)


def test_a_repository_nobody_trusts_or_that_is_away(
    rendered: Callable[..., Rendered], authority: Path, packages: Path
) -> None:
    server = Registry(served(authority))
    source = {"chart": "beacon", "repository": f"https://{server.host}"}
    with serving(server), pytest.raises(Permanent, match="certificate") as error:
        rendered(**source)
    one_sentence(error.value)
    with pytest.raises(Temporary, match="connection refused") as gone:
        rendered(**source)
    one_sentence(gone.value)


# registries


@pytest.fixture
def registry(charts: Charts) -> Iterator[Registry]:
    """A registry that speaks http."""
    server = Registry()
    with serving(server):
        charts.push(server)
        yield server


def test_a_chart_of_a_registry_without_tls(rendered: Callable[..., Rendered], registry: Registry) -> None:
    source = {"chart": f"oci://{registry.host}/team/charts/beacon", "plain_http": True}
    is_beacon(rendered(**source), "0.2.0")
    is_beacon(rendered(**source, version="0.1.0"), "0.1.0")
    is_beacon(rendered(**source, version="~0.1.0"), "0.1.0")
    for wrong in ({"version": "9.9.9"}, {"chart": f"oci://{registry.host}/team/charts/lighthouse"}):
        with pytest.raises(Permanent, match=r"9\.9\.9|lighthouse") as error:
            rendered(**{**source, **wrong})
        one_sentence(error.value)
    with pytest.raises(Permanent, match="TLS") as insecure:
        rendered(chart=source["chart"])
    assert "plain_http: true" in str(insecure.value.hint)


def test_a_chart_of_a_registry_with_tls(
    rendered: Callable[..., Rendered], registry: Registry, authority: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secure = Registry(served(authority))
    secure.blobs, secure.manifests, secure.tags = registry.blobs, registry.manifests, registry.tags
    with serving(secure):
        with pytest.raises(Permanent, match="certificate"):
            rendered(chart=f"oci://{secure.host}/team/charts/beacon", version="0.1.0")
        monkeypatch.setenv("SSL_CERT_FILE", str(authority))
        is_beacon(rendered(chart=f"oci://{secure.host}/team/charts/beacon", version="0.1.0"), "0.1.0")


def test_a_registry_that_asks_for_a_login(
    rendered: Callable[..., Rendered], registry: Registry, charts: Charts
) -> None:
    source = {"chart": f"oci://{registry.host}/team/charts/beacon", "plain_http": True}
    registry.login = "eve:open-sesame"
    with pytest.raises(Permanent, match="a login is asked for") as error:
        rendered(**source)
    one_sentence(error.value)
    assert "helm registry login" in str(error.value.hint)
    login = ("registry", "login", registry.host, "--plain-http", "--username", "eve", "--password-stdin")
    charts.helm(*login, given="open-sesame")
    is_beacon(rendered(**source), "0.2.0")
    registry.login = "eve:another"
    with pytest.raises(Permanent) as refused:
        rendered(**source)
    assert "sesame" not in one_sentence(refused.value)


def test_a_package_that_is_not_what_its_digest_says_is_refused(
    rendered: Callable[..., Rendered], registry: Registry
) -> None:
    for key, data in registry.blobs.items():
        registry.blobs[key] = bytes(len(data)) if digest_of(data) == key[1] else data
    with pytest.raises(Permanent, match="digest") as error:
        rendered(chart=f"oci://{registry.host}/team/charts/beacon", plain_http=True, version="0.1.0")
    one_sentence(error.value)


def test_a_registry_that_is_away_may_come_back(rendered: Callable[..., Rendered], charts: Charts) -> None:
    server = Registry()
    with serving(server):
        charts.push(server)
    with pytest.raises(Temporary, match="connection refused"):
        rendered(chart=f"oci://{server.host}/team/charts/beacon", plain_http=True)
