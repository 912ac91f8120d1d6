"""Every failure the server can name: its machine code, its HTTP status and its Korean sentence.

The exception owns all three; REST and Socket.IO only turn it into an answer. Nothing here knows Flask or AWS.
"""

import sys
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, ClassVar, Self


class CalendarError(Exception):
    """Base of every failure that a client is told about."""

    code: ClassVar[str]
    status: ClassVar[int]
    message: str
    details: Any = None
    retry_after: int | None = None
    """After how many seconds a repetition may succeed."""

    def __init__(self, message: str | None = None, details: Any = None) -> None:
        if message is not None:
            self.message = message
        if details is not None:
            self.details = details
        super().__init__(self.message)

    def envelope(self) -> dict[str, Any]:
        """Return `{success: false, error, message, details}`, the one shape of every failure."""
        return failure_envelope(self.code, self.message, self.details)


def failure_envelope(code: str, message: str, details: Any = None) -> dict[str, Any]:
    return {"success": False, "error": code, "message": message, "details": details}


HTTP_FAILURES = {
    400: ("bad_request", "요청을 읽을 수 없습니다. 올바른 HTTP인지, 본문이 UTF-8로 쓴 JSON인지 확인하세요."),
    403: ("forbidden", "허용되지 않는 요청입니다."),
    404: ("not_found", "주소를 찾을 수 없습니다."),
    405: ("method_not_allowed", "이 주소에서 쓸 수 없는 메서드입니다."),
    412: ("precondition_failed", "요청에 적힌 조건이 지금의 내용과 맞지 않습니다."),
    413: ("payload_too_large", "본문이 너무 큽니다. 최대 1 MiB, 가져올 파일은 10 MiB입니다."),
    414: ("uri_too_long", "주소가 너무 깁니다."),
    415: (
        "unsupported_media_type",
        "Content-Type은 application/json, 가져올 파일은 text/calendar나 text/csv여야 합니다.",
    ),
    416: ("range_not_satisfiable", "요청한 범위(Range)가 파일을 벗어납니다."),
    417: ("expectation_failed", "Expect 헤더의 요구를 지원하지 않습니다."),
    426: ("upgrade_required", "WebSocket 버전 13으로 연결하세요."),
    431: ("headers_too_large", "요청 헤더가 너무 많거나 너무 깁니다."),
    500: ("internal_error", "서버 오류가 발생했습니다."),
    501: ("not_implemented", "서버가 지원하지 않는 요청입니다."),
    503: ("server_unavailable", "서버를 잠시 사용할 수 없습니다. 잠시 후 다시 시도하세요."),
    505: ("http_version_not_supported", "서버가 지원하지 않는 HTTP 버전입니다."),
}


def http_failure(status: int, details: Any = None) -> dict[str, Any]:
    """Return the envelope of a failure that has an HTTP status and no class here."""
    code, message = HTTP_FAILURES.get(status, (f"http_{status}", "요청을 처리할 수 없습니다."))
    return failure_envelope(code, message, details)


class ValidationFailed(CalendarError):
    """The input breaks a rule. `details` is a list of `{field, rule, message}`, one for each bad field."""

    code = "validation_failed"
    status = 400
    message = "입력값이 올바르지 않습니다."

    def __init__(self, details: Sequence[Mapping[str, str]]) -> None:
        first = details[0]
        super().__init__(f"{self.message[:-1]}: {first['field']} - {first['message']}", list(details))

    @classmethod
    def of(cls, field: str, rule: str, message: str) -> Self:
        """Return the failure of one field that breaks one rule."""
        return cls([{"field": field, "rule": rule, "message": message}])


class InvalidId(CalendarError):
    code = "invalid_id"
    status = 400
    message = "식별자가 올바른 UUID 형식이 아닙니다."


class UnknownMessage(CalendarError):
    """A Socket.IO client sent a message of an unknown name."""

    code = "unknown_message"
    status = 404
    message = "서버가 모르는 메시지입니다."


class DepartmentNotFound(CalendarError):
    code = "department_not_found"
    status = 404
    message = "부서를 찾을 수 없습니다."


