"""How fast the log is: verifying, proving, appending, at a thousand and a million.

    python -m tests.bench.log [ENTRIES]

Writes build/bench-log.json. Marks, for one core: 200,000 entries verified a second in
300 MB at most, an inclusion proof in 1 ms, and an append that costs the same (1.15
times at most) in a log of a million as in one of a thousand.
"""

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

from gateway.audit.checkpoint import origin_of, verifier_key
from gateway.audit.entry import Entry, EntryType
from gateway.audit.export import write_export
from gateway.audit.verify import verify_export
from gateway.storage.connection import connect_sqlite, open_writer
from gateway.storage.log_rows import Scope
from gateway.storage.log_store import StoredLog, prove
from gateway.storage.log_writer import LogWriter, Notary
from gateway.storage.schema import migrate
from gateway.words.money import Money
from gateway.words.purposes import Purpose
from tests.builders.logs import BUILD
from tests.builders.storage import NOW, SHOP, VAULT, a_signer

ROOT = Path(__file__).parents[2]
SMALL = 1_000
LARGE = 1_000_000
CHUNK = 10_000
APPENDS, PROOFS = 300, 300


class Bench:
    """One log that grows, written as a gateway writes it: units in transactions."""

    def __init__(self, folder):
        path = folder / "bailee.db"
        migrate(path)
        self.connection = open_writer(path, connect_sqlite)
        self.connection.execute("INSERT INTO scopes VALUES (2, 'shop', 1)")
        self.notary = Notary(a_signer())
        self.scope = Scope(SHOP, 2, 1)
        self.writer = LogWriter(
            self.connection, notary=self.notary, vault_id=VAULT, build=BUILD
        )
        self.size = 0

    def append(self, number):
        """Appends entries in one transaction and signs one receipt."""
        self.connection.execute("BEGIN IMMEDIATE")
        self.writer.begin()
        for _ in range(number):
            appended = self.writer.append(self.scope, an_entry(self.size))
            self.size += 1
        self.writer.insert()
        self.connection.execute("COMMIT")
        self.writer.committed()
        appended.receipt()

    def grow_to(self, size):
        while self.size < size:
            self.append(min(CHUNK, size - self.size))

    def append_milliseconds(self):
        """Median time of one durable use: two entries in a commit each, signed."""
        return statistics.median(timed(lambda: self.append(1)) for _ in range(APPENDS))

    def proof_milliseconds(self):
        head = self.writer.committed_head(self.scope)
        log = self.stored()
        places = (place * self.size // PROOFS for place in range(PROOFS))
        return statistics.median(
            timed(lambda place=place: prove(log._rows, head, self.notary, place))
            for place in places
        )

    def stored(self):
        origin = origin_of(VAULT, SHOP, 1)
        return StoredLog(self.connection, self.scope, origin=origin, notary=self.notary)


def an_entry(number):
    return Entry(
        type=EntryType.USE_INTENT,
        merchant=SHOP,
        at=NOW + timedelta(seconds=number),
        caller="spiffe://vault.example/caller/billing",
        request_id="6f2c1d4e-8a3b-4c5d-9e7f-0a1b2c3d4e5f",
        action="charge",
        purpose=Purpose.RECURRING,
        policy_version=1,
        policy_sha256="ab" * 32,
        payment="pay_bcdfghjklmnpqrstvwxzbcdfghjklmn",
        processor_account="stripe-live",
        environment="live",
        amount=Money(number, "EUR"),
        card="card_bcdfghjklmnpqrstvwxzbcdfghjklmn",
        card_salt=number.to_bytes(16, "big"),
    )


def timed(call):
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1000


def verify(folder, size, tool):
    """Verifies an export in a process of its own; returns (entries a second, MB)."""
    command = [sys.executable, "-m", "tests.bench.log", f"--{tool}", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    seconds, megabytes = map(float, done.stdout.split())
    return round(size / seconds), round(megabytes)


def verify_here(folder, tool):
    """Prints the CPU time and the largest memory of one verification."""
    key = a_signer().public_key
    origin = origin_of(VAULT, SHOP, 1)
    began = time.process_time()
    if tool == "client":
        from bailee.audit.keys import VerifierKey
        from bailee.audit.sources import ExportSource
        from bailee.audit.watch import verify as verify_as_stranger

        verify_as_stranger(ExportSource(folder), VerifierKey(origin, key))
    else:
        verify_export(folder, origin=origin, public_key=key)
    seconds = time.process_time() - began
    # Not getrusage: what it tells begins with the process that started this one.
    [peak] = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    print(seconds, int(peak) / 1024)


def main():
    if sys.argv[1:2] and sys.argv[1].startswith("--"):
        verify_here(Path(sys.argv[2]), sys.argv[1].removeprefix("--"))
        return
    large = int(sys.argv[1]) if sys.argv[1:] else LARGE
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as scratch:
        folder = Path(scratch)
        bench = Bench(folder)
        bench.grow_to(SMALL)
        at_small = bench.append_milliseconds()
        began = time.perf_counter()
        bench.grow_to(large)
        grown = time.perf_counter() - began
        at_large = bench.append_milliseconds()
        proof = bench.proof_milliseconds()
        export = folder / "export"
        origin = origin_of(VAULT, SHOP, 1)
        key = a_signer().public_key
        write_export(export, bench.stored(), origin=origin, public_key=key)
        rate, memory = verify(export, bench.size, "gateway")
        client_rate, client_memory = verify(export, bench.size, "client")
        results = {
            "entries": bench.size,
            "verifier_key": verifier_key(origin, key),
            "appended_per_second_in_large_commits": round(large / grown),
            f"append_ms_at_{SMALL}": round(at_small, 3),
            f"append_ms_at_{large}": round(at_large, 3),
            "append_ratio": round(at_large / at_small, 3),
            "inclusion_proof_ms": round(proof, 3),
            "verified_per_cpu_second": rate,
            "verify_megabytes": memory,
            "client_verified_per_cpu_second": client_rate,
            "client_verify_megabytes": client_memory,
        }
    (ROOT / "build").mkdir(exist_ok=True)
    (ROOT / "build" / "bench-log.json").write_text(json.dumps(results, indent=2))
    for name, value in results.items():
        print(f"{name:40} {value}")


if __name__ == "__main__":
    main()
