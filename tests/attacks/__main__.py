"""`make attack`: every attack on the production command, while a quiet neighbour uses the server.

Prints a row for each. Exits with 1 when an attack exceeds a limit: of the 99th percentile and the worst of
the neighbour's answers, or of memory; or when a worker dies, a WebSocket closes, a request fails or an
acknowledged event is lost.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from attacks.catalogue import ATTACKS, Attack
from attacks.measuring import AFTERMATH_MB, GROWTH_MB, Outcome, measure
from attacks.neighbour import WEBSOCKETS
from attacks.seeds import Seeds
from config import Settings
from running import embedded

SECONDS = 8.0
P99_MS = 250
WORST_MS = 1_500
WORKERS = ("eventlet", "gevent")


def broken_limits(outcome: Outcome, attack: Attack) -> list[str]:
    """Return what an attack did that it must not be able to do."""
    told = {
        f"p99 over {P99_MS} ms": outcome.p99 > P99_MS,
        f"worst over {WORST_MS} ms": outcome.worst > WORST_MS,
        f"over {GROWTH_MB} MB more": outcome.peak - outcome.before > GROWTH_MB,
        "memory kept": not outcome.after - outcome.before <= AFTERMATH_MB + attack.keeps_mb,
        f"{len(outcome.failures)} requests failed": bool(outcome.failures),
        "WebSockets closed": outcome.kept < WEBSOCKETS,
        "acknowledged events lost": outcome.lost > 0,
        "worker dead": not outcome.survived,
    }
    return [sentence for sentence, is_broken in told.items() if is_broken]


def row(outcome: Outcome, attack: Attack) -> str:
    broken = broken_limits(outcome, attack)
    return (
        f"{outcome.attack:<42}{outcome.worker:<10}{outcome.p50:>8.0f}{outcome.p99:>8.0f}{outcome.worst:>8.0f}"
        f"{outcome.before:>8.0f}{outcome.peak:>8.0f}{outcome.after:>8.0f}"
        f"{outcome.kept:>8}{'yes' if outcome.survived else 'no':>7}"
        f"   {'FAILS: ' + ', '.join(broken) if broken else 'holds'}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "attacks", nargs="*", metavar="ATTACK", help="words in the names of attacks; default: all"
    )
    parser.add_argument("--worker", choices=WORKERS, action="append", help="default: both")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="length of each attack")
    parser.add_argument("--verbose", action="store_true", help="print failures and the server's log")
    chosen = parser.parse_args()
    failed = 0
    print(f"{'':<52}{'neighbour, ms':^24}{'worker, MB':^24}{'open of':>8}{'worker':>7}")
    print(
        f"{'attack':<42}{'worker':<10}{'p50':>8}{'p99':>8}{'worst':>8}{'before':>8}{'peak':>8}{'after':>8}"
        f"{WEBSOCKETS:>8}{'alive':>7}",
        flush=True,
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        seeds = Seeds(
            Settings(auth=True, dynamodb_endpoint_url="embedded", embedded_data_dir=folder / "data")
        )
        for worker in chosen.worker or WORKERS:
            for title, attack in ATTACKS.items():
                if chosen.attacks and not any(words in title for words in chosen.attacks):
                    continue
                outcome = measure(
                    folder, embedded(folder / "data"), seeds, worker, title, attack, chosen.seconds
                )
                print(row(outcome, attack), flush=True)
                if chosen.verbose:
                    print(*outcome.failures[:5], outcome.log[-3_000:], sep="\n", flush=True)
                failed += bool(broken_limits(outcome, attack))
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
