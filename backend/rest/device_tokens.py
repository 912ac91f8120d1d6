"""`/api/tokens`: the credentials of one's own programs."""

from typing import Any

from apiflask import APIBlueprint

from account_schemas import TokenNew
from errors import InvalidId, StoreUnavailable, TooManyTokens
from people import Scope
from rest.account_answers import TokenAnswer, TokensAnswer
from rest.answer_shapes import MessageAnswer
from rest.callers import principal
from rest.openapi import documented
from schemas import parse_id
from services.accounts.access import Access
from services.accounts.accounts import Accounts


def blueprint(access: Access, accounts: Accounts) -> APIBlueprint:
    bp = APIBlueprint(
        "tokens",
        __name__,
        url_prefix="/api/tokens",
        tag={"name": "tokens", "description": "내 프로그램의 토큰"},
    )

    @bp.get("")
    @documented("내 토큰", TokensAnswer, StoreUnavailable)
    def list_tokens() -> dict[str, Any]:
        access.require_person(principal())
        found = accounts.device_tokens.list_tokens(principal().account_id)
        return {"success": True, "tokens": [token.public() for token in found]}

    @bp.post("")
    @documented("토큰 만들기", TokenAnswer, TooManyTokens, StoreUnavailable, status=201)
    @bp.input(TokenNew, arg_name="body")
    def create_token(body: TokenNew) -> tuple[dict[str, Any], int]:
        access.require_person(principal())
        token, secret = accounts.device_tokens.create(
            principal(), body.name, Scope(body.scope), body.expires_in_days
        )
        return {"success": True, "token": {**token.public(), "token": secret}}, 201

    @bp.delete("/<token_id>")
    @documented("토큰 없애기", MessageAnswer, InvalidId, StoreUnavailable)
    def end_token(token_id: str) -> dict[str, Any]:
        access.require_person(principal())
        accounts.device_tokens.end(principal(), parse_id(token_id))
        return {"success": True, "message": "토큰을 없앴습니다."}

    return bp
