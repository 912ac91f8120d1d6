"""`/api/accounts` and `/api/audit`: the people of the company, for administrators and managers."""

from typing import Any

from apiflask import APIBlueprint

from account_schemas import AccountChange, AccountsQuery
from errors import AccountNotFound, InvalidId, LastAdmin, StoreUnavailable
from rest.account_answers import AccountAnswer, AccountsAnswer, AuditAnswer, LinkAnswer
from rest.callers import principal
from rest.openapi import documented
from schemas import PageQuery, parse_id
from services.accounts.access import Access
from services.accounts.accounts import Accounts
from services.accounts.administration import AccountFields
from tokens import number_token


def blueprint(access: Access, accounts: Accounts) -> APIBlueprint:
    bp = APIBlueprint(
        "accounts",
        __name__,
        url_prefix="/api",
        tag={"name": "accounts", "description": "회사의 계정 (관리자)"},
    )

    def require_admin() -> None:
        access.require_person(principal())
        access.require_admin(principal())

    @bp.get("/accounts")
    @documented("계정 찾기: 이름이나 이메일로", AccountsAnswer, StoreUnavailable)
    @bp.input(AccountsQuery, location="query", arg_name="query")
    def list_accounts(query: AccountsQuery) -> dict[str, Any]:
        access.require_person(principal())
        found = accounts.administration.list_accounts(principal(), query.q)
        return {"success": True, "accounts": found}

    @bp.put("/accounts/<account_id>")
    @documented(
        "계정 고치기: 이름, 관리자인지, 쓰지 못하게 할지",
        AccountAnswer,
        InvalidId,
        AccountNotFound,
        LastAdmin,
        StoreUnavailable,
    )
    @bp.input(AccountChange, arg_name="body")
    def update_account(account_id: str, body: AccountChange) -> dict[str, Any]:
        require_admin()
        fields = AccountFields(name=body.name or None, admin=body.admin, disabled=body.disabled)
        changed = accounts.administration.change(principal(), parse_id(account_id), fields)
        return {"success": True, "account": changed.public()}

    @bp.post("/accounts/<account_id>/reset")
    @documented(
        "새 비밀번호를 정할 링크 만들기",
        LinkAnswer,
        InvalidId,
        AccountNotFound,
        StoreUnavailable,
        413,
        415,
        status=201,
    )
    def create_reset_link(account_id: str) -> tuple[dict[str, Any], int]:
        require_admin()
        link = accounts.joining.begin_reset(principal(), parse_id(account_id))
        return {"success": True, "url": accounts.url("reset", link)}, 201

    @bp.get("/audit")
    @documented(
        "누가 들어왔고 초대받았고 무엇을 얻거나 잃었는지, 최근 것부터",
        AuditAnswer,
        StoreUnavailable,
    )
    @bp.input(PageQuery, location="query", arg_name="query")
    def list_audit(query: PageQuery) -> dict[str, Any]:
        require_admin()
        page, following = accounts.administration.page_audit(query.begin, query.limit)
        return {
            "success": True,
            "audit": [change.public() for change in page],
            "next_page_token": number_token(following),
        }

    return bp