class EventNotFound(CalendarError):
    code = "event_not_found"
    status = 404
    message = "이벤트를 찾을 수 없습니다."


class FeedNotFound(CalendarError):
    code = "feed_not_found"
    status = 404
    message = "구독 주소가 없거나 더는 쓸 수 없습니다."


class OccurrenceNotFound(CalendarError):
    """A series has no such occurrence, or the event does not repeat."""

    code = "occurrence_not_found"
    status = 404
    message = "그 날짜의 반복 일정을 찾을 수 없습니다."


class TooManyReplacements(CalendarError):
    """More occurrences were changed by themselves than can move to another series at once."""

    code = "too_many_replacements"
    status = 400
    message = "따로 고친 날이 40개보다 많아 한 번에 나눌 수 없습니다. 더 늦은 날짜부터 나누세요."


class TooManyExdates(CalendarError):
    code = "too_many_exdates"
    status = 409
    message = "반복 일정에서 지운 날이 너무 많습니다. 이 날짜부터 이후를 모두 고치거나 지우세요."


class DepartmentNameTaken(CalendarError):
    code = "department_name_taken"
    status = 409
    message = "같은 이름의 부서가 이미 있습니다."


class DepartmentNotDeleted(CalendarError):
    """A department that is to be restored is there, perhaps because somebody else has restored it."""

    code = "department_not_deleted"
    status = 409
    message = "지우지 않았거나 이미 되살린 부서입니다."


class EntityTooLarge(CalendarError):
    """DynamoDB takes no item as large as this one would be: another tool has added to it."""

    code = "entity_too_large"
    status = 413
    message = "저장하기에 너무 큽니다. 다른 도구가 덧붙인 큰 항목이 없는지 확인하세요."


class ChangeTooLarge(CalendarError):
    """What has to change at once does not fit in one transaction."""

    code = "change_too_large"
    status = 413
    message = "한 번에 저장하기에 너무 큰 변경입니다. 따로 고친 회차의 긴 설명을 먼저 줄이세요."


class EventIdTaken(CalendarError):
    """The id that a client chose for a new event belongs to another event."""

    code = "event_id_taken"
    status = 409
    message = "같은 식별자의 이벤트가 이미 있습니다."


class EventChanged(CalendarError):
    """The event is not at a revision that `If-Match` names; `details` is `{event}`, as it is now."""

    code = "event_changed"
    status = 412
    message = "그 사이 다른 사람이 이벤트를 고쳤습니다. 현재 내용을 확인하세요."


class IdempotencyKeyReused(CalendarError):
    code = "idempotency_key_reused"
    status = 422
    message = "같은 Idempotency-Key가 다른 내용의 요청에 이미 쓰였습니다."


class SyncTokenExpired(CalendarError):
    """The log does not reach back to the token, or the epoch has changed. The client reads the list again."""

    code = "sync_token_expired"
    status = 410
    message = "동기화 토큰이 만료되었습니다. 목록을 다시 받아 교체하세요."


class TooManySeries(CalendarError):
    """A department has more series and long events than this server can look through for a range of dates."""

    code = "too_many_series"
    status = 409
    message = "반복 일정과 여러 날 일정이 너무 많아 기간으로 볼 수 없습니다. from과 to 없이 요청하세요."


class NotSignedIn(CalendarError):
    """The request needs an account, and shows no valid credentials."""

    code = "not_signed_in"
    status = 401
    message = "로그인이 필요합니다."


class SignInFailed(CalendarError):
    """E-mail address and password do not belong together; does not tell which of them is wrong."""

    code = "sign_in_failed"
    status = 401
    message = "이메일 주소나 비밀번호가 맞지 않습니다."


class NotAllowed(CalendarError):
    """The account may see it, but not do this."""

    code = "not_allowed"
    status = 403
    message = "이 일을 할 권한이 없습니다."


class CrossSite(CalendarError):
    """A page of another site made a browser send this, with its session."""

    code = "cross_site"
    status = 403
    message = "다른 사이트의 페이지에서 보낸 요청은 받지 않습니다."


class LinkExpired(CalendarError):
    """A link was used, withdrawn, or is too old."""

    code = "link_expired"
    status = 410
    message = "이미 쓰였거나 기한이 지난 링크입니다. 새 링크를 받으세요."


