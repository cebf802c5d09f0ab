"""One TLS address for all API servers: the server name a client asks for says which cluster it wants."""

import asyncio
import threading
from collections.abc import Iterable

_HELLO = 16_709  # bytes: the longest first record of TLS, with its head
_PATIENCE = 10.0  # seconds a client may take to say which server it wants
_CHUNK = 65_536


class Router:
    """Forwards raw bytes on loopback by the TLS server name; TLS itself stays between client and API server."""

    def __init__(self) -> None:
        self._ports: dict[str, int] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="router", daemon=True)
        self.port = 0

    def start(self) -> None:
        """Listen on 127.0.0.1, on a port of the system's choice, which is then `port`."""
        self._thread.start()
        server = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()
        self.port = int(server.sockets[0].getsockname()[1])

    def route(self, names: Iterable[str], port: int) -> None:
        """These server names, in any case, go to that loopback port; names that went there before no longer do."""
        kept = {name: to for name, to in self._ports.items() if to != port}
        self._ports = kept | {name.lower(): port for name in names}

    def forget(self, port: int) -> None:
        """Nothing goes to that port any more. Connections that are open stay so until an end closes them."""
        self._ports = {name: to for name, to in self._ports.items() if to != port}

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._serve, "127.0.0.1", 0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            hello = await asyncio.wait_for(_hello(reader), _PATIENCE)
            port = self._ports.get(server_name(hello).lower())
            if port is not None:
                back, forth = await asyncio.open_connection("127.0.0.1", port)
                forth.write(hello)
                await asyncio.gather(_copy(reader, forth), _copy(back, writer))
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()


async def _hello(reader: asyncio.StreamReader) -> bytes:
    """The first TLS record: its head of five bytes, and as many as that says."""
    head = await reader.readexactly(5)
    length = int.from_bytes(head[3:5], "big")
    return head + await reader.readexactly(min(length, _HELLO))


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(_CHUNK):
            target.write(data)
            await target.drain()
    except OSError:
        return
    finally:
        target.close()


def server_name(record: bytes) -> str:
    """The host name in a ClientHello; empty when there is none or it is no ClientHello."""
    try:
        if record[0] != 22 or record[5] != 1:
            return ""
        at = 5 + 4 + 2 + 32  # record head, handshake head, version, random
        at += 1 + record[at]  # session
        at += 2 + int.from_bytes(record[at : at + 2], "big")  # cipher suites
        at += 1 + record[at]  # compression
        end = at + 2 + int.from_bytes(record[at : at + 2], "big")
        at += 2
        while at + 4 <= end:
            kind, length = int.from_bytes(record[at : at + 2], "big"), int.from_bytes(record[at + 2 : at + 4], "big")
            if kind == 0:
                size = int.from_bytes(record[at + 7 : at + 9], "big")
                return record[at + 9 : at + 9 + size].decode("ascii")
            at += 4 + length
    except (IndexError, UnicodeDecodeError):
        return ""
    return ""
