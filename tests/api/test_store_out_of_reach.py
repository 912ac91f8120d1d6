"""A store that refuses, hangs or is missing: answers stay within ten seconds, and the server recovers."""

import os
import shutil
import signal
import socket
import threading
import time

import pytest

from api_client import Api
from aws_client import KEYS
from running import CREATE_TABLES, engine_pids, is_alive, is_engine, is_ready, run, running_server, wait_for


def test_a_store_that_was_out_of_reach_at_start_has_its_first_administrator_all_the_same(tmp_path, engine):
    names = {
        f"{name.upper()}_TABLE": f"late-{name}" for name in ("departments", "events", "changes", "accounts")
    }
    run(CREATE_TABLES, DYNAMODB_ENDPOINT_URL=engine.url, AUTH="on", **names, **KEYS)
    with StorePort(engine.url, "refuses") as port:
        settings = {"DYNAMODB_ENDPOINT_URL": port.url, "AUTH": "on", **names, **KEYS}
        with running_server(tmp_path, "eventlet", settings, ready=False) as server:
            wait_for(lambda: is_alive(server.url), 30)
            assert "/setup#" not in server.log
            port.open()
            wait_for(lambda: "/setup#" in server.log, 30)


@pytest.mark.parametrize("failure", ["refuses", "hangs"])
def test_a_store_out_of_reach_is_a_503_within_ten_seconds_until_it_is_back(tmp_path, engine, failure):
    """The store's port first refuses or swallows connections; then the real store answers on it."""
    run(CREATE_TABLES, DYNAMODB_ENDPOINT_URL=engine.url, **KEYS)
    with StorePort(engine.url, failure) as port:
        settings = {"DYNAMODB_ENDPOINT_URL": port.url, **KEYS}
        with running_server(tmp_path, "eventlet", settings, ready=False) as server:
            wait_for(lambda: is_alive(server.url), 30)
            api = Api(server.url)
            for method, path, body in (
                ("GET", "/readyz", None),
                ("POST", "/api/departments", {"name": "개발팀"}),
            ):
                begun = time.monotonic()
                assert api(method, path, body, status=503)["error"] == "store_unavailable"
                assert time.monotonic() - begun < 10  # the promise of the contract
            assert api("GET", "/healthz")
            port.open()
            wait_for(lambda: is_ready(server), 30)
            wait_for(lambda: "다른 도구가 쓴 부서 0개를 새로 등록했습니다" in server.log, 30)


def test_an_embedded_engine_that_hangs_is_a_503_within_ten_seconds(tmp_path, settings):
    with running_server(tmp_path, "eventlet", settings) as server:
        department = Api(server.url).department()["id"]
        engines = [pid for pid in engine_pids(tmp_path / "data") if is_engine(pid)]
        for pid in engines:
            os.kill(pid, signal.SIGSTOP)
        try:
            assert engines
            begun = time.monotonic()
            body = {"event_date": "2024-01-20", "title": "회의"}
            refusal = Api(server.url)("POST", f"/api/events/{department}", body, status=503)
            assert refusal["error"] == "store_unavailable"
            assert time.monotonic() - begun < 10  # the promise of the contract
        finally:
            for pid in engines:
                os.kill(pid, signal.SIGCONT)
        wait_for(lambda: is_ready(server), 30)


@pytest.mark.parametrize("mode", ["eventlet", "gevent", "flask"])
def test_a_server_whose_store_was_deleted_is_not_ready_and_refuses_writes_until_it_starts_again(
    tmp_path, settings, mode
):
    with running_server(tmp_path, mode, settings) as server:
        api = Api(server.url)
        department = api.department()["id"]
        event = api.event(department)
        shutil.rmtree(tmp_path / "data")
        for method, path, body in (
            ("GET", "/readyz", None),
            ("POST", "/api/departments", {"name": "총무팀"}),
            ("POST", f"/api/events/{department}", {"event_date": "2024-01-20", "title": "회의"}),
            ("DELETE", f"/api/events/{event['id']}", None),
        ):
            refusal = api(method, path, body, status=503)
            assert refusal["error"] == "store_unavailable"
            assert (
                refusal["message"] == "저장소의 파일이 지워져 저장할 수 없습니다. 서버 운영자에게 알리세요."
            )
        assert api.events(department) == [event]
        assert server.log.count("백업한 파일을 두고 다시 실행하세요") == 1
        assert "Traceback" not in server.log
    with running_server(tmp_path, mode, settings) as server:
        assert Api(server.url)("GET", "/api/departments")["departments"] == []
        Api(server.url).department()


class StorePort:
    """A TCP port in front of the store: refusing or swallowing first, passing everything once open."""

    def __init__(self, target: str, failure: str) -> None:
        self._target = ("127.0.0.1", int(target.rsplit(":", 1)[1]))
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._opened = False
        self._held: list[socket.socket] = []
        if failure == "hangs":
            self._listener.listen(64)
            self._serve()

    def open(self) -> None:
        self._opened = True
        if not self._held:
            self._listener.listen(64)
            self._serve()

    def _serve(self) -> None:
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._held.append(client)
            if self._opened:
                store = socket.create_connection(self._target)
                self._held.append(store)
                for source, sink in ((client, store), (store, client)):
                    threading.Thread(target=self._pass, args=(source, sink), daemon=True).start()

    @staticmethod
    def _pass(source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65_536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            return

    def __enter__(self) -> "StorePort":
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR) if self._held else None
        for one in (self._listener, *self._held):
            one.close()
