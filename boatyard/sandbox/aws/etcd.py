"""One etcd on this machine, asked by its JSON door, and what is in a snapshot of it."""

import base64
import http.client
import json
import struct
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from boatyard.errors import Permanent, Temporary

_TIMEOUT = 30.0  # seconds an answer may take
_AT_ONCE = 100  # operations in one transaction; etcd takes 128
_HASH = 32  # bytes of sha256 that etcd puts behind a snapshot

_HEADER, _ELEMENT = 16, 16  # bytes of a page's header, of an element of it
_BUCKET = 16  # bytes of a bucket's own header
_MAGIC = 0xED0CDAED
_BRANCH, _LEAF = 1, 2
_REVISIONS = b"key"  # the bucket: revision → the key and value that it wrote


class Etcd:
    """port: on 127.0.0.1, without TLS. Each method raises `Temporary` when etcd does not answer."""

    def __init__(self, port: int) -> None:
        self._port = port

    def version(self) -> str:
        """`3.6.8`."""
        return str(json.loads(self._ask("GET", "/version"))["etcdserver"])

    def snapshot(self) -> bytes:
        """Its database as it is now, as `etcdctl snapshot save` writes it: with its hash behind it."""
        parts = [json.loads(line)["result"] for line in self._ask("POST", "/v3/maintenance/snapshot", {}).splitlines()]
        return b"".join(base64.b64decode(part.get("blob") or "") for part in parts)

    def fill(self, keys: Mapping[bytes, bytes]) -> None:
        """Write all of these."""
        pairs = list(keys.items())
        for start in range(0, len(pairs), _AT_ONCE):
            puts = [
                {"requestPut": {"key": _text(key), "value": _text(value)}}
                for key, value in pairs[start : start + _AT_ONCE]
            ]
            self._ask("POST", "/v3/kv/txn", {"success": puts})

    def _ask(self, method: str, path: str, body: Any = None) -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_TIMEOUT)
        try:
            connection.request(method, path, None if body is None else json.dumps(body))
            answer = connection.getresponse()
            data = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise Temporary(f"etcd on port {self._port} does not answer: {error}.") from None
        finally:
            connection.close()
        if answer.status != 200:
            raise Temporary(f"etcd on port {self._port} answers {answer.status} to {path}.")
        return data


def keys_of(snapshot: bytes) -> dict[bytes, bytes]:
    """Key → value, of what was there when the snapshot was made. `Permanent` when it is none.

    etcd-manager restores by these, too: it copies them into a new etcd, where all begins at revision 1. The file is a
    bbolt database (go.etcd.io/bbolt, page.go); no page of it is ever changed in place, so that one pass will do.
    """
    data = memoryview(snapshot[:-_HASH] if len(snapshot) % 512 == _HASH else snapshot)
    try:
        size, root = _root(data)
        ((_, bucket),) = [each for each in _elements(data, size, root) if each[0] == _REVISIONS]
        found: dict[bytes, bytes] = {}
        page: int = struct.unpack_from("<Q", bucket)[0]
        entries = _elements(data, size, page) if page else _elements(bucket[_BUCKET:], size, 0)  # a small one is inline
        for revision, entry in entries:
            key, value = _key_value(entry)
            if revision.endswith(b"t") and len(revision) > 17:  # main, `_`, sub, and a mark: the key was deleted
                found.pop(key, None)
            else:
                found[key] = value
    except (struct.error, ValueError, IndexError):
        raise Permanent("that is no snapshot of etcd.") from None
    return found


def _root(data: memoryview) -> tuple[int, int]:
    """Page size, and the page of the root bucket, by the newer of the two meta pages."""
    newest: tuple[int, int, int] = (-1, 0, 0)
    first = struct.unpack_from("<I", data, _HEADER + 8)[0]
    for start in (0, first):
        magic, _, size, _, root, _, _, _, transaction = struct.unpack_from("<IIIIQQQQQ", data, start + _HEADER)
        if magic == _MAGIC:
            newest = max(newest, (transaction, size, root))
    if newest[0] < 0:
        raise ValueError("no meta page")
    return newest[1], newest[2]


def _elements(data: memoryview, size: int, page: int) -> Iterator[tuple[bytes, memoryview]]:
    """Key and value of every leaf below a page, in the order of the keys."""
    start = page * size
    _, flags, count, _ = struct.unpack_from("<QHHI", data, start)
    for at in range(start + _HEADER, start + _HEADER + count * _ELEMENT, _ELEMENT):
        if flags & _BRANCH:
            yield from _elements(data, size, struct.unpack_from("<IIQ", data, at)[2])
        elif flags & _LEAF:
            _, offset, key, value = struct.unpack_from("<IIII", data, at)
            begin = at + offset
            yield bytes(data[begin : begin + key]), data[begin + key : begin + key + value]


def _key_value(entry: memoryview) -> tuple[bytes, bytes]:
    """Fields 1 and 5 of etcd's message mvccpb.KeyValue."""
    fields = dict(_fields(entry))
    return fields[1], fields.get(5, b"")


def _fields(entry: memoryview) -> Iterable[tuple[int, bytes]]:
    at = 0
    while at < len(entry):
        tag, at = _varint(entry, at)
        number, at = _varint(entry, at)
        if tag & 7 == 2:  # length-delimited
            yield tag >> 3, bytes(entry[at : at + number])
            at += number


def _varint(entry: memoryview, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = entry[at]
        number, at, shift = number | (byte & 127) << shift, at + 1, shift + 7
        if byte < 128:
            return number, at


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
