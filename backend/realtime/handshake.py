"""Who opens a Socket.IO connection: strangers are refused with the envelope of every failure."""

from collections.abc import Callable
from typing import Any

from socketio.exceptions import ConnectionRefusedError as Refused

import security_log
from deadlines import REQUEST_S, deadline
from errors import CalendarError
from realtime.admission import OpenAdmission
from recognition import shows_credentials
from services.accounts.access import Principal

PRINCIPAL = "calendar.principal"
"""The key of the WSGI environ of a connection under which its `Principal` is kept."""


def authentication(
    recognise: Callable[[dict[str, Any], object], Principal], admission: OpenAdmission
) -> Callable[[str, dict[str, Any], object], None]:
    """Return the function by which a `GuardedServer` lets clients connect, or refuses them."""

    def authenticate(eio_sid: str, environ: dict[str, Any], auth: object) -> None:
        try:
            with deadline(REQUEST_S):
                principal = recognise(environ, auth)
            admission.connected(eio_sid, principal.account_id)
            environ[PRINCIPAL] = principal
        except CalendarError as error:
            if auth or shows_credentials(environ):
                security_log.note_refusal(
                    error,
                    address=environ.get("REMOTE_ADDR"),
                    method="CONNECT",
                    path=environ.get("PATH_INFO", ""),
                )
            raise Refused(error.message, error.envelope()) from error

    return authenticate
