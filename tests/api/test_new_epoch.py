"""`flask tables new-epoch` beside a server that runs."""

from api_client import Api, Client
from running import BIN, embedded, run, running_server

NEW_EPOCH = [str(BIN / "flask"), "tables", "new-epoch"]


def test_every_client_fetches_everything_once_after_a_new_epoch(tmp_path):
    settings = embedded(tmp_path / "data")
    with running_server(tmp_path, "flask", settings) as server:
        api = Api(server.url)
        department, other = api.department()["id"], api.department()["id"]
        event = api.event(department)
        listed = api("GET", f"/api/events/{department}")
        token = listed["sync_token"]
        etag = api.session.get(f"{server.url}/api/events/{department}", timeout=20).headers["ETag"]
        client = Client(server.url)
        try:
            client.join(department)

            done = run(NEW_EPOCH, **settings)

            assert done.returncode == 0, done.stderr
            assert "✓ 새 epoch를 준 변경 기록: 3개." in done.stdout
            gone = api("GET", f"/api/events/{department}/changes?since={token}", status=410)
            assert gone["error"] == "sync_token_expired"
            conditional = {"If-None-Match": etag}
            assert api("GET", f"/api/events/{department}", headers=conditional)["events"] == [event]
            [pushed] = client.wait("sync_response")
            assert pushed["full"]
            assert pushed["events"] == [event]
            fresh = api.token(department)
            assert pushed["sync_token"] == fresh != token

            late = client.ask("sync_request", {"department_id": department, "sync_token": token})
            assert late["full"]
            later = api.event(department, "나중")
            assert later["revision"] == event["revision"] + 1
            [seen] = client.wait("event_created")
            assert seen["id"] == later["id"]
            after = api("GET", f"/api/events/{department}/changes?since={fresh}")
            assert [change["event"]["id"] for change in after["changes"]] == [later["id"]]
            api.event(other)
            api.department("새 부서")
            assert client.wait("department_created")[0]["name"] == "새 부서"
        finally:
            client.close()


def test_a_missing_table_is_one_sentence(tmp_path):
    done = run(NEW_EPOCH, **embedded(tmp_path / "data"))
    assert done.returncode == 1
    assert done.stderr.startswith("Error: 테이블 'departments'가 없습니다.\n"), done.stderr
