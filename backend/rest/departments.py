"""`/api/departments`."""

from typing import Any

from apiflask import APIBlueprint
from flask import Response, jsonify, request
from werkzeug.routing import BaseConverter

from errors import (
    DepartmentNameTaken,
    DepartmentNotDeleted,
    DepartmentNotFound,
    EntityTooLarge,
    InvalidId,
    StoreUnavailable,
)
from rest.answer_shapes import DeletedDepartmentsAnswer, DepartmentAnswer, DepartmentsAnswer, MessageAnswer
from rest.conditions import idempotency_key, is_held, not_modified, with_etag
from rest.openapi import ETAG, REPLAYED, documented
from schemas import DepartmentChange, DepartmentNew, DepartmentRestore, PageQuery, parse_id
from services.departments import DepartmentService
from tokens import number_token


class DepartmentId(BaseConverter):
    """Any text but `deleted`, so that only the methods of `/deleted` are allowed there."""

    regex = r"(?!deleted\Z)[^/]+"
    part_isolating = True


def blueprint(departments: DepartmentService) -> APIBlueprint:
    bp = APIBlueprint(
        "departments",
        __name__,
        url_prefix="/api/departments",
        tag={"name": "departments", "description": "부서"},
    )
    bp.record_once(lambda state: state.app.url_map.converters.update(department_id=DepartmentId))

    @bp.get("")
    @documented(
        "부서 목록 (이름순)", DepartmentsAnswer, StoreUnavailable, takes=("If-None-Match",), sends=ETAG
    )
    def list_departments() -> Response:
        answer = jsonify(success=True, departments=[d.public() for d in departments.list_departments()])
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
        created = departments.create_department(body.name, body.description, idempotency_key())
        headers = {"Idempotent-Replayed": "true"} if created.repeated else {}
        return {"success": True, "department": created.entity.public()}, 201, headers

    @bp.get("/<department_id:department_id>")
    @documented("부서 한 개", DepartmentAnswer, InvalidId, DepartmentNotFound, StoreUnavailable)
    def get_department(department_id: str) -> dict[str, Any]:
        found = departments.get_department(parse_id(department_id))
        return {"success": True, "department": found.public()}

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
    @bp.input(DepartmentChange, arg_name="body")
    def update_department(department_id: str, body: DepartmentChange) -> dict[str, Any]:
        updated = departments.update_department(parse_id(department_id), body.sent_fields())
        return {"success": True, "department": updated.public()}

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
        departments.delete_department(parse_id(department_id))
        return {"success": True, "message": "부서가 삭제되었습니다."}

    @bp.get("/deleted")
    @documented("되살릴 수 있는 부서 (최근에 지운 것부터)", DeletedDepartmentsAnswer, StoreUnavailable)
    @bp.input(PageQuery, location="query", arg_name="query")
    def list_deleted_departments(query: PageQuery) -> dict[str, Any]:
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
        restored = departments.restore_department(parse_id(department_id), body.name)
        return {"success": True, "department": restored.public()}

    return bp
