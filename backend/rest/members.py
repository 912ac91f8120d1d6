"""`/api/departments/{id}/members` and `/api/invitations`: who belongs to a department, and who may come."""

import functools
from typing import Any

from apiflask import APIBlueprint
from flask import Response, jsonify

from account_schemas import Acceptance, InvitationNew, RoleChange
from errors import (
    AccountNotFound,
    DepartmentNotFound,
    EmailTaken,
    InvalidId,
    InvitationNotFound,
    LinkExpired,
    NotAllowed,
    StoreUnavailable,
)
from people import Role
from rest.account_answers import (
    AccountAnswer,
    InvitationAnswer,
    InvitationsAnswer,
    MemberAnswer,
    MembersAnswer,
)
from rest.answer_shapes import MessageAnswer
from rest.callers import open_to_strangers, principal, principal_or_none, require_role, visit, welcome
from rest.openapi import documented
from schemas import parse_id
from services.accounts.access import Access
from services.accounts.accounts import Accounts
from services.accounts.joining import NewPerson, Offer
from services.departments import DepartmentService


def blueprint(departments: DepartmentService, access: Access, accounts: Accounts) -> APIBlueprint:
    bp = APIBlueprint(
        "members", __name__, url_prefix="/api", tag={"name": "members", "description": "부서 사람들과 초대"}
    )

    required = functools.partial(require_role, access)

    def managed(department_id: str) -> str:
        """Return the id of a department that the caller manages, and that exists."""
        parsed = required(department_id, Role.MANAGER)
        access.require_person(principal())
        return departments.get_department(parsed).id

    @bp.get("/departments/<department_id>/members")
    @documented("부서 사람들", MembersAnswer, InvalidId, DepartmentNotFound, StoreUnavailable)
    def list_members(department_id: str) -> dict[str, Any]:
        parsed = required(department_id, Role.READER)
        access.require_person(principal())
        found = accounts.members.list_members(departments.get_department(parsed).id)
        return {"success": True, "members": [member.public() for member in found]}

    @bp.put("/departments/<department_id>/members/<account_id>")
    @documented(
        "부서에 넣거나 역할 바꾸기",
        MemberAnswer,
        InvalidId,
        DepartmentNotFound,
        AccountNotFound,
        StoreUnavailable,
    )
    @bp.input(RoleChange, arg_name="body")
    def set_member(department_id: str, account_id: str, body: RoleChange) -> dict[str, Any]:
        member = accounts.members.give(
            principal(), managed(department_id), parse_id(account_id), Role.of(body.role)
        )
        return {"success": True, "member": member.public()}

    @bp.delete("/departments/<department_id>/members/<account_id>")
    @documented(
        "부서에서 빼기",
        MessageAnswer,
        InvalidId,
        DepartmentNotFound,
        StoreUnavailable,
    )
    def remove_member(department_id: str, account_id: str) -> dict[str, Any]:
        accounts.members.take(principal(), managed(department_id), parse_id(account_id))
        return {"success": True, "message": "부서에서 뺐습니다."}

    @bp.post("/invitations")
    @documented(
        "초대하기",
        InvitationAnswer,
        DepartmentNotFound,
        StoreUnavailable,
        status=201,
    )
    @bp.input(InvitationNew, arg_name="body")
    def invite(body: InvitationNew) -> tuple[dict[str, Any], int]:
        access.require_person(principal())
        department_id = managed(body.department_id) if body.department_id else ""
        if body.admin or not department_id:
            access.require_admin(principal())
        role = Role.of(body.role) if body.role else Role.WRITER
        offer = Offer(
            email=body.email,
            name=body.name,
            department_id=department_id,
            role=role if department_id else None,
            admin=body.admin,
        )
        invitation, credential = accounts.joining.invite(principal(), offer)
        shown = {**invitation.public(), "url": accounts.url("invite", credential)}
        return {"success": True, "invitation": shown}, 201

    @bp.get("/invitations")
    @documented("아직 쓰이지 않은 초대", InvitationsAnswer, StoreUnavailable)
    def list_invitations() -> dict[str, Any]:
        access.require_person(principal())
        found = accounts.joining.list_invitations(principal())
        return {"success": True, "invitations": [invitation.public() for invitation in found]}

    @bp.delete("/invitations/<invitation_id>")
    @documented("초대 거두기", MessageAnswer, InvalidId, InvitationNotFound, StoreUnavailable)
    def withdraw_invitation(invitation_id: str) -> dict[str, Any]:
        access.require_person(principal())
        accounts.joining.withdraw(principal(), parse_id(invitation_id))
        return {"success": True, "message": "초대를 거두었습니다."}

    @bp.post("/invitations/accept")
    @documented(
        "초대 받아들이기: 계정이 없으면 만들고, 로그인해 있으면 역할을 받음",
        AccountAnswer,
        NotAllowed,
        LinkExpired,
        EmailTaken,
        StoreUnavailable,
        status=201,
    )
    @open_to_strangers
    @bp.input(Acceptance, arg_name="body")
    def accept_invitation(body: Acceptance) -> Response:
        if (caller := principal_or_none()) and not body.email:
            access.require_person(caller)
            account = accounts.joining.accept_as(caller, body.token)
            return jsonify(success=True, account=account.public())
        account = accounts.joining.accept(body.token, NewPerson(*body.person()))
        return welcome(account, accounts.sessions.begin(account, visit()), 201)

    return bp
