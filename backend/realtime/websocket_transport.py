"""Gives python-engineio the WebSockets of `websocket.py`."""

import contextlib
import logging
import threading
from collections.abc import Callable, Iterable
from typing import Any

import engineio

from realtime.websocket import WebSocket, answer_handshake
from turns import give_turn

log = logging.getLogger(__name__)

UPGRADE_S = 10.0
"""How long a polling client may take to move to a WebSocket that it has opened."""

_ending = threading.Lock()
"""Held for a turn by a connection that ends. Thousands may end at once, as when an office loses its network,
and the library takes half a millisecond for each: others must run between them.
"""


class PacketSocket:
    """A WebSocket that ends, as if its client had hung up, at the first message that is no packet.

    The library decodes outside of its own error handling and would leave the connection half open.
    """

    def __init__(self, websocket: WebSocket, connection: Any) -> None:
        self._websocket = websocket
        self._connection = connection
        self._probed = not connection.connected  # one that begins as a WebSocket is not probed
        if connection.connected:
            connection.server.start_background_task(self._end_unless_upgraded)

    def wait(self) -> str | None:
        if self._probed:
            return self._packet()
        # While `upgrading`, the library answers polls with nothing. But a client polls until its probe is
        # answered, and a proxy may let no frame through: so the upgrade begins when the probe is here.
        self._connection.upgrading = False
        probe = self._packet()
        self._connection.upgrading = self._probed = True
        return probe

    def _packet(self) -> str | None:
        text = self._websocket.wait()
        if text is None:
            with _ending:
                give_turn()
            return None
        try:
            engineio.packet.Packet(encoded_packet=text)
        except Exception as error:  # noqa: BLE001 - whatever a client sent
            log.warning("클라이언트가 패킷이 아닌 것을 보냈습니다: %r", error)
            return None
        return text

    def _end_unless_upgraded(self) -> None:
        self._connection.server.sleep(UPGRADE_S)
        if not self._connection.upgraded:
            self._websocket.sever()

    def send(self, packet: str | Iterable[bytes]) -> None:
        self._websocket.send(packet)

    def close(self) -> None:
        self._websocket.close()


def websocket_app(handler: Callable[[PacketSocket], object], engine: Any) -> Callable[..., Any]:
    """Return a WSGI app that runs one WebSocket by python-engineio's handler of a connection."""

    def serve(environ: dict[str, Any], _start_response: object) -> None:
        connection: Any = handler.__self__  # type: ignore[attr-defined] # a bound method
        tcp = environ.get("gunicorn.socket") or environ["werkzeug.socket"]
        tcp.sendall(answer_handshake(environ).serialize())
        websocket = WebSocket(tcp, engine.sleep, engine.ping_interval + engine.ping_timeout)
        connection.websocket = websocket
        try:
            with contextlib.suppress(OSError):  # the client has hung up while it was told of its upgrade
                handler(PacketSocket(websocket, connection))
        finally:
            websocket.close()
            if not connection.upgraded:  # else the client's polls would be answered with nothing for ever
                connection.upgrading = False
            if connection.closed:
                engine.sockets.pop(connection.sid, None)  # as the library would after an ordinary return
        # How each server is told that its socket has been used and is to be closed.
        raise StopIteration if "gunicorn.socket" in environ else ConnectionError

    return serve
