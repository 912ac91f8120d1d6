"""`/static/socket.io.esm.min.js`: socket.io-client as pages import it, beside our own files there."""

from apiflask import APIBlueprint
from flask import Response, send_from_directory

from config import ROOT_DIR

SOCKET_IO_CLIENT = ROOT_DIR / "node_modules" / "socket.io-client" / "dist"


def blueprint() -> APIBlueprint:
    bp = APIBlueprint("assets", __name__, enable_openapi=False)

    @bp.get("/static/socket.io.esm.min.js")
    def socket_io() -> Response:
        return send_from_directory(SOCKET_IO_CLIENT, "socket.io.esm.min.js")

    return bp
