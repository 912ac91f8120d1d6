"""Talks to the operator: prints lines, asks a question, shows a progress bar."""

import sys
import termios
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from tqdm import tqdm

from logs import printable

RULE = "=" * 50
ROW_LINES_UP_TO = 50
DIFFERENCES_SHOWN = 50


class Console:
    """Prints to standard output; a progress bar goes to the terminal, if there is one."""

    def __init__(self, *, verbose: bool) -> None:
        self._verbose = verbose
        self._bar: Any = None
        self._rows_shown = True
        self.on_terminal = sys.stdin.isatty() and sys.stdout.isatty()
        """Whether a person sees the output and can answer."""

    def line(self, text: str) -> None:
        if self._bar is not None:
            self._bar.clear()
        print(printable(text), flush=True)  # noqa: T201 - for the operator's terminal

    def lines(self, texts: Iterable[str]) -> None:
        for text in texts:
            self.line(text)

    def ask(self, question: str) -> bool:
        """Ask on the terminal; return whether the answer is yes. Discards what was typed before."""
        termios.tcflush(sys.stdin, termios.TCIFLUSH)
        try:
            return input(f"{question} [y/N] ").strip().lower() in ("y", "yes", "예", "네")
        except EOFError:
            self.line("")
            return False

    def row(self, text: str) -> None:
        """Print the line of one row, or only advance the bar if there are too many rows to read."""
        if self._rows_shown:
            self.line(text)
        if self._bar is not None:
            self._bar.update()

    @contextmanager
    def rows(self, count: int) -> Iterator[None]:
        """Let calls of `row` within the block print lines, or advance a bar if there are too many rows."""
        self._rows_shown = self._verbose or count <= ROW_LINES_UP_TO
        if not self._rows_shown:
            self._bar = tqdm(total=count, unit="행", leave=False, disable=None)
        try:
            yield
        finally:
            if self._bar is not None:
                self._bar.close()
            self._bar, self._rows_shown = None, True


def say_problem(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - for the operator's terminal
