"""The one form of what a server and gunicorn log: a time, a level and a Korean sentence, on one line."""

import logging
import re

FORMAT = "%(asctime)s %(levelname)s %(message)s"

_COLOUR = re.compile("\x1b\\[[0-9;]*m")
_OWN_TIME = re.compile(r" - - \[[^]]*\]")
_GREETING = re.compile(r"(?:WARNING: This is a development server[^\n]*\n)? \* Running on ")
_ADDRESS = re.compile(r"Running on (?!all addresses)(\S+)")
_CONTROL = re.compile("\n(?!  → )|[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]")
"""What would end a line or control a terminal. Sentences of ours go on in lines with an arrow."""


class Formatter(logging.Formatter):
    """Formats a record, with control characters that a client put into it written out."""

    def __init__(self) -> None:
        super().__init__(FORMAT)

    def formatMessage(self, record: logging.LogRecord) -> str:
        record.message = printable(record.message)
        return super().formatMessage(record)


def printable(text: str) -> str:
    """Return text with its control characters written out."""
    return _CONTROL.sub(lambda found: ascii(found[0])[1:-1], text)


def install(level: str) -> None:
    """Log in this form from now on, Werkzeug's development server included."""
    import flask.cli  # here, because gunicorn's master imports this module and must not load Flask

    handler = logging.StreamHandler()
    handler.setFormatter(Formatter())
    logging.basicConfig(level=level, handlers=[handler])
    logging.getLogger("werkzeug").addFilter(_translate)
    flask.cli.show_server_banner = lambda *_: None  # prints to the terminal, in another form and language


def _translate(record: logging.LogRecord) -> bool:
    """Remove Werkzeug's own time and colours from a line, and put its greeting into Korean."""
    text = _OWN_TIME.sub("", _COLOUR.sub("", record.getMessage()))
    if _GREETING.match(text):
        addresses = ", ".join(_ADDRESS.findall(text))
        text = f"{addresses} 에서 접속을 받습니다 (개발용 서버). 끝내려면 Ctrl+C를 누르세요."
    record.msg, record.args = text, ()
    return text != "Press CTRL+C to quit"
