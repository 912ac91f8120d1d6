"""`/docs`: the OpenAPI document as a page, from local files alone."""

from pathlib import Path

from apiflask import APIBlueprint
from flask import Response, send_from_directory

from config import ROOT_DIR

SWAGGER_UI = ROOT_DIR / "node_modules" / "swagger-ui-dist"
PAGE_DIR = Path(__file__).resolve().parent.parent / "static" / "docs"
OWN_FILES = frozenset(path.name for path in PAGE_DIR.iterdir())


def blueprint() -> APIBlueprint:
    bp = APIBlueprint("docs", __name__, url_prefix="/docs", enable_openapi=False)

    @bp.get("/")
    def page() -> Response:
        return send_from_directory(PAGE_DIR, "index.html")

    @bp.get("/<path:name>")
    def file(name: str) -> Response:
        folder = PAGE_DIR if name in OWN_FILES else SWAGGER_UI
        return send_from_directory(folder, name)

    return bp
