"""``make bench``: rates beside a null handler and a bare server, in the same run.

The load comes from load_generator.c, so that the generator's own cost is small, and
sends a different body with each call. Every figure is the median of alternating rounds.
Writes build/bench.json. Machines are noisy: compare ratios, not rates.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from tests.bench.bodies import WORKS, write_bodies

HERE = Path(__file__).parent
BUILD = Path("build")
CALLERS = (1, 8, 64)
# More bodies than any server here answers in a round.
BODIES = {"tokenize_sealed": 30_000}
BODIES_ELSE = 60_000
CONNECTIONS = 8


def compile_generator():
    BUILD.mkdir(exist_ok=True)
    program = BUILD / "load_generator"
    source = HERE / "load_generator.c"
    subprocess.run(["cc", "-O2", "-o", str(program), str(source)], check=True)
    return program


@contextmanager
def server(kind, folder):
    command = [sys.executable, "-m", "tests.bench.server", kind, str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        facts = json.loads(process.stdout.readline())
        yield facts | {"pid": process.pid}
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def load(program, port, path, bodies, callers, seconds):
    connections = min(callers, CONNECTIONS)
    streams = callers // connections
    done = subprocess.run(
        [
            str(program),
            str(port),
            path,
            str(bodies),
            str(connections),
            str(streams),
            "0.5",
            str(seconds),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    result = json.loads(done.stdout)
    if result["bad"]:
        raise SystemExit(f"{result['bad']} calls failed: the figures mean nothing")
    return result


def resident_mb(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return round(int(line.split()[1]) / 1024, 1)
    return 0.0


def measure(program, scratch, work, callers, rounds, seconds):
    """Returns one row: the gateway, the null handler and the bare server in turn."""
    runs = {"gateway": [], "null": [], "bare": []}
    resident = 0.0
    folder = scratch / f"{work}-{callers}"
    for number in range(rounds):
        place = folder / str(number)
        place.mkdir(parents=True)
        for kind, results in runs.items():
            with server(kind, place) as facts:
                doing = work if kind == "gateway" else "get"
                known = facts if kind == "gateway" else {"tokens": ["card_x"]}
                bodies = place / f"{kind}.frames"
                count = BODIES.get(doing, BODIES_ELSE)
                path = write_bodies(bodies, doing, count, known)
                port = facts["port"]
                result = load(program, port, path, bodies, callers, seconds)
                results.append(result)
                if kind == "gateway":
                    resident = max(resident, resident_mb(facts["pid"]))
        shutil.rmtree(place)

    def middle(kind, name):
        return round(median(run[name] for run in runs[kind]), 3)

    rate, null_rate = middle("gateway", "rate"), middle("null", "rate")
    return {
        "work": work,
        "engine": "sqlite",
        "processes": 1,
        "callers": callers,
        "tls": False,
        "rate": rate,
        "null_rate": null_rate,
        "bare_rate": middle("bare", "rate"),
        "ratio": round(rate / null_rate, 3),
        "p50_ms": middle("gateway", "p50_ms"),
        "p99_ms": middle("gateway", "p99_ms"),
        "rss_mb": resident,
    }


def show(rows):
    table = Table(title="one process, SQLite, durable and audited, plaintext loopback")
    for name in rows[0]:
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(*(str(value) for value in row.values()))
    Console(width=140).print(table)


def main():
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--work", choices=[*WORKS], action="append")
    parser.add_argument("--callers", type=int, action="append")
    chosen = parser.parse_args()
    program = compile_generator()
    rows = []
    with tempfile.TemporaryDirectory(prefix="bailee-bench-") as scratch:
        for work in chosen.work or WORKS:
            for callers in chosen.callers or CALLERS:
                row = measure(
                    program,
                    Path(scratch),
                    work,
                    callers,
                    chosen.rounds,
                    chosen.seconds,
                )
                rows.append(row)
                print(json.dumps(row), flush=True)
    (BUILD / "bench.json").write_text(json.dumps(rows, indent=2) + "\n")
    show(rows)


if __name__ == "__main__":
    main()
