"""`/`, for people who open the server in a browser, and `/guides`, the documents that the page links.

The page runs no script, and in production it shows nothing about the machine. It answers 200 even while the
store is out of reach; whether the server should get requests is for `/readyz`.
"""

import logging
import shlex

from apiflask import APIBlueprint
from flask import (
    Response,
    abort,
    jsonify,
    make_response,
    redirect,
    render_template,
    request,
    send_from_directory,
)
from werkzeug.wrappers import Response as BaseResponse

from config import ROOT_DIR, Settings
from domain import Department
from errors import SetupError, StoreUnavailable
from rest.callers import principal_or_none
from services.accounts.access import Access
from services.departments import DepartmentService

log = logging.getLogger(__name__)

CSP = (
    "default-src 'none'; style-src 'self'; img-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
GUIDES = ("README.ko.md", "README.md", "DYNAMODB_SETUP.ko.md", "DYNAMODB_SETUP.md")


def blueprint(
    departments: DepartmentService, access: Access, settings: Settings, version: str
) -> APIBlueprint:
    bp = APIBlueprint("home", __name__, enable_openapi=False)

    @bp.get("/")
    def home() -> BaseResponse:
        answer: BaseResponse
        if request.accept_mimetypes.best_match(["text/html", "application/json"]) == "application/json":
            answer = jsonify(success=True, **_summary(version))
        else:
            answer = _page(departments, access, settings, version)
        answer.vary.update(("Accept", "Accept-Language"))
        return answer

    @bp.get("/guides/<name>")
    def guide(name: str) -> Response:
        if name not in GUIDES:
            abort(404)
        return send_from_directory(ROOT_DIR, name, mimetype="text/plain")

    return bp


def _summary(version: str) -> dict[str, str]:
    return {
        "name": "department-calendar",
        "version": version,
        "documentation": "/docs/",
        "openapi": "/openapi.json",
        "departments": "/api/departments",
    }


def _page(departments: DepartmentService, access: Access, settings: Settings, version: str) -> BaseResponse:
    found: list[Department] = []
    failure: Exception | None = None
    account_name = ""
    try:
        caller = principal_or_none()
        if caller is None:
            return redirect("sign-in")
        found = departments.list_departments()
        visible = access.roles(caller, found)
        found = [department for department in found if department.id in visible]
        account_name = caller.name
    except (StoreUnavailable, SetupError) as error:
        failure = error
        log.warning("첫 화면에 부서를 보이지 못했습니다: %s", error)
    language = request.accept_languages.best_match(["ko", "en"], "ko")
    page = render_template(
        "home.html",
        language=language,
        version=version,
        settings=settings,
        departments=found,
        account_name=account_name,
        failure=failure,
        # In production only the operator sees it, in the log.
        remedy=str(failure) if isinstance(failure, SetupError) and not settings.production else "",
        create_url=shlex.quote(f"{_origin()}/api/departments"),
    )
    answer = make_response(page)
    answer.content_language.add(language)
    answer.headers["Content-Security-Policy"] = CSP
    return answer


def _origin() -> str:
    """Return the server's address as the browser sees it: https when a proxy ends TLS, trusted or not."""
    forwarded = request.headers.get("X-Forwarded-Proto", "").split(",")[0].strip()
    scheme = forwarded if forwarded in ("http", "https") else request.scheme
    return f"{scheme}://{request.host or 'localhost:5000'}"
