"""The state store, in kOps' own layout: NAME/config, NAME/instancegroup/X, NAME/pki/private/X/keyset.yaml …"""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml
from botocore.config import Config
from botocore.exceptions import ClientError

from standin.aws import session, text_of
from standin.say import Fail

Document = dict[str, Any]
NO_STORE = (
    "State Store: Required value: Please set the --state flag or export KOPS_STATE_STORE.\n"
    "For example, a valid value follows the format s3://<bucket>.\n"
    "You can find the supported stores in https://kops.sigs.k8s.io/state."
)


def _text(error: ClientError) -> str:
    return text_of(error, "s3")


class _Dumper(yaml.SafeDumper):
    """As kOps writes YAML: no aliases, double quotes where quotes are needed."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text_node(dumper: yaml.SafeDumper, data: str) -> yaml.ScalarNode:
    plain = dumper.resolve(yaml.ScalarNode, data, (True, False)) == "tag:yaml.org,2002:str"
    return dumper.represent_scalar("tag:yaml.org,2002:str", data, style=None if plain else '"')


_LOADER: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml is ten times as quick


def parsed(text: str | bytes) -> Any:
    return yaml.load(text, _LOADER)  # noqa: S506 - a safe one


_Dumper.add_representer(str, _text_node)


def dump(document: Any) -> str:
    return yaml.dump(document, Dumper=_Dumper, sort_keys=True, width=100_000)


class Store:
    """S3, by the variables of its own that kOps reads for an emulated one; or a folder (`file://`, see `Folder`)."""

    def __new__(cls, url: str) -> "Store":
        return super().__new__(Folder if url.startswith("file://") else cls)

    def __init__(self, url: str) -> None:
        if not url:
            raise Fail(NO_STORE)
        self.url = url.rstrip("/")
        self._known: dict[str, bytes] = {}
        self.bucket, _, self._prefix = self.url.removeprefix("s3://").partition("/")
        self.s3 = session().create_client(
            "s3",
            endpoint_url=os.environ["S3_ENDPOINT"],
            aws_access_key_id=os.environ["S3_ACCESS_KEY_ID"],
            aws_secret_access_key=os.environ["S3_SECRET_ACCESS_KEY"],
            region_name=os.environ["S3_REGION"],
            config=Config(s3={"addressing_style": "path"}, connect_timeout=5, read_timeout=30),
        )

    def _key(self, path: str) -> str:
        return f"{self._prefix}/{path}" if self._prefix else path

    def read(self, path: str) -> bytes | None:
        """None when there is no such file. What was found is remembered until this program changes it."""
        if path in self._known:
            return self._known[path]
        try:
            self._known[path] = bytes(self.s3.get_object(Bucket=self.bucket, Key=self._key(path))["Body"].read())
            return self._known[path]
        except ClientError as error:
            if error.response["Error"]["Code"] == "NoSuchKey":
                return None
            where = f"s3://{self.bucket}/{self._key(path)}"
            raise Fail(f"error reading {where}: error fetching {where}: {_text(error)}") from None

    def write(self, path: str, text: str | bytes) -> None:
        body = text.encode() if isinstance(text, str) else text
        self._known.pop(path, None)
        try:
            self.s3.put_object(Bucket=self.bucket, Key=self._key(path), Body=body)
        except ClientError as error:
            raise Fail(f"error writing s3://{self.bucket}/{self._key(path)}: {_text(error)}") from None

    def names(self, folder: str) -> list[str]:
        """Paths of all files below a folder, relative to it."""
        prefix = self._key(f"{folder}/" if folder else "")
        try:
            pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
            keys = [one["Key"] for page in pages for one in page.get("Contents", ())]
        except ClientError as error:
            raise Fail(f"error reading state store: error listing s3://{self.bucket}: {_text(error)}") from None
        return [key.removeprefix(prefix) for key in keys]

    def remove(self, folder: str) -> None:
        self._known.clear()
        for name in self.names(folder):
            self.s3.delete_object(Bucket=self.bucket, Key=self._key(f"{folder}/{name}".lstrip("/")))

    def remove_file(self, path: str) -> None:
        self._known.pop(path, None)
        self.s3.delete_object(Bucket=self.bucket, Key=self._key(path))

    # clusters and groups

    def clusters(self) -> list[Document]:
        names = [
            name.removesuffix("/config") for name in self.names("") if name.count("/") == 1 and name.endswith("/config")
        ]
        found = [self.cluster(name) for name in names]
        return [one for one in found if one is not None]

    def cluster(self, name: str) -> Document | None:
        try:
            text = self.read(f"{name}/config")
        except Fail as error:
            raise Fail(f'error reading cluster configuration "{name}": {error}') from None
        return None if text is None else parsed(text)

    def found(self, name: str) -> Document:
        """What every command but `get` does first."""
        if (one := self.cluster(name)) is None:
            raise Fail(f'cluster "{name}" not found')
        return one

    def groups(self, name: str) -> list[Document]:
        found = [self.group(name, one) for one in sorted(self.names(f"{name}/instancegroup"))]
        return [one for one in found if one is not None]

    def group(self, name: str, group: str) -> Document | None:
        text = self.read(f"{name}/instancegroup/{group}")
        if text is None:
            return None
        found: Document = parsed(text)
        found["metadata"].setdefault("labels", {})["kops.k8s.io/cluster"] = name  # kept or not (source)
        return found

    def put(self, document: Document, *, new: bool, bare: bool = False) -> None:
        """Write a document as kOps does: a creation time when new, a generation when its spec changes.

        bare: without labels, as `create cluster` writes groups (seen).
        """
        meta, kind = document["metadata"], document["kind"]
        cluster = meta["name"] if kind == "Cluster" else meta["labels"]["kops.k8s.io/cluster"]
        path = f"{cluster}/config" if kind == "Cluster" else f"{cluster}/instancegroup/{meta['name']}"
        kept = self.read(path)
        before = parsed(kept) if kept else None
        if new and before:
            raise Fail(f'{"cluster" if kind == "Cluster" else "instanceGroup"} "{meta["name"]}" already exists')
        if before:
            meta = {**meta, "creationTimestamp": before["metadata"]["creationTimestamp"]}
            if generation := before["metadata"].get("generation", 0) + (before["spec"] != document["spec"]):
                meta["generation"] = generation
        else:
            now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
            meta = {**meta, "creationTimestamp": now}
        if bare:
            meta = {key: value for key, value in meta.items() if key != "labels"}
        self.write(path, yaml.safe_dump({**document, "metadata": meta}))


class Folder(Store):
    """A state store in a folder: the documents are taken from it and written to it; keys and files are where the
    cluster's `configBase` and `keyStore` say (the real one on the sandbox, source)."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._path = Path(unquote(urlsplit(url).path))

    def read(self, path: str) -> bytes | None:
        found = self._path / path
        return found.read_bytes() if found.is_file() else None

    def write(self, path: str, text: str | bytes) -> None:
        found = self._path / path
        found.parent.mkdir(parents=True, exist_ok=True)
        found.write_bytes(text.encode() if isinstance(text, str) else text)

    def names(self, folder: str) -> list[str]:
        start = self._path / folder
        return [found.relative_to(start).as_posix() for found in sorted(start.rglob("*")) if found.is_file()]

    def remove_file(self, path: str) -> None:
        (self._path / path).unlink(missing_ok=True)


def base(cluster: Document, kept: Store) -> Store:
    """Where a cluster's keys and files are."""
    place = str(cluster["spec"].get("configBase") or f"{kept.url}/{cluster['metadata']['name']}")
    return Store(place.removesuffix(f"/{cluster['metadata']['name']}"))


def ssh_keys(cluster: Document, kept: Store) -> tuple[Store, str]:
    """Store and folder of a cluster's public SSH keys."""
    if place := cluster["spec"].get("keyStore"):
        return Store(place), "ssh/public/admin"
    return base(cluster, kept), f"{cluster['metadata']['name']}/pki/ssh/public/admin"
