"""`flask tables new-epoch` after a restore: rights that the tables no longer have end on every server."""

from accounts.company import Company
from api_client import Client
from config import Settings
from people import Account, Membership, Session
from running import BIN, Server, embedded, run, running_server, wait_for
from store import account_rows
from store.dynamo_client import DynamoClient

NEW_EPOCH = [str(BIN / "flask"), "tables", "new-epoch"]


def test_rights_that_the_restored_tables_do_not_have_end_on_every_server(tmp_path):
    settings = embedded(tmp_path / "data", AUTH="on")
    with (
        running_server(tmp_path, "eventlet", settings) as one,
        running_server(tmp_path, "gevent", settings) as two,
    ):
        company = Company(one)
        department = company.department()
        stays, loses = (company.person(department, "writer") for _ in range(2))
        comes_later = company.person(department, "writer")
        clients = {
            (person.account_id, server.url): Client(server.url, **person.handshake)
            for person in (stays, loses, comes_later)
            for server in (one, two)
        }
        for client in clients.values():
            client.join(department)

        restore(one, Membership, Membership.id_of(department, loses.account_id))
        session_id = comes_later.cookies["session"].split(".")[0]
        restore(one, Session, session_id)
        restore(one, Account, comes_later.account_id)
        done = run(NEW_EPOCH, **settings)
        assert done.returncode == 0, done.stderr

        for server in (one, two):
            gone = clients[comes_later.account_id, server.url]
            wait_for(lambda gone=gone: not gone.sio.connected, 30, "the end of a connection")
            told = clients[loses.account_id, server.url].wait("access_changed", seconds=30)
            assert told[-1]["role"] == ""
            clients[stays.account_id, server.url].wait("sync_response", seconds=30)  # of the new epoch
        event = stays(
            "POST", f"/api/events/{department}", {"title": "회의", "event_date": "2026-11-22"}, status=201
        )
        company.department(visibility="company")
        for server in (one, two):
            heard = clients[stays.account_id, server.url]
            assert heard.wait("event_created", seconds=30)[0]["id"] == event["event"]["id"]
            deaf = clients[loses.account_id, server.url]
            wait_for(lambda deaf=deaf: len(deaf.of("access_changed")) > 1, 30, "the visibility")
            assert deaf.of("event_created") == []
            for person, status in ((stays, 200), (loses, 404), (comes_later, 401)):
                person.url = server.url
                assert person.send("GET", f"/api/events/{department}").status_code == status
        for client in clients.values():
            client.close()


def restore(server: Server, kind: type, id: str) -> None:
    """Let the table not have a record, as a backup that is older than it does."""
    folder = server.log_file.parent / "data"
    settings = Settings(auth=True, dynamodb_endpoint_url="embedded", embedded_data_dir=folder)
    key = account_rows.record_key(kind.kind, id)
    DynamoClient(settings).call("delete_item", TableName=settings.accounts_table, Key=key)
