"""Official releases over HTTP: verified by their published sha256, resumed after a cut, quick to give up offline."""

import contextlib
import json
import re
import shutil
import socket
import tarfile
import threading
import urllib.request
import zipfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

import urllib3

from boatyard.errors import Permanent, Temporary
from boatyard.tools.cache import sha256_of
from boatyard.tools.catalogue import Release
from boatyard.tools.progress import Estimate, Report, Throttle, megabytes

_ATTEMPTS = 4
_CHUNK = 1 << 18
_RETRIES = urllib3.Retry(connect=0, read=1, status=0, other=0, redirect=5)  # a kept connection may have been closed


class Fetcher:
    """Downloads for one run; a host that cannot be reached is not tried again in it.

    connect, stall: seconds to wait for a connection, and for the next byte.
    """

    def __init__(self, folder: Path, report: Report, *, connect: float = 4.0, stall: float = 20.0) -> None:
        self._folder, self._report, self._connect = folder, report, connect
        self._unreachable: dict[str, str] = {}
        timeout = urllib3.Timeout(connect=connect, read=stall)
        self._proxies = urllib.request.getproxies()
        self._timeout = timeout
        self._plain = urllib3.PoolManager(timeout=timeout, retries=_RETRIES)

    def probe(self, releases: Iterable[Release]) -> None:
        """Find out side by side which hosts cannot be reached, so that being offline costs seconds once."""
        urls = {_host(url): url for release in releases for url in (release.url, release.checksums)}
        if urls:
            with ThreadPoolExecutor(max_workers=len(urls)) as pool:
                list(pool.map(self._connectable, urls.values()))

    def fetch(self, name: str, release: Release, target: Path) -> str:
        """Write the verified program to `target` and return where it came from.

        `Temporary` when it cannot be had now, `Permanent` when what came is not what was published.
        """
        wanted = self._published(release)
        self._folder.mkdir(parents=True, exist_ok=True)
        part = self._folder / f"{wanted}.part"
        self._download(name, release.url, part, wanted)
        if release.member is None:
            shutil.move(part, target)
        else:
            _extract(part, release.member, target, release.url)
            part.unlink()
        return release.url

    def _published(self, release: Release) -> str:
        """The sha256 that the project has published for this file."""
        with self._open(release.checksums) as response:
            if response.status != 200:
                raise Temporary(f"{release.checksums} answered {response.status}.")
            try:
                text = response.read(4 << 20).decode(errors="replace")
            except urllib3.exceptions.HTTPError as error:
                raise Temporary(f"{release.checksums} broke off: {_reason(error)}.") from error
        found = _find_sum(text, release.url.rpartition("/")[2])
        if found is None:
            raise Permanent(f"{release.checksums} names no sha256 for {release.url}, so it is refused.")
        return found

    def _download(self, name: str, url: str, part: Path, wanted: str) -> None:
        """Fill `part`, going on from what is there, until it has the wanted sum."""
        failure = ""
        for _ in range(_ATTEMPTS):
            have = part.stat().st_size if part.exists() else 0
            try:
                done = self._append(name, url, part, have)
            except (urllib3.exceptions.HTTPError, OSError) as error:
                failure = f"{url} broke off: {_reason(error)}."
                if isinstance(error, OSError) and error.errno == 28:  # no space left on device
                    raise Permanent(f"{part.parent}: no space left for {name}.") from error
                continue
            if not done:
                continue
            found = sha256_of(part)
            if found == wanted:
                return
            part.unlink()
            if have == 0:
                raise Permanent(f"{url} has sha256 {found}, published is {wanted}: refused.")
            failure = f"{url} did not go on from what was there."
        raise Temporary(failure or f"{url} could not be fetched.")

    def _append(self, name: str, url: str, part: Path, have: int) -> bool:
        """Fetch from byte `have` on. False when `part` was thrown away and the download must begin again."""
        with self._open(url, {"Range": f"bytes={have}-"} if have else {}) as response:
            if response.status == 416:  # nothing after `have`: it is complete, or not the file we took it for
                return True
            if response.status not in (200, 206):
                raise Temporary(f"{url} answered {response.status}.")
            if response.status == 206 and not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
                part.unlink(missing_ok=True)
                return False
            if response.status == 200:
                have = 0
            self._store(name, response, part, have)
        return True

    def _store(self, name: str, response: urllib3.BaseHTTPResponse, part: Path, have: int) -> None:
        total = have + int(response.headers.get("Content-Length") or 0)
        estimate, throttle, came = Estimate(total - have), Throttle(self._report), 0
        with part.open("ab" if have else "wb") as file:
            for chunk in response.stream(_CHUNK):
                file.write(chunk)
                came += len(chunk)
                now = have + came
                throttle(
                    lambda now=now, came=came: (  # type: ignore[misc]
                        f"{name}: {megabytes(now)} of {megabytes(total)}{estimate.left(came)}"
                    )
                )

    @contextlib.contextmanager
    def _open(self, url: str, headers: dict[str, str] | None = None) -> Iterator[urllib3.BaseHTTPResponse]:
        if not self._connectable(url):
            raise Temporary(f"{_host(url)} cannot be reached ({self._unreachable[_host(url)]}).")
        try:
            response = self._manager(url).request(
                "GET", url, headers={"User-Agent": "boatyard", **(headers or {})}, preload_content=False, redirect=True
            )
        except urllib3.exceptions.HTTPError as caught:
            error = caught.reason or caught if isinstance(caught, urllib3.exceptions.MaxRetryError) else caught
            if isinstance(error, urllib3.exceptions.ConnectTimeoutError | urllib3.exceptions.NewConnectionError):
                self._unreachable[_host(url)] = _reason(error)
            raise Temporary(f"{url} cannot be fetched: {_reason(error)}.") from caught
        try:
            yield response
        finally:
            response.close()

    def _proxy(self, url: str) -> str | None:
        parts = urlsplit(url)
        if urllib.request.proxy_bypass(parts.hostname or ""):
            return None
        return self._proxies.get(parts.scheme)

    def _manager(self, url: str) -> urllib3.PoolManager:
        if proxy := self._proxy(url):
            return urllib3.ProxyManager(proxy, timeout=self._timeout, retries=_RETRIES)
        return self._plain

    def _connectable(self, url: str) -> bool:
        """Does a connection to the host (or the proxy) come about in time? A name look-up has no limit: in a thread."""
        host = _host(url)
        if host in self._unreachable:
            return False
        parts = urlsplit(self._proxy(url) or url)
        failure = ["no answer in time"]

        def attempt() -> None:
            try:
                address = (parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))
                socket.create_connection(address, timeout=self._connect).close()
                failure.clear()
            except OSError as error:
                failure[0] = error.strerror or str(error)

        thread = threading.Thread(target=attempt, daemon=True)
        thread.start()
        thread.join(self._connect)
        if failure:
            self._unreachable[host] = failure[0]
        return not failure


