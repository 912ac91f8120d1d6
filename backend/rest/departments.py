"""`/api/departments`."""

import functools
from typing import Any

from apiflask import APIBlueprint
from flask import Response, jsonify, request
from werkzeug.routing import BaseConverter

from account_schemas import DepartmentAndVisibilityChange
from domain import Department
from errors import (
    DepartmentNameTaken,
    DepartmentNotDeleted,
    DepartmentNotFound,
    EntityTooLarge,
    InvalidId,
    StoreUnavailable,
)
from people import Role
from rest.answer_shapes import DeletedDepartmentsAnswer, DepartmentAnswer, DepartmentsAnswer, MessageAnswer
from rest.callers import principal, require_role
from rest.conditions import idempotency_key, is_held, not_modified, with_etag
from rest.openapi import ETAG, REPLAYED, documented
from schemas import DepartmentChange, DepartmentNew, DepartmentRestore, PageQuery
from services.accounts.access import Access
from services.accounts.members import Members
from services.departments import DepartmentService
from tokens import number_token


class DepartmentId(BaseConverter):
    """Any text but `deleted`, so that only the methods of `/deleted` are allowed there."""

    regex = r"(?!deleted\Z)[^/]+"
    part_isolating = True


def blueprint(departments: DepartmentService, access: Access, members: Members | None) -> APIBlueprint:
    bp = APIBlueprint(
        "departments",
        __name__,
        url_prefix="/api/departments",
        tag={"name": "departments", "description": "부서"},
    )
    bp.record_once(lambda state: state.app.url_map.converters.update(department_id=DepartmentId))

    required = functools.partial(require_role, access)

    def members_to_ask(department_id: str, visibility: str) -> Members | None:
        """Return what changes who may read a department; None if that is not wanted."""
        if members is None or not visibility or access.visibility(department_id)["visibility"] == visibility:
            return None
        access.require_person(principal())
        return members

    def public(department: Department) -> dict[str, Any]:
        return {**department.public(), **access.visibility(department.id)}

    @bp.get("")
    @documented(
        "부서 목록 (이름순)", DepartmentsAnswer, StoreUnavailable, takes=("If-None-Match",), sends=ETAG
    )
    def list_departments() -> Response:
        found = departments.list_departments()
        visible = access.roles(principal(), found)
        answer = jsonify(success=True, departments=[public(d) for d in found if d.id in visible])
        answer.add_etag()
        etag = answer.get_etag()[0] or ""
        return not_modified(etag) if is_held(etag) else with_etag(answer, etag)

    @bp.post("")
    @documented(
        "부서 만들기",
        DepartmentAnswer,
        DepartmentNameTaken,
        EntityTooLarge,
        StoreUnavailable,
        status=201,
        takes=("Idempotency-Key",),
        sends=REPLAYED,
    )
    @bp.input(DepartmentNew, arg_name="body")
    def create_department(body: DepartmentNew) -> tuple[dict[str, Any], int, dict[str, str]]:
        access.require_admin(principal())
        created = departments.create_department(
            body.name, body.description, idempotency_key(), timezone=body.timezone, color=body.color
        )
        headers = {"Idempotent-Replayed": "true"} if created.repeated else {}
        return {"success": True, "department": public(created.entity)}, 201, headers

    @bp.get("/<department_id:department_id>")
    @documented("부서 한 개", DepartmentAnswer, InvalidId, DepartmentNotFound, StoreUnavailable)
    def get_department(department_id: str) -> dict[str, Any]:
        found = departments.get_department(required(department_id, Role.READER))
        return {"success": True, "department": public(found)}

    @bp.put("/<department_id:department_id>")
    @documented(
        "부서 고치기 (보낸 항목만)",
        DepartmentAnswer,
        InvalidId,
        DepartmentNotFound,
        DepartmentNameTaken,
        EntityTooLarge,
        StoreUnavailable,
    )
    @bp.input(DepartmentChange if members is None else DepartmentAndVisibilityChange, arg_name="body")
    def update_department(department_id: str, body: DepartmentChange) -> dict[str, Any]:
        managed, fields = required(department_id, Role.MANAGER), body.sent_fields()
        visibility = fields.pop("visibility", "")
        to_ask = members_to_ask(managed, visibility)
        if to_ask and visibility == "members":  # first, as the others may not hear of the other fields
            to_ask.set_visibility(principal(), managed, False)
        updated = departments.update_department(managed, fields)
        if to_ask and visibility == "company":
            to_ask.set_visibility(principal(), managed, True)
        return {"success": True, "department": public(updated)}

    @bp.delete("/<department_id:department_id>")
    @documented(
        "부서와 그 이벤트 지우기",
        MessageAnswer,
        InvalidId,
        DepartmentNotFound,
        EntityTooLarge,
        StoreUnavailable,
    )
    def delete_department(department_id: str) -> dict[str, Any]:
        departments.delete_department(required(department_id, Role.MANAGER))
        return {"success": True, "message": "부서가 삭제되었습니다."}

    @bp.get("/deleted")
    @documented("되살릴 수 있는 부서 (최근에 지운 것부터)", DeletedDepartmentsAnswer, StoreUnavailable)
    @bp.input(PageQuery, location="query", arg_name="query")
    def list_deleted_departments(query: PageQuery) -> dict[str, Any]:
        access.require_admin(principal(), writes=False)
        page = departments.page_deleted_departments(query.limit, query.begin)
        return {
            "success": True,
            "deleted": [deleted.public() for deleted in page.departments],
            "next_page_token": number_token(page.next_number),
        }

    @bp.post("/<department_id>/restore")
    @documented(
        "지운 부서를 이벤트와 함께 되살리기 (지운 뒤 30일 동안)",
        DepartmentAnswer,
        InvalidId,
        DepartmentNotFound,
        DepartmentNotDeleted,
        DepartmentNameTaken,
        EntityTooLarge,
        StoreUnavailable,
        optional_body=DepartmentRestore,
    )
    def restore_department(department_id: str) -> dict[str, Any]:
        body = DepartmentRestore.model_validate(request.get_json() if request.get_data() else {})
        restored = departments.restore_department(required(department_id, Role.MANAGER), body.name)
        return {"success": True, "department": public(restored)}

    return bp
