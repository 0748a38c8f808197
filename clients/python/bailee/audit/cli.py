"""The ``bailee-audit`` command.

Exit codes: 0, everything fits; 1, there are findings; 2, the log could not be checked.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from bailee.audit.entries import EntryInvalid
from bailee.audit.journal import JournalBroken
from bailee.audit.keys import VerifierKey, read_verifier_key
from bailee.audit.sources import ExportSource, GatewaySource, Source, SourceBroken
from bailee.audit.store import Store, StoreInvalid
from bailee.audit.watch import Report, Watcher, verify
from bailee.audit.witness import WitnessKey
from bailee.bundle import Bundle
from bailee.errors import BaileeError, ReceiptInvalid

OK: Final = 0
FINDINGS: Final = 1
NOT_CHECKED: Final = 2

_STORE: Final = "watch.db"
_KEY: Final = "verifier-key.txt"
_COSIGNED: Final = "cosigned-checkpoint"
_WITNESS_KEY: Final = "witness-key"
_CANNOT: Final = (
    BaileeError,
    JournalBroken,
    SourceBroken,
    StoreInvalid,
    OSError,
    ValueError,
)


def _now() -> datetime:
    return datetime.now(UTC)


def main(
    arguments: Sequence[str] | None = None, *, clock: Callable[[], datetime] = _now
) -> int:
    """Runs the command and returns its exit code."""
    options = _parser().parse_args(arguments)
    options.clock = clock
    try:
        code: int = options.run(options)
    except _CANNOT as error:
        print(f"bailee-audit: {error}", file=sys.stderr)
        return NOT_CHECKED
    return code


def run() -> None:
    """Runs the command and ends the process."""
    sys.exit(main())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bailee-audit",
        description="Check the audit log of a Bailee gateway with its public key "
        "alone. The key must come from somebody you trust, not with the log.",
        epilog="Exit codes: 0 everything fits, 1 there are findings, 2 the log could "
        "not be checked.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_verify(commands)
    _add_watch(commands)
    _add_findings(commands)
    return parser


def _add_verify(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
) -> None:
    command = commands.add_parser(
        "verify",
        help="check every entry of an export, once",
        description="Check every entry of an export: hashed, compared with the signed "
        "root, read. One look cannot tell what was left out or rewritten before it: "
        "`watch` can.",
    )
    command.add_argument(
        "export", type=Path, metavar="EXPORT", help="a folder of tiles"
    )
    _add_key(command)
    command.set_defaults(run=_verify)


def _add_watch(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = commands.add_parser(
        "watch",
        help="look at a log, remember it, and compare it with what you asked for",
        description="Look at a log, remember what was seen, and say what does not fit: "
        "a log that was rewritten, uses that nobody asked for, a policy that holds "
        "before its 30 days are over.",
    )
    _add_state(command)
    command.add_argument(
        "--bundle",
        type=Path,
        metavar="DIR",
        help="watch a gateway, as the caller of this bundle (role auditor or read)",
    )
    command.add_argument(
        "--export", type=Path, metavar="DIR", help="watch a folder of tiles instead"
    )
    _add_key(command)
    command.add_argument(
        "--journal",
        type=Path,
        metavar="FILE",
        help="your request journal (bailee.audit.journal.RequestJournal writes it); "
        "without it uses are not matched",
    )
    command.add_argument(
        "--witness",
        metavar="NAME",
        help="cosign the checkpoint under this name, as a C2SP witness; the key is "
        f"made in the state folder, and {_COSIGNED} is written there",
    )
    command.add_argument(
        "--every",
        type=float,
        metavar="SECONDS",
        help="look again and again, until there is a finding",
    )
    command.add_argument(
        "--grace",
        type=float,
        default=300.0,
        metavar="SECONDS",
        help="how long an entry may wait for its line of the journal [300]",
    )
    command.set_defaults(run=_watch)


def _add_findings(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
) -> None:
    command = commands.add_parser(
        "findings",
        help="list what was found and not acknowledged",
        description="List what was found. `watch` exits with 1 until a person has "
        "acknowledged every finding.",
    )
    _add_state(command)
    _add_key(command)
    command.add_argument("--bundle", type=Path, metavar="DIR", help="names the log")
    command.add_argument(
        "--acknowledge", action="store_true", help="mark every finding as known"
    )
    command.set_defaults(run=_findings)


def _add_key(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--key",
        metavar="KEY",
        help="the log's verifier key (name+id+key), or a file that holds it",
    )


def _add_state(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--state",
        type=Path,
        required=True,
        metavar="DIR",
        help="the watcher's memory; made if it does not exist. Whoever runs the "
        "gateway must not be able to write there",
    )


def _verify(options: argparse.Namespace) -> int:
    if not options.key:
        raise ValueError(
            f"name the log's key with --key. The export may hold a {_KEY}: use it only "
            "after comparing it with the one that you were given"
        )
    key = _read_key(options.key)
    try:
        signed, size = verify(ExportSource(options.export), key)
    except (SourceBroken, ReceiptInvalid, EntryInvalid) as error:
        print(f"NOT the log that was signed: {error}")
        return FINDINGS
    print(f"ok: {size} entries of {key.name}")
    print(f"    root {signed.root.hex()}")
    return OK


def _watch(options: argparse.Namespace) -> int:
    options.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    key, source = _open_source(options)
    store = Store(options.state / _STORE, origin=key.name)
    witness = None
    if options.witness:
        witness = WitnessKey.open(options.state / _WITNESS_KEY, options.witness)
    watcher = Watcher(
        key=key,
        source=source,
        store=store,
        journal=options.journal,
        witness=witness,
        grace=timedelta(seconds=options.grace),
    )
    try:
        while True:
            report = watcher.look(options.clock())
            if report.cosigned:
                (options.state / _COSIGNED).write_text(report.cosigned, "utf-8")
            code = _show(report, store, key)
            if code or options.every is None:
                return code
            time.sleep(options.every)
    finally:
        store.close()


def _show(report: Report, store: Store, key: VerifierKey) -> int:
    """Prints what a look found, and what was found before and stands."""
    for finding in report.findings:
        print(finding.show())
    standing = len(store.findings())
    if standing:
        print(f"{standing} findings stand; `bailee-audit findings` lists them")
        return FINDINGS
    print(
        f"ok: {report.size} entries of {key.name}, {report.new_entries} of them new",
        flush=True,
    )
    return OK


def _findings(options: argparse.Namespace) -> int:
    key = _key_of(options)
    store = Store(options.state / _STORE, origin=key.name)
    try:
        standing = store.findings()
        for number, finding, found_at in standing:
            print(f"{number}. {found_at[:19]} {finding.show()}")
        if options.acknowledge:
            print(f"acknowledged {store.acknowledge()} findings")
            return OK
        return FINDINGS if standing else OK
    finally:
        store.close()


def _open_source(options: argparse.Namespace) -> tuple[VerifierKey, Source]:
    key = _key_of(options)
    if options.export is not None:
        return key, ExportSource(options.export)
    if options.bundle is None:
        raise ValueError("name a gateway with --bundle, or a folder with --export")
    return key, GatewaySource(Bundle.read(options.bundle))


def _key_of(options: argparse.Namespace) -> VerifierKey:
    if options.key:
        return _read_key(options.key)
    if options.bundle is None:
        raise ValueError("name the log's key with --key, or the bundle that pins it")
    bundle = Bundle.read(options.bundle)
    return VerifierKey(bundle.log_origin, bundle.log_key)


def _read_key(text: str) -> VerifierKey:
    if "+" not in text or Path(text).is_file():
        text = Path(text).read_text("utf-8")
    return read_verifier_key(text)


if __name__ == "__main__":
    run()
