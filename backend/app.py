"""Entry for `flask run` and gunicorn; the parts are put together in `factory.py`."""

import sys

import click

from config import Settings
from errors import SetupError
from factory import create_app
from lifecycle import start

GUNICORN_BOOT_ERROR = 3
"""gunicorn gives up on a worker that exits with this instead of starting it again and again."""

try:
    settings = Settings.from_env()
    app = create_app(settings)
    command = click.get_current_context(silent=True)
    if command is None or command.info_name == "run":  # not `flask tables ...`, which works without tables
        start(app, settings)
except SetupError as error:
    print(error, file=sys.stderr)  # noqa: T201 - for the operator's terminal
    sys.exit(GUNICORN_BOOT_ERROR)
