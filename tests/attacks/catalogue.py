"""Every attack by its name. `python -m attacks.catalogue NAME TARGET` carries one out, `TARGET` as JSON."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass

from attacks import connections, files, frames, messages, requests_of_rest, strangers
from attacks.wire import Target


@dataclass(frozen=True, kw_only=True)
class Attack:
    """What an attack does, and what the server and the store need before it."""

    run: Callable[[Target], None]
    needs: tuple[str, ...] = ()
    """Kinds of departments beside the neighbour's."""
    warms: bool = False
    """Whether the server has loaded these departments before, so that their memory is not the attack's."""
    files: tuple[int, int] | None = None
    """The soft and hard limit of open files with which the server is started."""
    accounts: bool = False
    """Whether the server has accounts (`AUTH=on`), and its neighbour one of them."""
    keeps_mb: int = 0
    """Memory that the server may keep afterwards: the snapshot of a department, which has a budget."""


SNAPSHOT_MB = 64
"""The memory that one department's snapshot may take: a quarter of the default budget."""

ATTACKS: dict[str, Attack] = {
    "no attack": Attack(run=lambda target: target.hold()),
    "1,100 idle connections": Attack(run=connections.idle_connections),
    "1,100 idle connections, soft limit 1,024": Attack(
        run=connections.idle_connections, files=(1_024, 4_096)
    ),
    "1,100 idle connections, hard limit 1,024": Attack(
        run=connections.idle_connections, files=(1_024, 1_024)
    ),
    "200 slow heads": Attack(run=connections.slow_heads),
    "200 slow bodies": Attack(run=connections.slow_bodies),
    "30 lists of 50,000 events unread": Attack(run=connections.unread_answers, needs=("large",), warms=True),
    "pipelined requests": Attack(run=connections.pipelined_requests),
    "bodies that nobody reads": Attack(run=connections.bodies_that_nobody_reads),
    "chunks of one byte": Attack(run=connections.chunks_of_one_byte),
    "a chunk extension without end": Attack(run=connections.endless_chunk_extension),
    "a trailer without end": Attack(run=connections.endless_trailer),
    "handshakes without CONNECT, WebSocket": Attack(run=connections.handshakes_by_websocket),
    "handshakes without CONNECT, polling": Attack(run=connections.handshakes_by_polling),
    "Engine.IO pongs without pause": Attack(run=frames.pongs_of_engineio),
    "Engine.IO pings without pause": Attack(run=frames.pings_of_engineio),
    "WebSocket pings without pause": Attack(run=frames.pings_of_websocket),
    "unknown packets without pause": Attack(run=frames.unknown_packets),
    "unknown messages without pause": Attack(run=frames.unknown_messages),
    "empty fragments without end": Attack(run=frames.empty_fragments),
    "messages of 1 MB": Attack(run=frames.large_messages),
    "999,999,999 attachments": Attack(run=frames.attachments),
    "joins without pause": Attack(run=messages.joins),
    "sync_requests without pause": Attack(run=messages.syncs),
    "POSTs of 800 packets": Attack(run=messages.posts_of_many_packets),
    "120 full syncs unread, WebSocket": Attack(
        run=messages.unread_syncs_by_websocket, needs=("large",), warms=True
    ),
    "120 full syncs unread, polling": Attack(
        run=messages.unread_syncs_by_polling, needs=("large",), warms=True
    ),
    "pings while an answer is unread": Attack(run=messages.pings_while_unread, needs=("large",), warms=True),
    "1,000 clients that read nothing": Attack(
        run=messages.many_clients_that_read_nothing, needs=("medium",), warms=True
    ),
    "200 edits and an unread sync per client": Attack(
        run=messages.unread_syncs_of_many_states, needs=("large",), warms=True
    ),
    "If-Match of 32 KB": Attack(run=requests_of_rest.one_if_match),
    "If-Match in 90 lines": Attack(run=requests_of_rest.ninety_if_matches),
    "Accept of 700 KB": Attack(run=requests_of_rest.accept),
    "bodies of 90,000 unknown fields": Attack(run=requests_of_rest.unknown_fields),
    "bodies of 1 MB of text": Attack(run=requests_of_rest.long_texts),
    "pages of 3,000 long texts": Attack(run=requests_of_rest.pages_of_long_texts, needs=("long",)),
    "pages of a crowded day": Attack(run=requests_of_rest.pages_of_a_crowded_day, needs=("crowded",)),
    "ten searches of 3,000 long texts": Attack(run=requests_of_rest.searches_of_long_texts, needs=("long",)),
    "first load of 50,000 events": Attack(
        run=requests_of_rest.first_load, needs=("large",), keeps_mb=SNAPSHOT_MB
    ),
    "lists of 50,000 events after edits": Attack(
        run=requests_of_rest.lists_after_edits, needs=("large",), warms=True
    ),
    "eight clients with full syncs": Attack(run=requests_of_rest.full_syncs, needs=("large",), warms=True),
    "searches of 50,000 events": Attack(run=requests_of_rest.searches, needs=("large",), warms=True),
    "half-open handshakes of strangers, WebSocket": Attack(
        run=connections.handshakes_by_websocket, accounts=True
    ),
    "half-open handshakes of strangers, polling": Attack(
        run=connections.handshakes_by_polling, accounts=True
    ),
    "sign-ins without pause": Attack(run=strangers.sign_ins, accounts=True),
    "invented tokens without pause": Attack(run=strangers.invented_tokens, accounts=True),
    "invented tokens in CONNECT": Attack(run=strangers.invented_tokens_in_connect, accounts=True),
    "trials of files of 9 MB": Attack(run=files.trials_of_large_files, needs=("medium",), warms=True),
    "imports that change 1,900 events": Attack(
        run=files.imports_that_change_everything, needs=("medium",), warms=True
    ),
    "files of one line": Attack(run=files.files_of_one_line, needs=("medium",), warms=True),
    "rules that never occur": Attack(run=files.rules_that_never_occur, needs=("medium",), warms=True),
    "files of 50,000 events after edits": Attack(run=files.files_after_edits, needs=("large",), warms=True),
    "occurrences of 400 days after edits": Attack(
        run=files.expansions_after_edits, needs=("medium",), warms=True
    ),
    "deletion of 50,000 events": Attack(run=requests_of_rest.deletion, needs=("doomed",), warms=True),
}


if __name__ == "__main__":
    ATTACKS[sys.argv[1]].run(Target(**json.loads(sys.argv[2])))
