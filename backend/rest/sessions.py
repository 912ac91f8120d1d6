"""`/api/setup`, `/api/reset`, `/api/session`, `/api/sessions`, `/api/me`: signing in, one's own account."""

from typing import Any

from apiflask import APIBlueprint
from flask import Response, jsonify

from account_schemas import OwnChange, Reset, Setup, SignIn
from errors import (
    EmailTaken,
    LinkExpired,
    SignInFailed,
    StoreUnavailable,
)
from rest.account_answers import AccountAnswer, MeAnswer, SessionsAnswer
from rest.answer_shapes import MessageAnswer
from rest.callers import (
    open_to_strangers,
    principal,
    principal_or_none,
    visit,
    welcome,
    with_session_renewed,
    without_session,
)
from rest.openapi import documented
from services.accounts.access import Access
from services.accounts.accounts import Accounts
from services.accounts.joining import NewPerson
from services.departments import DepartmentService


def me_blueprint(departments: DepartmentService, access: Access, accounts: Accounts | None) -> APIBlueprint:
    bp = _blueprint("me")

    @bp.get("/me")
    @documented("나, 그리고 부서마다 내가 가진 역할", MeAnswer, StoreUnavailable)
    def get_me() -> Response:
        if accounts is None:
            return jsonify(success=True, account=None, roles={})
        account = accounts.own.get(principal())
        roles = access.roles(principal(), departments.list_departments())
        labels = {department_id: role.label for department_id, role in roles.items()}
        answer = jsonify(success=True, account=account.public(), roles=labels)
        return with_session_renewed(answer) if principal().session_id else answer

    return bp


def blueprint(access: Access, accounts: Accounts) -> APIBlueprint:
    bp = _blueprint("sessions")

    @bp.put("/me")
    @documented("내 이름이나 비밀번호 바꾸기", AccountAnswer, SignInFailed, StoreUnavailable)
    @bp.input(OwnChange, arg_name="body")
    def update_me(body: OwnChange) -> dict[str, Any]:
        access.require_person(principal())
        account = accounts.own.change(principal(), body.name, body.password, body.current_password)
        return {"success": True, "account": account.public()}

    @bp.post("/setup")
    @documented("첫 관리자 만들기", AccountAnswer, LinkExpired, EmailTaken, StoreUnavailable, status=201)
    @open_to_strangers
    @bp.input(Setup, arg_name="body")
    def set_up(body: Setup) -> Response:
        person = NewPerson(body.email, body.name, body.password)
        account = accounts.joining.set_up(body.token, person)
        return welcome(account, accounts.sessions.begin(account, visit()), 201)

    @bp.post("/reset")
    @documented("링크로 새 비밀번호 정하기", AccountAnswer, LinkExpired, StoreUnavailable)
    @open_to_strangers
    @bp.input(Reset, arg_name="body")
    def reset_password(body: Reset) -> Response:
        account = accounts.joining.reset(body.token, body.password)
        return welcome(account, accounts.sessions.begin(account, visit()))

    @bp.post("/session")
    @documented("로그인", AccountAnswer, SignInFailed, StoreUnavailable)
    @open_to_strangers
    @bp.input(SignIn, arg_name="body")
    def sign_in(body: SignIn) -> Response:
        account, credential = accounts.sessions.sign_in(body.email, body.password, visit())
        if before := principal_or_none():
            accounts.sessions.end(before, before.session_id)
        return welcome(account, credential)

    @bp.delete("/session")
    @documented("로그아웃", MessageAnswer, StoreUnavailable)
    def sign_out() -> Response:
        access.require_person(principal())
        accounts.sessions.end(principal(), principal().session_id)
        return without_session(jsonify(success=True, message="로그아웃했습니다."))

    @bp.get("/sessions")
    @documented("내가 로그인한 브라우저", SessionsAnswer, StoreUnavailable)
    def list_sessions() -> dict[str, Any]:
        access.require_person(principal())
        found = accounts.sessions.list_sessions(principal().account_id)
        mine = principal().session_id
        return {"success": True, "sessions": [{**one.public(), "current": one.id == mine} for one in found]}

    @bp.delete("/sessions/<session_id>")
    @documented("다른 브라우저를 로그아웃시키기", MessageAnswer, StoreUnavailable)
    def end_session(session_id: str) -> dict[str, Any]:
        access.require_person(principal())
        accounts.sessions.end(principal(), session_id)
        return {"success": True, "message": "로그아웃했습니다."}

    return bp


def _blueprint(name: str) -> APIBlueprint:
    return APIBlueprint(
        name, __name__, url_prefix="/api", tag={"name": "account", "description": "로그인과 내 계정"}
    )
