"""Settings of gunicorn, which reads this file when it is started in this folder."""

import resource
import signal
import sys
import warnings
from pathlib import Path
from types import FrameType
from typing import Any

import gunicorn.glogging
import gunicorn.util
import gunicorn.workers

sys.path.insert(0, str(Path(__file__).parent))  # gunicorn adds this folder only later

from errors import http_failure
from failure_answers import failure_answer
from logs import Formatter

# The default, `sync`, serves one connection at a time: a single WebSocket would block all other clients.
worker_class = "eventlet"
gunicorn.workers.SUPPORTED_WORKERS |= {
    "eventlet": "workers.eventlet_worker.EventletWorker",
    "gevent": "workers.gevent_worker.GeventWorker",
}

OTHER_FILES = 200
"""File descriptors that are for no client: connections to the store and to Redis, listeners, logs."""
FEW_CONNECTIONS = 1_000


def connections_within(file_limit: int) -> int:
    """Return for how many connections a limit of file descriptors is enough. Each WebSocket is one."""
    wanted = 10_000
    if file_limit == resource.RLIM_INFINITY:
        return wanted
    return min(wanted, max(file_limit - OTHER_FILES, file_limit // 2))


worker_connections = connections_within(resource.getrlimit(resource.RLIMIT_NOFILE)[1])
# Each may have 8 KB. Finding their end takes time that grows with the square of their number: 28 ms for 90.
limit_request_fields = 64
# Seconds. After SIGTERM an open WebSocket could keep the worker alive for as long as this.
graceful_timeout = 5
control_socket_disable = True
accesslog = None

warnings.filterwarnings("ignore", message=r"\s*Eventlet is deprecated")  # its version is pinned


KOREAN = {
    "Worker (pid:%s) exited with code %s.": "워커(pid %s)가 코드 %s로 끝났습니다.",
    "Worker failed to boot.": "워커가 시작하지 못했습니다.",
    "App failed to load.": "앱을 불러오지 못했습니다.",
    "WORKER TIMEOUT (pid:%s)": "워커(pid %s)가 응답하지 않아 다시 시작합니다.",
    "Shutting down: %s": "서버를 끝냅니다: %s",
    "Reason: %s": "이유: %s",
}
"""Translations of what gunicorn logs when something is wrong."""


class Logger(gunicorn.glogging.Logger):  # type: ignore[misc] # no types
    """gunicorn's log in the form of `logs.py`."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        for handler in self.error_log.handlers:
            handler.setFormatter(Formatter())

    def info(self, msg: str, *args: Any, **kwargs: Any) -> None:
        """Log gunicorn's English steps with `--log-level debug` only; `say` is for what operators read."""
        self.debug(msg, *args, **kwargs)

    def warning(self, msg: str, *args: Any, **kwargs: Any) -> None:
        if "eventlet worker is DEPRECATED" not in msg:
            super().warning(msg, *args, **kwargs)

    def error(self, msg: str, *args: Any, **kwargs: Any) -> None:
        super().error(KOREAN.get(msg, msg), *(KOREAN.get(arg, arg) for arg in args), **kwargs)

    def critical(self, msg: str, *args: Any, **kwargs: Any) -> None:
        super().critical(KOREAN.get(msg, msg), *args, **kwargs)

    def say(self, sentence: str) -> None:
        self.error_log.info(sentence)


logger_class = Logger


def on_starting(server: Any) -> None:
    """Refuse, with a sentence, settings with which clients could not work."""
    if server.cfg.workers > 1:
        sys.exit(
            "✗ 한 gunicorn에는 워커(worker)를 하나만 둡니다(-w 1): Socket.IO 세션은 한 프로세스 안에 있어, "
            "여럿이면 클라이언트의 요청이 번번이 400으로 끊깁니다.\n"
            "  → 여러 개가 필요하면 포트를 달리해 gunicorn을 여러 번 실행하고, 클라이언트를 한 서버에 머물게 "
            "하는 nginx나 로드 밸런서를 앞에 두세요. 예: DYNAMODB_SETUP.ko.md의 10. EC2"
        )
    # By name: importing a worker class here would load modules before eventlet patches them.
    kinds = {kind.__name__ for kind in server.cfg.worker_class.__mro__}
    if "SyncWorker" in kinds or ("ThreadWorker" in kinds and server.cfg.threads == 1):
        sys.exit(
            "✗ 이 워커는 연결을 한 번에 하나만 처리해, 클라이언트 하나가 접속하면 서버가 멈춥니다.\n"
            "  → --worker-class 옵션을 빼거나 eventlet, gevent 또는 gthread --threads 100을 쓰세요."
        )
    raise_file_limit(server.cfg.worker_connections)
    if server.cfg.worker_connections < FEW_CONNECTIONS:
        server.log.warning(
            f"클라이언트가 {server.cfg.worker_connections}개까지만 접속할 수 있습니다.\n"
            "  → 열 수 있는 파일 수의 한도(systemd의 LimitNOFILE, ulimit -Hn)를 16384 이상으로 올리세요."
        )


def raise_file_limit(connections: int) -> None:
    """Let this process and its workers open as many files as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    elif soft != hard:  # macOS takes only a number as the soft limit
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, connections + OTHER_FILES), hard))


def when_ready(server: Any) -> None:
    addresses = ", ".join(map(str, server.LISTENERS))
    server.log.say(
        f"{addresses} 에서 접속을 받습니다 ({server.cfg.worker_class_str}). 끝내려면 Ctrl+C를 누르세요."
    )


def post_worker_init(worker: Any) -> None:
    """Disconnect the clients first when the worker is told to stop."""
    stop = signal.getsignal(signal.SIGTERM)

    def stop_gently(number: int, frame: FrameType | None) -> None:
        worker.wsgi.extensions["calendar"].shut_down()
        if callable(stop):
            stop(number, frame)

    signal.signal(signal.SIGTERM, stop_gently)


def on_exit(server: Any) -> None:
    server.log.say("서버가 끝났습니다.")


def write_failure(client: Any, status: int, _reason: str, text: str) -> None:
    """Answer requests that gunicorn refuses itself in the envelope of every other failure."""
    envelope = http_failure(status, {"reason": text} if text else None)
    line, headers, body = failure_answer(status, ("Connection", "close"), envelope=envelope)
    head = "".join(f"{name}: {value}\r\n" for name, value in headers)
    gunicorn.util.write_nonblock(client, f"HTTP/1.1 {line}\r\n{head}\r\n".encode() + body)


gunicorn.util.write_error = write_failure  # gunicorn has no setting for it
