"""What no attack may do on a machine of any speed; `make attack` has more attacks, and looks at times."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from attacks.catalogue import ATTACKS
from attacks.measuring import GROWTH_MB, measure
from attacks.neighbour import REQUESTS_PER_S, WEBSOCKETS
from attacks.seeds import Seeds
from config import Settings
from running import embedded

SECONDS = 3.0
LARGE = 10_000
IMPORTANT = {
    "eventlet": (
        "1,100 idle connections, soft limit 1,024",
        "pipelined requests",
        "a chunk extension without end",
        "Engine.IO pongs without pause",
        "messages of 1 MB",
        "999,999,999 attachments",
        "120 full syncs unread, WebSocket",
        "half-open handshakes of strangers, WebSocket",
        "sign-ins without pause",
        "trials of files of 9 MB",
        "imports that change 1,900 events",
    ),
    "gevent": (
        "1,100 idle connections, soft limit 1,024",
        "Engine.IO pongs without pause",
        "120 full syncs unread, WebSocket",
        "half-open handshakes of strangers, WebSocket",
        "sign-ins without pause",
    ),
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def seeds(store: Path) -> Iterator[Seeds]:
    return Seeds(Settings(auth=True, dynamodb_endpoint_url="embedded", embedded_data_dir=store), large=LARGE)


@pytest.mark.parametrize(
    ("worker", "name"), [(worker, name) for worker, names in IMPORTANT.items() for name in names]
)
def test_an_attack_holds_up_and_disconnects_nobody_else(tmp_path, store, seeds, worker, name):
    outcome = measure(tmp_path, embedded(store), seeds, worker, name, ATTACKS[name], SECONDS)
    assert outcome.survived, outcome.log
    assert outcome.failures == []
    assert outcome.answered >= SECONDS * REQUESTS_PER_S
    assert outcome.kept == WEBSOCKETS
    assert outcome.lost == 0
    assert outcome.peak - outcome.before < GROWTH_MB
