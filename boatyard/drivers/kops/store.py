"""A cluster's part of the state store, read and kept as objects.

kOps' own commands for the same take a second each, and a bucket of hundreds of clusters is looked at every minute; the
documents are kOps' published API (kops.k8s.io/v1alpha2), so they are read directly. Changes of them are kOps' business,
but for two things it does not have: a copy of everything before each change, and the way back.

    NAME/config, NAME/instancegroup/GROUP     the cluster's and its groups' documents
    NAME/cluster-completed.spec               there once `kops update cluster --yes` was begun
    NAME/pki/private/kubernetes-ca/…          the cluster's authority
    boatyard/NAME/snapshots/TIME.tar.gz       ours; kOps refuses files it does not know below NAME/
    boatyard/NAME/deleting                    ours: its deletion was asked for
    boatyard/NAME/launch-templates.json       ours: which version of each kOps was asked to make last
"""

import io
import json
import tarfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import yaml

from boatyard.aws.account import Account
from boatyard.aws.errors import AwsNotFound, told
from boatyard.errors import Permanent

Document = dict[str, Any]

PLACEHOLDER = "boatyard-none"
"""An instance group without instances: kOps wants one for nodes at least, a cluster may be wanted without."""

_CLUSTER = "kops.k8s.io/cluster"

_OURS = "boatyard"
_TEMPLATES = "launch-templates.json"
_KEPT = 20  # snapshots of a cluster
_PARALLEL = 16


@dataclass(frozen=True)
class Record:
    """What the state store holds of a cluster. `cluster` is None where none is registered.

    applied: `kops update cluster --yes` was begun once. authority: changes with the cluster's CA, "" without one.
    deleting: its deletion was begun. kops: version of the kOps that updated it last, "" when none did.
    """

    cluster: Document | None = None
    groups: Mapping[str, Document] = field(default_factory=dict)
    applied: bool = False
    authority: str = ""
    deleting: bool = False
    kops: str = ""

    @property
    def version(self) -> str | None:
        """Kubernetes as registered, like 1.35.5."""
        if self.cluster is None:
            return None
        return str(self.cluster.get("spec", {}).get("kubernetesVersion") or "").removeprefix("v") or None

    @property
    def documents(self) -> list[Document]:
        return [*([self.cluster] if self.cluster is not None else []), *self.groups.values()]

    def of_role(self, *roles: str) -> list[str]:
        """Names of the groups that are control plane (`Master`, `ControlPlane`), nodes (`Node`) …"""
        return [name for name, each in self.groups.items() if each.get("spec", {}).get("role") in roles]

    @property
    def control_plane(self) -> list[str]:
        return self.of_role("Master", "ControlPlane", "APIServer")

    @property
    def pools(self) -> list[str]:
        """Groups of nodes, without the one that stands for none."""
        return [name for name in self.of_role("Node") if name != PLACEHOLDER]


@dataclass(frozen=True)
class Asked:
    """A version of a launch template, whose id is `template`."""

    template: str
    version: int


