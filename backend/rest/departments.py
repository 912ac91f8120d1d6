"""`/api/departments`: a route parses, calls one service method and answers."""

from typing import Any

from apiflask import APIBlueprint

from department_service import DepartmentService
from rest.answers import DepartmentAnswer, DepartmentsAnswer, MessageAnswer, documented
from schemas import DepartmentChange, DepartmentNew, parse_id


def blueprint(departments: DepartmentService) -> APIBlueprint:
    bp = APIBlueprint("departments", __name__, url_prefix="/api/departments", tag="부서")

    @bp.get("")
    @documented("부서 목록 (이름순)", DepartmentsAnswer)
    def list_departments() -> dict[str, Any]:
        found = departments.list_departments()
        return {"success": True, "departments": [d.public() for d in found]}

    @bp.post("")
    @bp.input(DepartmentNew, arg_name="body")
    @documented("부서 만들기", DepartmentAnswer, 201, 409)
    def create_department(body: DepartmentNew) -> tuple[dict[str, Any], int]:
        created = departments.create_department(body.name, body.description)
        return {"success": True, "department": created.public()}, 201

    @bp.get("/<department_id>")
    @documented("부서 한 개", DepartmentAnswer, 200, 404)
    def get_department(department_id: str) -> dict[str, Any]:
        found = departments.get_department(parse_id(department_id))
        return {"success": True, "department": found.public()}

    @bp.put("/<department_id>")
    @bp.input(DepartmentChange, arg_name="body")
    @documented("부서 고치기 (보낸 항목만)", DepartmentAnswer, 200, 404, 409)
    def update_department(department_id: str, body: DepartmentChange) -> dict[str, Any]:
        updated = departments.update_department(parse_id(department_id), body.given())
        return {"success": True, "department": updated.public()}

    @bp.delete("/<department_id>")
    @documented("부서와 그 이벤트 지우기", MessageAnswer, 200, 404)
    def delete_department(department_id: str) -> dict[str, Any]:
        departments.delete_department(parse_id(department_id))
        return {"success": True, "message": "부서가 삭제되었습니다."}

    return bp
