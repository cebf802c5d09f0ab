"""Who we are, shown by a program, a file or a provider, to a real API server."""

import base64
import json
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID

from boatyard.clock import ManualClock
from boatyard.errors import BoatyardError, MissingTool, Permanent, Temporary
from boatyard.kube.client import APPLY, ApiForbidden, Client
from boatyard.kube.plugin import Plugin

pytestmark = pytest.mark.twin

V1 = "client.authentication.k8s.io/v1"
NAME = "login-tests"
PLUGIN = """\
import json, os, pathlib, sys
folder = pathlib.Path(sys.argv[1])
with (folder / "runs").open("a") as file:
    file.write(os.environ["KUBERNETES_EXEC_INFO"] + "\\n")
runs = len((folder / "runs").read_text().splitlines())
answers = json.loads((folder / "answers").read_text())
answer = answers[min(runs, len(answers)) - 1]
sys.stderr.write(answer.get("stderr", ""))
print(answer.get("stdout") or json.dumps(answer["credential"]), flush=True)
if answer.get("hangs"):
    import threading
    threading.Event().wait()
sys.exit(answer.get("code", 0))
"""


class Program:
    """A plug-in that gives one of `answers` after another, the last one for ever."""

    def __init__(self, folder: Path, kubeconfig: dict[str, Any]) -> None:
        self._folder, self._kubeconfig = folder, kubeconfig
        (folder / "plugin.py").write_text(PLUGIN)

    def answers(self, *answers: dict[str, Any]) -> None:
        (self._folder / "answers").write_text(json.dumps(answers))

    def gives(self, *statuses: dict[str, Any]) -> None:
        self.answers(*({"credential": {"apiVersion": V1, "kind": "ExecCredential", "status": one}} for one in statuses))

    @property
    def runs(self) -> list[dict[str, Any]]:
        file = self._folder / "runs"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def config(self, **more: Any) -> dict[str, Any]:
        argv = {"command": sys.executable, "args": [str(self._folder / "plugin.py"), str(self._folder)]}
        return {"apiVersion": V1, "interactiveMode": "Never", **argv, **more}

    def client(self, **more: Any) -> Client:
        return Client(as_user(self._kubeconfig, {"exec": self.config(**more)}), retries=0)


def as_user(kubeconfig: dict[str, Any], user: dict[str, Any]) -> dict[str, Any]:
    """The same cluster, as somebody else."""
    name = kubeconfig["contexts"][0]["context"]["user"]
    return {**kubeconfig, "users": [{"name": name, "user": user}]}


def admin_of(kubeconfig: dict[str, Any]) -> dict[str, str]:
    """The administrator's certificate and key, as a plug-in gives them."""
    user = kubeconfig["users"][0]["user"]
    parts = {}
    for part, key in (("Certificate", "client-certificate"), ("Key", "client-key")):
        inline = user.get(f"{key}-data")
        data = base64.b64decode(inline) if inline else Path(user[key]).read_bytes()
        parts[f"client{part}Data"] = data.decode()
    return parts


def expired_admin(pki: Path) -> dict[str, str]:
    """An administrator's certificate of the cluster's own authority, which expired a minute ago."""
    issued = x509.load_pem_x509_certificate((pki / "admin.crt").read_bytes())
    authority: Any = load_pem_private_key((pki / "ca.key").read_bytes(), password=None)
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    start, end = issued.not_valid_before_utc - timedelta(hours=1), now - timedelta(minutes=1)
    made = (
        x509.CertificateBuilder(issued.issuer, issued.subject, key.public_key(), 7, start, end)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .sign(authority, hashes.SHA256())
    )
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    parts = {"certificate": made.public_bytes(Encoding.PEM), "key": secret}
    return {f"client-{name}-data": base64.b64encode(data).decode() for name, data in parts.items()}


@pytest.fixture(scope="module")
def token(client: Client) -> Iterator[Callable[[], str]]:
    """Makes tokens of a service account that may read ConfigMaps of its namespace."""
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAME}}
    client.patch(f"/api/v1/namespaces/{NAME}", space, APPLY, fieldManager="test")
    accounts = f"/api/v1/namespaces/{NAME}/serviceaccounts"
    client.create(accounts, {"metadata": {"name": "reader"}})
    rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{NAME}"
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}]
    client.create(f"{rbac}/roles", {"metadata": {"name": "reader"}, "rules": rules})
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"}
    subjects = [{"kind": "ServiceAccount", "name": "reader", "namespace": NAME}]
    client.create(f"{rbac}/rolebindings", {"metadata": {"name": "reader"}, "roleRef": role, "subjects": subjects})

    def token() -> str:
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 600}}
        return str(client.create(f"{accounts}/reader/token", request)["status"]["token"])

    yield token
    client.delete(f"/api/v1/namespaces/{NAME}")


@pytest.fixture
def program(tmp_path: Path, kubeconfig: dict[str, Any]) -> Program:
    return Program(tmp_path, kubeconfig)


