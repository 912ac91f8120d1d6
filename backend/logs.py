"""The one form of what a server logs: a time, a level, a Korean sentence.

`gunicorn.conf.py` repeats the format: gunicorn reads it before this folder can be imported.
"""

import logging
import re

import flask.cli

FORMAT = "%(asctime)s %(levelname)s %(message)s"

_COLOUR = re.compile("\x1b\\[[0-9;]*m")
_OWN_TIME = re.compile(r" - - \[[^]]*\]")
_ADDRESS = re.compile(r"Running on (?!all addresses)(\S+)")


def install(level: str) -> None:
    """Log in this form from now on, Werkzeug's development server included."""
    logging.basicConfig(level=level, format=FORMAT)
    logging.getLogger("werkzeug").addFilter(_in_our_words)
    flask.cli.show_server_banner = lambda *_: None  # prints to the terminal, in another form and language


def _in_our_words(record: logging.LogRecord) -> bool:
    """Take Werkzeug's own time and colours out of a line, and put its greeting into Korean."""
    text = _OWN_TIME.sub("", _COLOUR.sub("", record.getMessage()))
    if addresses := _ADDRESS.findall(text):
        text = f"{', '.join(addresses)} 에서 접속을 받습니다 (개발용 서버). 끝내려면 Ctrl+C를 누르세요."
    record.msg, record.args = text, ()
    return text != "Press CTRL+C to quit"
