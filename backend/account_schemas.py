"""The shapes of input about accounts; `schemas.py` has the rules for texts."""

import re
import unicodedata
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from errors import ValidationFailed
from field_types import ChosenId, Name, clean_line, described
from people import Role, Scope
from schemas import DepartmentChange, Input, Query

EMAIL_MAX = 254
PASSWORD_MIN = 10
PASSWORD_MAX = 1_000
CREDENTIAL_MAX = 200
TOKEN_DAYS_MAX = 3_650
EMAIL_PATTERN = r"^[^\s@]+@[^\s@]+$"
_EMAIL = re.compile(EMAIL_PATTERN)


def _email(value: str) -> str:
    if not _EMAIL.fullmatch(value):
        raise PydanticCustomError("invalid_email", "이메일 주소여야 합니다.")
    return value


def _composed(value: Any) -> Any:
    """Return a password in one form: machines write Hangul in two."""
    return unicodedata.normalize("NFC", value) if isinstance(value, str) else value


Email = Annotated[
    str,
    StringConstraints(max_length=EMAIL_MAX),
    BeforeValidator(clean_line),
    AfterValidator(_email),
    described(EMAIL_PATTERN, "kim@example.com"),
]
NewPassword = Annotated[
    str, StringConstraints(min_length=PASSWORD_MIN, max_length=PASSWORD_MAX), BeforeValidator(_composed)
]
ShownPassword = Annotated[str, StringConstraints(max_length=PASSWORD_MAX), BeforeValidator(_composed)]
Credential = Annotated[str, StringConstraints(min_length=1, max_length=CREDENTIAL_MAX)]
RoleName = Annotated[str, StringConstraints(pattern=f"^({'|'.join(role.label for role in Role)})$")]
ScopeName = Annotated[str, StringConstraints(pattern=f"^({'|'.join(Scope)})$")]


class NewAccount(Input):
    """What somebody tells of itself to get an account."""

    email: Email
    name: Name
    password: NewPassword


class Setup(NewAccount):
    """The first administrator, by a setup link."""

    token: Credential


class SignIn(Input):
    """An e-mail address and its password."""

    email: Annotated[str, StringConstraints(max_length=EMAIL_MAX)]
    password: ShownPassword


class OwnChange(Input):
    """What somebody changes of its own account; a new password needs the present one."""

    name: Name = ""
    password: NewPassword = ""
    current_password: ShownPassword = ""


class Acceptance(Input):
    """An invitation; the other fields are for somebody without an account."""

    token: Credential
    email: Email = ""
    name: Name = ""
    password: NewPassword = ""

    def person(self) -> tuple[str, str, str]:
        """Return e-mail address, name and password. Raises `ValidationFailed` if one is missing."""
        given = {"email": self.email, "name": self.name, "password": self.password}
        missing = [
            {"field": field, "rule": "missing", "message": "필요한 값입니다."}
            for field, value in given.items()
            if not value
        ]
        if missing:
            raise ValidationFailed(missing)
        return self.email, self.name, self.password


class ProviderInvitation(Input):
    """An invitation that somebody accepts by signing in with the provider."""

    token: Credential


class Reset(Input):
    """A new password by a reset link."""

    token: Credential
    password: NewPassword


class InvitationNew(Input):
    """An invitation: to the company, to a department, or to be an administrator."""

    email: Email
    name: Annotated[str, StringConstraints(max_length=100), BeforeValidator(clean_line)] = ""
    department_id: ChosenId | None = None
    role: RoleName | None = Field(default=None, description="`department_id`와 함께만. 없으면 `writer`.")
    admin: bool = False

    @model_validator(mode="after")
    def _role_has_department(self) -> Self:
        if self.role and not self.department_id:
            raise PydanticCustomError("needs_department", "role은 department_id와 함께 보내야 합니다.")
        return self


class RoleChange(Input):
    """A role in a department."""

    role: RoleName


class AccountChange(Input):
    """What an administrator changes of an account; what is left out stays."""

    name: Name = ""
    admin: bool | None = None
    disabled: bool | None = None


class TokenNew(Input):
    """A device token to make."""

    name: Name
    scope: ScopeName = Scope.WRITE.value
    expires_in_days: Annotated[int, Field(ge=1, le=TOKEN_DAYS_MAX)] | None = None


class AccountsQuery(Query):
    """The query of the accounts: a text in name or e-mail address."""

    q: Annotated[str, StringConstraints(max_length=100), BeforeValidator(clean_line)] = ""


class DepartmentAndVisibilityChange(DepartmentChange):
    """The fields of a department to change, of a server with accounts."""

    visibility: Annotated[str, StringConstraints(pattern="^(members|company)$")] = Field(
        default="", description="누가 읽을 수 있는지: `members` 또는 `company`."
    )
