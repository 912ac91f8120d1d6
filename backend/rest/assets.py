"""Files whose path on disk differs from their address: socket.io-client for pages, the icon, robots.txt."""

from apiflask import APIBlueprint
from flask import Response, send_from_directory

from config import BACKEND_DIR, ROOT_DIR

SOCKET_IO_CLIENT = ROOT_DIR / "node_modules" / "socket.io-client" / "dist"


def blueprint() -> APIBlueprint:
    bp = APIBlueprint("assets", __name__, enable_openapi=False)

    @bp.get("/static/socket.io.esm.min.js")
    def socket_io() -> Response:
        return send_from_directory(SOCKET_IO_CLIENT, "socket.io.esm.min.js")

    @bp.get("/favicon.ico")
    def icon() -> Response:
        return send_from_directory(BACKEND_DIR / "static", "icon.svg")

    @bp.get("/robots.txt")
    def robots() -> Response:
        # Programs that subscribe to a feed may ask; nothing else is for search engines.
        return Response("User-agent: *\nAllow: /feeds/\nDisallow: /\n", mimetype="text/plain")

    return bp
