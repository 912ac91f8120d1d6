"""The form of all log lines, of the server and of gunicorn: a time, a level and a Korean sentence."""

import logging
import re

FORMAT = "%(asctime)s %(levelname)s %(message)s"

_COLOUR = re.compile("\x1b\\[[0-9;]*m")
_OWN_TIME = re.compile(r" - - \[[^]]*\]")
_GREETING = re.compile(r"(?:WARNING: This is a development server[^\n]*\n)? \* Running on ")
_ADDRESS = re.compile(r"Running on (?!all addresses)(\S+)")
_SECRET_ADDRESS = re.compile(r"(/feeds/)[^\s?\"'.]+")
"""What an address of a feed may not be told with: whoever knows it reads the department."""
_CONTROL = re.compile("\n(?!  → )|[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]")
"""Characters that end a line or control a terminal. Our sentences may continue in lines with an arrow."""


class Formatter(logging.Formatter):
    """Formats a record without control characters, which clients can cause, and without secret addresses."""

    def __init__(self) -> None:
        super().__init__(FORMAT)

    def formatMessage(self, record: logging.LogRecord) -> str:
        record.message = masked(printable(record.message))
        return super().formatMessage(record)


def printable(text: str) -> str:
    """Return text with its control characters escaped, as in `\\x1b`."""
    return _CONTROL.sub(lambda found: ascii(found[0])[1:-1], text)


def masked(text: str) -> str:
    """Return text with `…` for the secrets of addresses of feeds."""
    return _SECRET_ADDRESS.sub(r"\1…", text)


def install(level: str) -> None:
    """Log in this form from now on; so does Werkzeug's development server."""
    import flask.cli  # here, because gunicorn's master imports this module and must not load Flask

    handler = logging.StreamHandler()
    handler.setFormatter(Formatter())
    logging.basicConfig(level=level, handlers=[handler])
    logging.getLogger("werkzeug").addFilter(_translate)
    security = logging.getLogger("calendar.security")
    security.handlers = [logging.StreamHandler()]  # lines of JSON, without our time and level before them
    security.propagate = False
    security.setLevel(logging.INFO)
    flask.cli.show_server_banner = lambda *_: None  # it prints in English and in another form


def _translate(record: logging.LogRecord) -> bool:
    """Remove Werkzeug's time and colours, and translate its greeting. Return False to drop a record."""
    text = _OWN_TIME.sub("", _COLOUR.sub("", record.getMessage()))
    if _GREETING.match(text):
        addresses = ", ".join(_ADDRESS.findall(text))
        text = f"{addresses} 에서 접속을 받습니다 (개발용 서버). 끝내려면 Ctrl+C를 누르세요."
    record.msg, record.args = text, ()
    return text != "Press CTRL+C to quit"
