"""The kops program: one method a command. What it prints comes back as values, how it fails as errors."""

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path

import yaml

from boatyard.aws import lending
from boatyard.clock import Deadline
from boatyard.drivers.kops import failures, parse
from boatyard.drivers.kops.failures import NotRegistered
from boatyard.drivers.kops.parse import (
    Document,
    GroupUpdate,
    Instance,
    Keypair,
    Preview,
    Resource,
    Validation,
)
from boatyard.drivers.kops.progress import Progress
from boatyard.errors import BoatyardError, DeadlineExceeded, Permanent
from boatyard.redact import redact
from boatyard.run import Result, minimal_env, run

_LOOK = 120.0  # seconds a reading command may take; a zone that does not exist would make it hang for ever
_TASKS = 1800.0  # seconds for the tasks of an update, or of its preview
_PASSED_ON = ("AWS_", "S3_")
_KOPS_OWN = {"KOPS_BASE_URL"}
_ADMIN = timedelta(hours=1)


class Kops:
    """kOps for one cluster of one state store.

    program: the binary. folder: private scratch (0700), made when it is not there; its kubeconfig is the only one kOps
    sees. environment: for each command, variables over what this process' own environment offers. lend: for as
    long as a command runs, variables by which it is lent credentials; those of our environment are then kept from it.
    Each command takes what `deadline` leaves and never longer than its own limit
    (`DeadlineExceeded`), and one that runs is ended when the deadline is `stopped`; `fence` is called before each one
    that changes something. A failure is told by `boatyard.drivers.kops.failures`.
    """

    def __init__(
        self,
        program: Path,
        *,
        name: str,
        state_store: str,
        region: str,
        deadline: Deadline,
        folder: Path,
        report: Callable[[str], None] = lambda line: None,
        environment: Callable[[], Mapping[str, str]] = dict,
        lend: Callable[[], AbstractContextManager[Mapping[str, str]]] = lambda: nullcontext({}),
        fence: Callable[[], None] = lambda: None,
    ) -> None:
        self.program, self.name, self.state_store, self.region = program, name, state_store, region
        self.deadline, self.folder = deadline, folder
        self._report, self._fence = report, fence
        self._environment, self._lend = environment, lend
        self._secrets: tuple[str, ...] = ()

    def elsewhere(self, folder: Path) -> "Kops":
        """The same kOps on a state store in a folder of this machine; its changes there are no changes of the cluster.

        kOps takes the cluster's and groups' documents, and add-ons, from the state store; keys and files from where the
        record's `configBase` and `keyStore` say (kOps 1.36.2, observed: `update` without `--yes` writes nothing).
        """
        return Kops(
            self.program,
            name=self.name,
            state_store=folder.as_uri(),
            region=self.region,
            deadline=self.deadline,
            folder=self.folder,
            environment=self._environment,
            lend=self._lend,
        )

    # looking

    def version(self) -> str:
        """`1.36.2`."""
        return parse.version(self._look("telling its version", "version").stdout)

    def clusters(self) -> list[Document]:
        """Every cluster of the state store; [] when it holds none. `NoStateStore` when there is no bucket."""
        try:
            return parse.documents(self._look("listing clusters", "get", "clusters", "-o", "json").stdout)
        except NotRegistered:
            return []

    def cluster(self) -> Document | None:
        """The cluster's record; None when the state store does not hold it. `NoStateStore` when there is no bucket."""
        doing = f"reading cluster {self.name}"
        try:
            return parse.document(self._look(doing, "get", "cluster", self.name, "-o", "json").stdout)
        except NotRegistered:
            return None

    def groups(self) -> list[Document]:
        """Its instance groups; [] when it has none yet. `NotRegistered` when there is no such cluster."""
        doing = f"reading the instance groups of {self.name}"
        result = self._look(doing, "get", "ig", "--name", self.name, "-o", "json", check=False)
        if result.code and "no InstanceGroup objects found" in result.stderr:
            return []
        return parse.documents(self._checked(doing, result).stdout)

    def instances(self) -> tuple[Instance, ...]:
        """Its machines, as AWS has them; the API server need not answer."""
        doing = f"listing the instances of {self.name}"
        return parse.instances(
            self._look(doing, "get", "instances", "--name", self.name, "-o", "json").stdout, self.name
        )

    def keypairs(self, *, distrusted: bool = True) -> tuple[Keypair, ...]:
        """Certificate authorities and the service-account key; () before the first update made them."""
        more = ("--distrusted",) if distrusted else ()
        doing = f"listing the keypairs of {self.name}"
        argv = ("get", "keypairs", "--name", self.name, *more, "-o", "json")
        result = self._look(doing, *argv, check=False)
        if result.code and "no keypairs found" in result.stderr:
            return ()
        return parse.keypairs(self._checked(doing, result).stdout)

    def preview(self, groups: Sequence[str] = ()) -> Preview:
        """What `update` would do; with `groups`, what it would do to those instance groups (and all that is shared)."""
        doing = f"planning the update of {self.name}"
        argv = ("update", "cluster", self.name, *_only(groups))
        return parse.preview(self._look(doing, *argv, limit=_TASKS).stdout)

    def rolling_preview(self) -> tuple[GroupUpdate, ...]:
        """How many instances of each group need to be replaced, by what AWS says; the API server is not asked."""
        argv = ("rolling-update", "cluster", self.name, "--cloudonly")
        return parse.rolling(self._look(f"looking for outdated instances of {self.name}", *argv).stdout)

    def validate(self, api_server: str | None = None) -> Validation:
        """Is every node Ready, are the system's pods? `Unreachable` while the API server does not answer."""
        doing = f"validating {self.name}"
        where = ("--api-server", api_server) if api_server else ()
        result = self._look(doing, "validate", "cluster", "--name", self.name, *where, "-o", "json", check=False)
        if result.code and not result.stdout.strip():
            raise self._failure(doing, result)
        return parse.validation(result.stdout)

    def deletion(self) -> tuple[Resource, ...]:
        """What `delete` would delete in the cloud. `NotRegistered` when there is no such cluster."""
        return parse.deletion(self._look(f"listing what {self.name} has", "delete", "cluster", self.name).stdout)

    # changing

    def create(self, manifests: Sequence[Document]) -> None:
        """Register a cluster and its groups. `AlreadyRegistered` when there is one; what came before it stays."""
        self._change(f"registering {self.name}", "create", "-f", "-", text=_text(manifests))

    def replace(self, manifests: Sequence[Document]) -> None:
        """Put these documents in the place of those of the same name; those that are missing are made.

        For single fields, too: `kops edit cluster --set` refuses where a group leaves its image to the channel.
        """
        self._change(f"recording changes of {self.name}", "replace", "-f", "-", "--force", text=_text(manifests))

    def add_ssh_key(self, path: Path) -> None:
        """Record the public key in `path`."""
        self._change(f"adding an SSH key to {self.name}", "create", "sshpublickey", self.name, "-i", str(path))

    def update(self, groups: Sequence[str] = ()) -> None:
        """Make the cloud as recorded, without replacing instances; with `groups`, only these instance groups.

        No kubeconfig is written. Safe to repeat.
        """
        argv = ("update", "cluster", self.name, "--yes", "--create-kube-config=false", *_only(groups))
        self._change(f"updating {self.name}", *argv, limit=_TASKS)

    def delete_group(self, name: str) -> None:
        """Delete an instance group and its instances at once. A no-op when it is absent."""
        doing = f"deleting the instance group {name} of {self.name}"
        result = self._change(doing, "delete", "ig", name, "--name", self.name, "--yes", limit=_TASKS, check=False)
        if result.code and "not found" in result.stderr and name in failures.reason(result.stderr):
            return
        self._checked(doing, result)

    def delete(self, limit: float | None = None) -> None:
        """Delete everything in the cloud, then the record. May loop on one resource: bounded by `limit` seconds.

        A no-op when there is no such cluster.
        """
        argv = ("delete", "cluster", self.name, "--yes")
        try:
            self._change(f"deleting {self.name}", *argv, limit=limit or self.deadline.left)
        except NotRegistered:
            return

    def kubeconfig(self, lifetime: timedelta = _ADMIN) -> Document:
        """A cluster administrator's kubeconfig, its certificate valid for `lifetime`; secrets inline, no file stays."""
        doing = f"making a kubeconfig for {self.name}"
        path = self._private() / "exported-kubeconfig"
        admin = f"--admin={_duration(lifetime)}"
        try:
            self._look(doing, "export", "kubeconfig", "--name", self.name, admin, "--kubeconfig", str(path))
            read = yaml.safe_load(path.read_text())
        except OSError:
            raise Permanent(f"{doing}: kOps wrote no file.") from None
        finally:
            path.unlink(missing_ok=True)
        if not isinstance(read, dict):
            raise Permanent(f"{doing}: kOps wrote no kubeconfig.")
        return read

    def create_keypair(self, keyset: str) -> None:
        """A further certificate and key in a keyset, not yet used to sign. `all`: in each that can be rotated."""
        self._change(f"staging a keypair of {keyset}", "create", "keypair", keyset, "--name", self.name)

    def promote_keypair(self, keyset: str) -> None:
        """The newest keypair of a keyset signs from now on. A no-op when it already does."""
        self._change(f"promoting a keypair of {keyset}", "promote", "keypair", keyset, "--name", self.name)

    def distrust_keypair(self, keyset: str, *ids: str) -> None:
        """Distrust these keypairs; without `ids`, all that are older than the one that signs."""
        self._change(f"distrusting keypairs of {keyset}", "distrust", "keypair", keyset, *ids, "--name", self.name)

    # parts

    def environment(self, lent: Mapping[str, str] | None = None) -> dict[str, str]:
        """What kOps sees of the environment. lent: how it comes by its credentials, if not as we do."""
        own = {
            key: value
            for key, value in os.environ.items()
            if (key.startswith(_PASSED_ON) or key in _KOPS_OWN) and not (lent and key in lending.OWN)
        }
        own |= {**self._environment(), **(lent or {})}
        fixed = {"KOPS_STATE_STORE": self.state_store, "KUBECONFIG": str(self._private() / "kubeconfig")}
        region = {"AWS_REGION": self.region, "AWS_DEFAULT_REGION": self.region}
        return minimal_env(**(own | region | fixed))

    def _private(self) -> Path:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        return self.folder

    def _look(self, doing: str, *argv: str, limit: float = _LOOK, check: bool = True) -> Result:
        result = self._run(doing, argv, limit, None, tasks=False)  # counted there, but nothing is done
        return self._checked(doing, result) if check else result

    def _change(
        self,
        doing: str,
        *argv: str,
        text: str | None = None,
        limit: float = _LOOK,
        check: bool = True,
    ) -> Result:
        self._fence()
        result = self._run(doing, argv, limit, text, change=True)
        return self._checked(doing, result) if check else result

    def _run(
        self,
        doing: str,
        argv: Sequence[str],
        limit: float,
        text: str | None,
        *,
        tasks: bool = True,
        change: bool = False,
    ) -> Result:
        self.deadline.check(doing)
        progress = Progress(self._report, tasks=tasks)
        try:
            with self._lend() as lent:
                if change and not lent:
                    self._lasting(doing, limit)
                environment = self.environment(lent)
                self._secrets = _secrets(environment)
                return run(
                    [self.program, *argv],
                    timeout=max(1.0, min(limit, self.deadline.left)),
                    env=environment,
                    cwd=self._private(),
                    input=text,
                    check=False,
                    secrets=self._secrets,
                    on_line=progress.hear,
                    stopped=self.deadline.stopped,
                )
        except DeadlineExceeded as error:
            if not progress.held:
                raise
            raise DeadlineExceeded(f"{error.message.partition(' It said:')[0]} {progress.held}.") from None

    def _lasting(self, doing: str, limit: float) -> None:
        """Keys in the environment may tell when they end, and cannot be renewed: kOps must not lose them on its way."""
        end = _end_of(os.environ.get("AWS_CREDENTIAL_EXPIRATION"))
        seconds = min(limit, self.deadline.left)
        if end is None or self.deadline.clock.now() + timedelta(seconds=seconds) < end:
            return
        raise failures.Credentials(
            f"{doing} may take {seconds / 60:.0f} min, and the AWS session in the environment ends at {end:%H:%M} UTC.",
            hint="Take a new session, or name a profile or a role in `provider`: theirs is renewed while kOps runs.",
        )

    def _checked(self, doing: str, result: Result) -> Result:
        if result.code:
            raise self._failure(doing, result)
        return result

    def _failure(self, doing: str, result: Result) -> BoatyardError:
        error = failures.failure(doing, result.stdout, result.stderr, result.code)
        error.message = redact(error.message, self._secrets)
        return error


def _secrets(environment: Mapping[str, str]) -> tuple[str, ...]:
    names = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "S3_SECRET_ACCESS_KEY", lending.TOKEN)
    return tuple(value for name in names if (value := environment.get(name)))


def _end_of(text: str | None) -> datetime | None:
    """When a session ends, if that can be read; as the AWS CLI exports it."""
    try:
        found = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return found.astimezone(UTC) if found.tzinfo is not None else None


def _duration(span: timedelta) -> str:
    seconds = max(1, int(span.total_seconds()))
    return f"{seconds // 3600}h" if seconds % 3600 == 0 else f"{seconds}s"


def _only(groups: Sequence[str]) -> tuple[str, ...]:
    return (f"--instance-group={','.join(groups)}",) if groups else ()


def _text(manifests: Sequence[Document]) -> str:
    return yaml.safe_dump_all(manifests, sort_keys=True, explicit_start=True)