MAPS = f"/api/v1/namespaces/{NAME}/configmaps"
LATER = (datetime.now(UTC) + timedelta(hours=1)).isoformat()


def may_read(client: Client) -> bool:
    """Whether it is the reader: it sees ConfigMaps, and no Secrets."""
    client.list(MAPS)
    with pytest.raises(ApiForbidden, match="403"):
        client.list(f"/api/v1/namespaces/{NAME}/secrets")
    return True


def test_a_plugins_token_is_used_for_all_requests(program: Program, token: Callable[[], str]) -> None:
    program.gives({"token": token(), "expirationTimestamp": LATER})
    with program.client(provideClusterInfo=True, env=[{"name": "SOME", "value": "thing"}]) as client:
        assert program.runs == []  # not before it is needed
        assert may_read(client)
        (told,) = program.runs
        assert (told["apiVersion"], told["kind"], told["spec"]["interactive"]) == (V1, "ExecCredential", False)
        assert told["spec"]["cluster"]["server"] == client.server


def test_an_expired_token_is_fetched_anew_before_it_is_refused(token: Callable[[], str], program: Program) -> None:
    clock = ManualClock(datetime(2026, 3, 1, tzinfo=UTC))
    ends = [(clock.now() + timedelta(minutes=minutes)).isoformat().replace("+00:00", "Z") for minutes in (15, 30)]
    program.gives(*({"token": f"token-{number}", "expirationTimestamp": end} for number, end in enumerate(ends)))
    plugin = Plugin(program.config(), {}, clock=clock)
    assert [plugin.credential().token for _ in range(3)] == ["token-0"] * 3
    clock.advance(timedelta(minutes=14, seconds=49))
    assert plugin.credential().token == "token-0"
    clock.advance(timedelta(seconds=2))
    assert [plugin.credential().token for _ in range(2)] == ["token-1"] * 2
    assert len(program.runs) == 2


def test_an_expired_token_of_the_real_server_is_replaced(program: Program, token: Callable[[], str]) -> None:
    past = (datetime.now(UTC) - timedelta(minutes=1)).isoformat()
    program.gives({"token": token(), "expirationTimestamp": past}, {"token": token(), "expirationTimestamp": LATER})
    with program.client() as client:
        client.list(MAPS)
        assert may_read(client)
    assert len(program.runs) == 2


def test_a_refused_token_is_replaced_once(program: Program, token: Callable[[], str]) -> None:
    program.gives({"token": "outdated"}, {"token": token()})
    with program.client() as client:
        assert may_read(client)
    assert len(program.runs) == 2


def test_who_is_refused_again_is_told(program: Program) -> None:
    program.gives({"token": "outdated"})
    with program.client() as client:
        with pytest.raises(ApiForbidden, match="401") as error:
            client.list(MAPS)
        assert "outdated" not in str(error.value)
    assert len(program.runs) == 2


def test_a_plugins_certificate_is_shown_and_exchanged(
    program: Program, kubeconfig: dict[str, Any], authority: Path
) -> None:
    """The first certificate is nobody's whom the server trusts; connections that began with it are given up."""
    public, _, secret = authority.read_text().partition("-----BEGIN PRIVATE")
    stranger = {"clientCertificateData": public, "clientKeyData": f"-----BEGIN PRIVATE{secret}"}
    program.gives(stranger, admin_of(kubeconfig))
    with program.client() as client:
        assert client.list("/api/v1/namespaces/kube-system/secrets") is not None
        assert client.list("/api/v1/namespaces/kube-system/configmaps") is not None
    assert len(program.runs) == 2


def test_a_certificate_that_has_expired_is_asked_for_anew_in_the_middle_of_the_work(
    client: Client, kubeconfig: dict[str, Any], tmp_path: Path
) -> None:
    expired = as_user(kubeconfig, expired_admin(Path(kubeconfig["users"][0]["user"]["client-certificate"]).parent))
    asked = []

    def renew() -> dict[str, Any]:
        asked.append(1)
        return kubeconfig

    with Client(expired, retries=0) as before, pytest.raises(ApiForbidden, match="401"):
        before.list("/api/v1/namespaces/kube-system/secrets")
    with Client(expired, retries=0, renew=renew) as after:
        first = after.watch("/api/v1/namespaces/kube-system/configmaps", timeout=20)
        assert next(iter(first)).type in ("ADDED", "SYNCED")
        assert after.list("/api/v1/namespaces/kube-system/secrets") is not None
    assert len(asked) == 1


def test_who_is_refused_with_a_new_certificate_too_is_told(kubeconfig: dict[str, Any]) -> None:
    expired = as_user(kubeconfig, expired_admin(Path(kubeconfig["users"][0]["user"]["client-certificate"]).parent))
    with Client(expired, retries=0, renew=lambda: expired) as client, pytest.raises(ApiForbidden, match="401"):
        client.list("/api/v1/namespaces/kube-system/secrets")


