"""`/api/departments`."""

from typing import Any

from apiflask import APIBlueprint
from flask import Response, jsonify

from errors import DepartmentNameTaken, DepartmentNotFound, InvalidId, StoreUnavailable
from rest.answer_shapes import DepartmentAnswer, DepartmentsAnswer, MessageAnswer
from rest.conditions import idempotency_key, is_held, not_modified, with_etag
from rest.openapi import ETAG, REPLAYED, documented
from schemas import DepartmentChange, DepartmentNew, parse_id
from services.departments import DepartmentService


def blueprint(departments: DepartmentService) -> APIBlueprint:
    bp = APIBlueprint(
        "departments",
        __name__,
        url_prefix="/api/departments",
        tag={"name": "departments", "description": "부서"},
    )

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

    @bp.get("/<department_id>")
    @documented("부서 한 개", DepartmentAnswer, InvalidId, DepartmentNotFound, StoreUnavailable)
    def get_department(department_id: str) -> dict[str, Any]:
        found = departments.get_department(parse_id(department_id))
        return {"success": True, "department": found.public()}

    @bp.put("/<department_id>")
    @documented(
        "부서 고치기 (보낸 항목만)",
        DepartmentAnswer,
        InvalidId,
        DepartmentNotFound,
        DepartmentNameTaken,
        StoreUnavailable,
    )
    @bp.input(DepartmentChange, arg_name="body")
    def update_department(department_id: str, body: DepartmentChange) -> dict[str, Any]:
        updated = departments.update_department(parse_id(department_id), body.sent_fields())
        return {"success": True, "department": updated.public()}

    @bp.delete("/<department_id>")
    @documented("부서와 그 이벤트 지우기", MessageAnswer, InvalidId, DepartmentNotFound, StoreUnavailable)
    def delete_department(department_id: str) -> dict[str, Any]:
        departments.delete_department(parse_id(department_id))
        return {"success": True, "message": "부서가 삭제되었습니다."}

    return bp