def _host(url: str) -> str:
    return urlsplit(url).netloc


def _reason(error: BaseException) -> str:
    return re.sub(r"^.*?: (?=\w)", "", str(error).strip("()'")).rstrip(".") or type(error).__name__


def _find_sum(text: str, file: str) -> str | None:
    """The sum of `file`: from a list of sums, a lone sum, or a release's description with its assets' digests."""
    if text.lstrip().startswith("{"):
        try:
            assets = json.loads(text).get("assets", [])
            found = next((str(asset.get("digest")) for asset in assets if asset.get("name") == file), "")
        except (ValueError, AttributeError):
            return None
        return found.removeprefix("sha256:") if re.fullmatch(r"sha256:[0-9a-f]{64}", found) else None
    words = [line.split() for line in text.splitlines() if line.strip()]
    if len(words) == 1 and len(words[0]) == 1 and re.fullmatch(r"[0-9a-fA-F]{64}", words[0][0]):
        return words[0][0].lower()
    for line in words:
        if len(line) == 2 and line[1].lstrip("*") == file and re.fullmatch(r"[0-9a-fA-F]{64}", line[0]):
            return line[0].lower()
    return None


def _extract(archive: Path, member: str, target: Path, url: str) -> None:
    try:
        with contextlib.ExitStack() as stack, target.open("wb") as out:
            if url.endswith(".zip"):
                source: IO[bytes] | None = stack.enter_context(zipfile.ZipFile(archive)).open(member)
            else:
                source = stack.enter_context(tarfile.open(archive)).extractfile(member)
            if source is None:
                raise Permanent(f"{url} holds no program {member}.")
            shutil.copyfileobj(source, out, 1 << 20)
    except (tarfile.TarError, zipfile.BadZipFile, KeyError) as error:
        raise Permanent(f"{url} holds no program {member}: {error}.") from error