class EmailTaken(CalendarError):
    code = "email_taken"
    status = 409
    message = "이 이메일 주소의 계정이 이미 있습니다."


class LastAdmin(CalendarError):
    """The last administrator would no longer be one."""

    code = "last_admin"
    status = 409
    message = "마지막 관리자입니다. 먼저 다른 사람을 관리자로 정하세요."


class AccountNotFound(CalendarError):
    code = "account_not_found"
    status = 404
    message = "계정을 찾을 수 없습니다."


class ProviderRefused(CalendarError):
    """The identity provider did not let somebody in, or said so in a way that is not to be trusted."""

    code = "provider_refused"
    status = 401
    message = "회사 계정으로 로그인하지 못했습니다. 처음부터 다시 해 보세요."


class ProviderUnavailable(CalendarError):
    code = "provider_unavailable"
    status = 503
    message = "회사 계정의 로그인 서버에 닿지 않습니다. 잠시 후 다시 시도하세요."
    retry_after = 5


class NotInvited(CalendarError):
    """The provider knows somebody who has no account here, and was not invited."""

    code = "not_invited"
    status = 403
    message = "초대받지 않은 계정입니다. 관리자에게 초대를 부탁하세요."


class InvitationNotFound(CalendarError):
    code = "invitation_not_found"
    status = 404
    message = "초대를 찾을 수 없습니다."


class TooManyTokens(CalendarError):
    code = "too_many_tokens"
    status = 409
    message = "토큰이 너무 많습니다. 쓰지 않는 것을 먼저 없애세요."


class TooManyRequests(CalendarError):
    code = "too_many_requests"
    status = 429
    message = "요청이 너무 많습니다. 잠시 후 다시 시도하세요."

    def __init__(self, retry_after: int) -> None:
        super().__init__()
        self.retry_after = retry_after


class StoreUnavailable(CalendarError):
    """The store is throttled or down, after bounded retries."""

    code = "store_unavailable"
    status = 503
    message = "저장소를 잠시 사용할 수 없습니다. 잠시 후 다시 시도하세요."
    retry_after = 2


class OutOfTime(StoreUnavailable):
    """The deadline of a request came before the store had done its work."""

    message = "저장소가 너무 느려서 시간 안에 처리하지 못했습니다. 잠시 후 다시 시도하세요."
    retry_after = 10
    """As long as a request may take, so that repetitions are at most half of the load."""


class SetupError(Exception):
    """The operator has to change something before the server can work; the text says what, in Korean."""


def end_with_a_sentence(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print only the sentence of an error that an operator can mend, and the traceback of any other.

    To be used as `sys.excepthook`.
    """
    if issubclass(kind, (SetupError, StoreUnavailable)):
        print(error, file=sys.stderr)  # noqa: T201 - for the operator's terminal
    else:
        sys.__excepthook__(kind, error, trace)


class TableMissing(SetupError):
    """A table does not exist."""

    def __init__(self, table: str) -> None:
        self.table = table
        super().__init__(
            f"테이블 '{table}'가 없습니다.\n"
            "  → backend 폴더에서 다음을 실행하세요: "
            'python -c "from models import DynamoDBDatabase; db = DynamoDBDatabase(); db.create_tables()"'
        )


class NotDynamoDB(SetupError):
    """The server at the endpoint does not speak DynamoDB's protocol."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            "✗ DynamoDB 연결 실패: DynamoDB가 아닌 서버가 답합니다.\n"
            f"  → 원인: {reason}\n"
            "  → DYNAMODB_ENDPOINT_URL을 확인하세요."
        )


class CredentialsRejected(SetupError):
    """There are no AWS credentials, or AWS refuses them."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            "✗ DynamoDB 연결 실패: 자격증명 오류\n"
            f"  → 원인: {reason}\n"
            "  → backend/.env의 AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY 또는 IAM 역할을 확인하세요.\n"
            "  → AWS 없이 쓰려면 backend/.env에 DYNAMODB_ENDPOINT_URL=embedded를 적으세요."
        )
