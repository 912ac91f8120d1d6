"""The shapes of the answers about accounts in the OpenAPI document, as `answer_shapes.py` has others."""

from typing import Any

from pydantic import BaseModel, Field

from rest.answer_shapes import Answer


class AccountShape(BaseModel):
    id: str
    email: str
    name: str
    admin: bool


class AccountAnswer(Answer):
    account: AccountShape


class MeAnswer(Answer):
    account: AccountShape | None = Field(description="`AUTH=off`이면 null")
    roles: dict[str, str] = Field(description="부서마다 내가 가진 역할: `reader`, `writer`, `manager`")


class SessionShape(BaseModel):
    id: str
    created_at: str
    seen_at: str
    agent: str
    address: str
    current: bool = Field(description="이 요청을 보낸 브라우저인지")


class SessionsAnswer(Answer):
    sessions: list[SessionShape]


class AccountRowShape(BaseModel):
    id: str
    email: str
    name: str
    admin: bool = Field(default=False, description="관리자에게만 보입니다.")
    disabled: bool = Field(default=False, description="관리자에게만 보입니다.")
    last_seen: str = Field(default="", description="마지막으로 쓴 날. 관리자에게만 보입니다.")


class AccountsAnswer(Answer):
    accounts: list[AccountRowShape]


class LinkAnswer(Answer):
    url: str


class MemberShape(BaseModel):
    account_id: str
    name: str
    email: str
    role: str


class MemberAnswer(Answer):
    member: MemberShape


class MembersAnswer(Answer):
    members: list[MemberShape]


class InvitationShape(BaseModel):
    id: str
    email: str
    name: str
    department_id: str
    role: str
    admin: bool
    created_at: str
    expires_at: str


class NewInvitationShape(InvitationShape):
    url: str = Field(description="초대할 사람에게 보낼 주소. 다시는 볼 수 없습니다.")


class InvitationAnswer(Answer):
    invitation: NewInvitationShape


class InvitationsAnswer(Answer):
    invitations: list[InvitationShape]


class TokenShape(BaseModel):
    id: str
    name: str
    scope: str = Field(description="`read` 또는 `write`")
    created_at: str
    used_at: str = Field(description="마지막으로 쓴 때. 한 시간에 한 번 적습니다.")
    expires_at: str = Field(description="기한이 없으면 빈 값")


class TokensAnswer(Answer):
    tokens: list[TokenShape]


class NewTokenShape(TokenShape):
    token: str = Field(description="프로그램에 넣을 토큰. 다시는 볼 수 없습니다.")


class TokenAnswer(Answer):
    token: NewTokenShape


class AuditShape(BaseModel):
    revision: int
    type: str
    at: str
    by: str
    by_name: str
    about: dict[str, Any]


class AuditAnswer(Answer):
    audit: list[AuditShape]
    next_page_token: str