class Store:
    """One cluster in one state store. Reading never changes anything; `fence` is called before each change."""

    def __init__(
        self, account: Account, state_store: str, name: str, *, fence: Callable[[], None] = lambda: None
    ) -> None:
        self._account, self.name, self._fence = account, name, fence
        self.bucket, _, prefix = state_store.removeprefix("s3://").partition("/")
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""

    def read(self) -> Record:
        """Everything at once; an empty Record where the bucket or the cluster is not there."""
        below = f"{self._prefix}{self.name}/"
        with ThreadPoolExecutor(_PARALLEL) as threads:
            config = threads.submit(self._document, f"{below}config")
            keys = threads.submit(self._keys, f"{below}instancegroup/")
            applied = threads.submit(self._tag, f"{below}cluster-completed.spec")
            authority = threads.submit(self._tag, f"{below}pki/private/kubernetes-ca/keyset.yaml")
            deleting = threads.submit(self._tag, self._own("deleting"))
            version = threads.submit(self._text, f"{below}kops-version.txt")
            cluster = config.result()  # first: an error that names the cluster's record tells more than the others'
            groups = [self._labelled(each) for each in threads.map(self._document, keys.result()) if each is not None]
            return Record(
                cluster=cluster,
                groups={str(each["metadata"]["name"]): each for each in groups},
                applied=bool(applied.result()),
                authority=authority.result(),
                deleting=bool(deleting.result()),
                kops=(version.result() or "").strip(),
            )

    def originals(self) -> dict[str, bytes]:
        """`NAME/config`, `NAME/instancegroup/…`, `NAME/clusteraddons/…` → what they hold: what kOps itself takes
        from the state store, all else being found by the record's own addresses."""
        below = f"{self._prefix}{self.name}/"
        with ThreadPoolExecutor(_PARALLEL) as threads:
            folders = threads.map(self._keys, [f"{below}{folder}/" for folder in ("instancegroup", "clusteraddons")])
            keys = [f"{below}config", *(key for found in folders for key in found)]
            contents = zip(keys, threads.map(self._bytes, keys), strict=True)
            return {key.removeprefix(self._prefix): each for key, each in contents if each is not None}

    def mark_deleting(self) -> None:
        """From now on what is found of it is to go."""
        self._fence()
        self._put(self._own("deleting"), b"deletion was asked for\n")

    def asked(self) -> dict[str, Asked]:
        """Launch template, by name → the version that kOps was asked to make of it last; {} where nothing is noted."""
        try:
            noted = json.loads(self._text(self._own(_TEMPLATES)) or "{}")
            return {str(name): Asked(str(each["id"]), int(each["version"])) for name, each in noted.items()}
        except (ValueError, KeyError, TypeError, AttributeError):
            return {}  # damaged: it makes late answers harmless, and nothing hangs on it

    def note(self, asked: Mapping[str, Asked]) -> None:
        """In the place of what was noted before."""
        content = {name: {"id": each.template, "version": each.version} for name, each in sorted(asked.items())}
        self._fence()
        self._put(self._own(_TEMPLATES), json.dumps(content).encode())

    def forget(self) -> None:
        """Our own objects of the cluster, snapshots too: they hold its keys."""
        self._delete(self.ours())

    def clear(self) -> None:
        """What is left where kOps was cut off as it unregistered the cluster.

        Objects go by name: the cluster's document early, after which kOps knows no such cluster, keys and secrets last.
        """
        self._delete(self._keys(f"{self._prefix}{self.name}/"))

    def ours(self) -> list[str]:
        """Keys of our own objects of the cluster."""
        return self._keys(self._own(""))

    def snapshot(self, now: datetime) -> str:
        """Copy what kOps knows of the cluster, keys included and etcd's backups not, into one object; its key."""
        below = f"{self._prefix}{self.name}/"
        keys = [key for key in self._keys(below) if not key.startswith(f"{below}backups/")]
        with ThreadPoolExecutor(_PARALLEL) as threads:
            contents = list(threads.map(self._bytes, keys))
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
            for key, content in zip(keys, contents, strict=True):
                entry = tarfile.TarInfo(key.removeprefix(self._prefix))
                entry.size, entry.mode, entry.mtime = len(content or b""), 0o600, int(now.timestamp())
                archive.addfile(entry, io.BytesIO(content or b""))
        self._fence()
        key = self._own(f"snapshots/{now:%Y-%m-%dT%H-%M-%SZ}.tar.gz")
        self._put(key, buffer.getvalue())
        self._delete(sorted(self._keys(self._own("snapshots/")))[:-_KEPT])
        return key

    def put_back(self, snapshot: str) -> None:
        """The documents of the cluster and of its groups as they were; groups that came since go."""
        below = f"{self.name}/"
        with tarfile.open(fileobj=io.BytesIO(self._bytes(snapshot) or b""), mode="r:gz") as archive:
            before = {
                f"{self._prefix}{entry.name}": content.read()
                for entry in archive
                if entry.name == f"{below}config" or entry.name.startswith(f"{below}instancegroup/")
                if (content := archive.extractfile(entry)) is not None
            }
        for key, content_ in before.items():
            if self._bytes(key) != content_:
                self._fence()
                self._put(key, content_)
        self._delete([key for key in self._keys(f"{self._prefix}{below}instancegroup/") if key not in before])

    def objects(self, below: str) -> list[Mapping[str, Any]]:
        """Key (relative to the cluster), Size and LastModified of the objects below a folder of the cluster."""
        start = f"{self._prefix}{self.name}/"
        try:
            found = list(
                self._account.pages("s3", "list_objects_v2", "Contents[]", Bucket=self.bucket, Prefix=start + below)
            )
        except AwsNotFound:
            return []
        return [each | {"Key": str(each["Key"]).removeprefix(start)} for each in found]

    # objects

    def _own(self, rest: str) -> str:
        return f"{self._prefix}{_OURS}/{self.name}/{rest}"

    def _keys(self, prefix: str) -> list[str]:
        try:
            found = self._account.pages("s3", "list_objects_v2", "Contents[]", Bucket=self.bucket, Prefix=prefix)
            return [str(each["Key"]) for each in found]
        except AwsNotFound:
            return []

    def _bytes(self, key: str) -> bytes | None:
        try:
            with told(f"reading s3://{self.bucket}/{key}"):
                answer = self._account.client("s3").get_object(Bucket=self.bucket, Key=key)
                return bytes(answer["Body"].read())
        except AwsNotFound:
            return None

    def _text(self, key: str) -> str | None:
        found = self._bytes(key)
        return None if found is None else found.decode(errors="replace")

    def _tag(self, key: str) -> str:
        try:
            with told(f"looking for s3://{self.bucket}/{key}"):
                return str(self._account.client("s3").head_object(Bucket=self.bucket, Key=key)["ETag"])
        except AwsNotFound:
            return ""

    def _document(self, key: str) -> Document | None:
        text = self._text(key)
        if text is None:
            return None
        try:
            read = yaml.load(text, Loader=yaml.CSafeLoader)
        except yaml.YAMLError as error:
            raise Permanent(f"s3://{self.bucket}/{key} is damaged: {' '.join(str(error).split())}.") from None
        if not isinstance(read, dict) or "spec" not in read or "metadata" not in read:
            raise Permanent(f"s3://{self.bucket}/{key} is no document of kOps.", hint="Restore it from a snapshot.")
        return read

    def _labelled(self, group: Document) -> Document:
        """`kops create cluster` keeps groups without the label that says whose they are, and wants it of what it is
        given: it adds it when it reads them."""
        labels = {**(group["metadata"].get("labels") or {}), _CLUSTER: self.name}
        return group | {"metadata": group["metadata"] | {"labels": labels}}

    def _put(self, key: str, content: bytes) -> None:
        with told(f"writing s3://{self.bucket}/{key}"):
            self._account.client("s3").put_object(Bucket=self.bucket, Key=key, Body=content)

    def _delete(self, keys: list[str]) -> None:
        for start in range(0, len(keys), 1000):
            some = [{"Key": key} for key in keys[start : start + 1000]]
            self._fence()
            with told(f"deleting {len(some)} objects of s3://{self.bucket}"):
                self._account.client("s3").delete_objects(Bucket=self.bucket, Delete={"Objects": some, "Quiet": True})


def registered(account: Account, state_store: str) -> list[str]:
    """Names of the clusters of a state store."""
    bucket, _, prefix = state_store.removeprefix("s3://").partition("/")
    below = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
    folders = account.pages("s3", "list_objects_v2", "CommonPrefixes[]", Bucket=bucket, Prefix=below, Delimiter="/")
    names = [str(each["Prefix"]).removeprefix(below).rstrip("/") for each in folders]
    return [name for name in names if name != _OURS and Store(account, state_store, name).read().cluster is not None]