@pytest.mark.parametrize(
    ("answer", "family", "said"),
    [
        (
            {"code": 3, "stderr": "trying\nno rights: token=open-sesame, pass phrase-1234, Bearer abcdefghijkl\n"},
            Temporary,
            r"exit code 3: no rights: token=\*\*\*, pass \*\*\*, Bearer \*\*\*\.$",
        ),
        ({"code": 1}, Temporary, r"ended with exit code 1\.$"),
        ({"hangs": True, "stderr": "open-sesame"}, Temporary, r"did not end in 0\.5 s\.$"),
        ({"stdout": "open-sesame"}, Permanent, "printed no ExecCredential"),
        ({"stdout": '{"token": "open-sesame"}'}, Permanent, "printed no ExecCredential"),
        (
            {"credential": {"apiVersion": f"{V1}beta1", "kind": "ExecCredential", "status": {"token": "open-sesame"}}},
            Permanent,
            "printed no ExecCredential",
        ),
        (
            {"credential": {"apiVersion": V1, "kind": "ExecCredential", "status": {"clientKeyData": "open-sesame"}}},
            Permanent,
            "with a token or a client certificate",
        ),
    ],
    ids=["fails", "fails silently", "hangs", "nonsense", "no envelope", "another version", "half a pair"],
)
def test_a_plugin_that_fails_is_one_sentence_without_its_secrets(
    program: Program, answer: dict[str, Any], family: type[BoatyardError], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    credential = {"apiVersion": V1, "kind": "ExecCredential", "status": {"token": "open-sesame"}}
    program.answers({"credential": credential, **answer})
    config = program.config(env=[{"name": "PHRASE", "value": "phrase-1234"}])
    with pytest.raises(family, match=said) as error:
        Plugin(config, {}, limit=0.5 if "hangs" in answer else 60).credential()
    text = str(error.value) + "".join(capfd.readouterr())
    assert "sesame" not in text
    assert "\n" not in str(error.value)


def test_a_failing_plugin_lets_nobody_pass_as_anonymous(program: Program) -> None:
    program.answers({"credential": {}, "code": 1})
    with program.client() as client, pytest.raises(Temporary, match="exit code 1"):
        client.version()


@pytest.mark.parametrize(
    ("config", "family", "said"),
    [
        ({"command": "boatyard-no-such-login"}, MissingTool, "boatyard-no-such-login, which is not installed"),
        ({"command": ""}, Permanent, "without a command"),
        ({"apiVersion": "client.authentication.k8s.io/v1alpha1"}, Permanent, "expected client.authentication"),
        ({"interactiveMode": "Always"}, Permanent, "at a terminal"),
    ],
)
def test_a_plugin_that_cannot_be_run_is_named(
    program: Program, config: dict[str, Any], family: type[BoatyardError], said: str
) -> None:
    with pytest.raises(family, match=said) as error, program.client(**config, installHint="Get it from Eve.") as client:
        client.version()
    assert family is not MissingTool or error.value.hint == "Get it from Eve."


# files and providers


def test_a_token_file_that_is_rotated(tmp_path: Path, kubeconfig: dict[str, Any], token: Callable[[], str]) -> None:
    file = tmp_path / "token"
    file.write_text("outdated\n")
    with Client(as_user(kubeconfig, {"tokenFile": str(file)}), retries=0) as client:
        with pytest.raises(ApiForbidden, match="401"):
            client.list(MAPS)
        file.write_text(token() + "\n")
        assert may_read(client)
        file.unlink()
        with pytest.raises(Permanent, match=r"tokenFile .*token cannot be read: No such file"):
            client.list(MAPS)


def test_an_oidc_provider_whose_token_still_holds(kubeconfig: dict[str, Any], token: Callable[[], str]) -> None:
    """The server knows the token as a service account's: what counts is that the provider's is shown."""
    provider = {"name": "oidc", "config": {"id-token": token(), "idp-issuer-url": "https://127.0.0.1:1"}}
    with Client(as_user(kubeconfig, {"auth-provider": provider}), retries=0) as client:
        assert may_read(client)


def test_providers_that_cannot_log_in_are_named_without_their_secrets(kubeconfig: dict[str, Any]) -> None:
    part = base64.urlsafe_b64encode(b'{"exp": 1}').decode().rstrip("=")
    config = {"id-token": f"{part}.{part}.open-sesame", "client-id": "a", "client-secret": "open-sesame"}
    config |= {"refresh-token": "open-sesame", "idp-issuer-url": "https://127.0.0.1:1"}
    for name, said in (("oidc", "auth provider oidc cannot log in"), ("azure", "'azure' is not supported")):
        with pytest.raises(Permanent, match=said) as error:
            Client(as_user(kubeconfig, {"auth-provider": {"name": name, "config": config}}))
        assert "sesame" not in str(error.value)
