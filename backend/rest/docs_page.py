"""`/docs/`: the OpenAPI document as a page, from local files only."""

from pathlib import Path

from apiflask import APIBlueprint
from flask import Response, redirect, request, send_from_directory
from werkzeug.wrappers import Response as BaseResponse

from config import ROOT_DIR

SWAGGER_UI = ROOT_DIR / "node_modules" / "swagger-ui-dist"
PAGE_DIR = Path(__file__).resolve().parent.parent / "static" / "docs"
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Swagger UI embeds its icons as `data:` addresses."""
OWN_FILES = frozenset(path.name for path in PAGE_DIR.iterdir())


def blueprint() -> APIBlueprint:
    bp = APIBlueprint("docs", __name__, url_prefix="/docs", enable_openapi=False)

    @bp.get("/")
    def page() -> BaseResponse:
        if not request.path.endswith("/"):
            # The page names its files relative to this folder; the redirect is relative for proxies.
            return redirect("docs/", 308)
        return send_from_directory(PAGE_DIR, "index.html")

    @bp.get("/<path:name>")
    def file(name: str) -> Response:
        folder = PAGE_DIR if name in OWN_FILES else SWAGGER_UI
        return send_from_directory(folder, name)

    @bp.after_request
    def restrict(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = CSP
        return response

    return bp
