"""What a dishonest operator can try, and by whose evidence it is found."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final

from bailee.audit.findings import Kind
from bailee.receipts import open_checkpoint
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.audit.leaf import show_time
from gateway.cli.dishonest_log import Case, Shown

_MARKETING: Final = "marketing"


class Evidence(StrEnum):
    """Whose evidence finds it."""

    RECEIPT = "receipt that the platform kept"
    CHECKPOINT = "cosigned checkpoint that a watcher kept"
    TWO_CHECKPOINTS = "cosigned checkpoints of two readers, compared"
    JOURNAL = "platform's request journal"
    CLOCK = "watcher's own clock"
    KEY = "pinned key"
    BOOKS = "processor's records"
    POLICY = "log alone: no policy allows it"
    NOTHING = "not detectable from the log"


def _findings(*kinds: Kind) -> Callable[[Case], list[str]]:
    """Returns a look of the watcher that counts findings of these kinds."""

    def look(case: Case) -> list[str]:
        found = case.look().findings
        return [item.show() for item in found if not kinds or item.kind in kinds]

    return look


def _everybody(case: Case) -> list[str]:
    """The watcher looks, and the merchant compares with the processor's books."""
    return [*_findings()(case), *case.compare_with_books()]


@dataclass(frozen=True, slots=True)
class Attack:
    """One thing to try. ``late``: it is found at the second look."""

    title: str
    do: Callable[[Case], None]
    caught_by: Evidence
    look: Callable[[Case], list[str]]
    why: str = ""
    late: bool = False


def _omit(case: Case) -> None:
    request_id = case.ask()
    before = len(case.shown.leaves)
    case.receive(request_id, case.log_use(request_id))
    del case.shown.leaves[before:]
    for _ in range(2):  # later business fills the log up again
        later = case.ask()
        case.receive(later, case.log_use(later))


def _omit_without_receipt(case: Case) -> None:
    request_id = case.ask()
    answered = {"request_id": request_id, "result": "OK", "at": show_time(case.now)}
    with case.journal.open("a") as stream:
        stream.write(json.dumps({"answered": answered}) + "\n")


def _alter(case: Case) -> None:
    uses = [n for n, leaf in enumerate(case.shown.leaves) if b'"use.intent"' in leaf]
    case.alter(uses[3], amount=999)


def _reorder(case: Case) -> None:
    leaves = case.shown.leaves
    leaves[100], leaves[200] = leaves[200], leaves[100]


def _truncate(case: Case) -> None:
    del case.shown.leaves[-10:]


def _rewrite_from_the_start(case: Case) -> None:
    case.shown.leaves = case.shown.leaves[::2]
    for _ in range(len(case.honest.leaves)):
        case.log_event(type="key.wrapping_created")


def _fork(case: Case) -> None:
    """Nothing yet: the look shows the auditor another log."""


def _compare_two_readers(case: Case) -> list[str]:
    leaves = list(case.shown.leaves)
    leaves[5] = leaves[6]
    other = Shown(case.honest.key, case.honest.sign, leaves)
    auditor = case.newcomer(other)
    mine, theirs = case.look(), auditor.look(case.now)
    if mine.findings or theirs.findings or mine.size != theirs.size:
        return []
    key = case.honest.key
    roots = {
        open_checkpoint(
            shown.checkpoint(), log_origin=key.name, log_key=key.public_key
        ).root
        for shown in (case.shown, other)
    }
    if len(roots) == 1:
        return []
    return [
        f"two different logs of {mine.size} entries, each signed: neither reader sees "
        "it alone, both checkpoints together prove it"
    ]


def _backdate(case: Case) -> None:
    request_id = case.ask()
    moment = case.now - timedelta(days=40)
    case.receive(request_id, case.log_use(request_id, time=show_time(moment)))


def _replay_checkpoint(case: Case) -> None:
    old = case.shown.checkpoint()
    request_id = case.ask()
    case.receive(request_id, case.log_use(request_id))
    case.shown.replayed = old


def _swap_key(case: Case) -> None:
    case.shown.sign = Ed25519PrivateKey.generate().sign


def _widen_under_a_moved_clock(case: Case) -> None:
    announced = case.now - timedelta(days=31)
    case.log_event(
        type="policy.notice",
        policy_version=9,
        policy_sha256="ab" * 32,
        outcome="WIDENS",
        time=show_time(announced),
        effective=show_time(announced + timedelta(days=30)),
    )
    request_id = case.ask()
    index = case.log_use(request_id, policy_version=9, policy_sha256="ab" * 32)
    case.receive(request_id, index)


def _accept_for_the_merchant(case: Case) -> None:
    case.log_event(
        type="policy.accepted",
        policy_version=9,
        policy_sha256="ab" * 32,
        request_id="6f2c1d4e-8a3b-4c5d-9e7f-0a1b2c3d4e5f",
        caller="spiffe://shop.example/compliance",
    )


def _charge_own_account(case: Case) -> None:
    """The platform asks, he charges through an account of his own, and logs it."""
    request_id = case.ask()
    case.receive(request_id, case.log_use(request_id))


def _charge_for_himself(case: Case) -> None:
    case.log_use("6f2c1d4e-8a3b-4c5d-9e7f-0a1b2c3d4e5f")


def _charge_twice(case: Case) -> None:
    request_id = case.ask()
    case.log_use(request_id)
    case.receive(request_id, case.log_use(request_id))


def _charge_more(case: Case) -> None:
    request_id = case.ask(amount=1999)
    case.receive(request_id, case.log_use(request_id, amount=2999))


def _charge_more_and_log_less(case: Case) -> None:
    request_id = case.ask(amount=1999)
    case.receive(request_id, case.log_use(request_id))
    amount = type(case.listed[0].amount)(2999, "EUR")
    name = f"pay_{request_id[:8]}"
    case.charge_at_processor(name, amount=amount, captured=2999)


def _charge_without_entry(case: Case) -> None:
    case.charge_at_processor("pay_unlogged")


def _use_for_marketing(case: Case) -> None:
    request_id = case.ask(purpose=_MARKETING)
    case.receive(request_id, case.log_use(request_id, purpose=_MARKETING))


def _nothing(_case: Case) -> None:
    """Leaves no trace in anything that others hold."""


_REWRITTEN: Final = _findings(Kind.REWRITTEN)
_UNLOGGED: Final = (
    "code that takes keys from memory writes no entry. The key provider's counters, "
    "a canary card and the cardholders' statements can show it"
)
ATTACKS: Final = (
    Attack(
        "leaves a charge out of the log, after the receipt was given",
        _omit,
        Evidence.RECEIPT,
        _findings(Kind.REWRITTEN),
    ),
    Attack(
        "does a charge, answers OK, and never logs it",
        _omit_without_receipt,
        Evidence.JOURNAL,
        _findings(Kind.OMITTED),
    ),
    Attack(
        "alters an amount of last spring",
        _alter,
        Evidence.CHECKPOINT,
        _REWRITTEN,
    ),
    Attack("swaps two entries", _reorder, Evidence.CHECKPOINT, _REWRITTEN),
    Attack("cuts the last ten entries off", _truncate, Evidence.CHECKPOINT, _REWRITTEN),
    Attack(
        "writes the whole year anew, longer than before",
        _rewrite_from_the_start,
        Evidence.CHECKPOINT,
        _REWRITTEN,
    ),
    Attack(
        "shows the auditor another log than the platform",
        _fork,
        Evidence.TWO_CHECKPOINTS,
        _compare_two_readers,
    ),
    Attack(
        "adds an entry and dates it forty days back",
        _backdate,
        Evidence.CLOCK,
        _findings(Kind.BACKDATED),
    ),
    Attack(
        "shows an old checkpoint, signed long ago and genuine",
        _replay_checkpoint,
        Evidence.RECEIPT,
        _findings(Kind.REWRITTEN),
    ),
    Attack("signs with a new key", _swap_key, Evidence.KEY, _findings(Kind.SIGNATURE)),
    Attack(
        "announces a wider policy under a clock moved back, and uses it at once",
        _widen_under_a_moved_clock,
        Evidence.CLOCK,
        _findings(Kind.POLICY),
    ),
    Attack(
        "accepts a wider policy in the merchant's name",
        _accept_for_the_merchant,
        Evidence.JOURNAL,
        _findings(Kind.UNASKED),
        late=True,
    ),
    Attack(
        "charges a card that nobody asked to charge, and logs it",
        _charge_for_himself,
        Evidence.JOURNAL,
        _findings(Kind.UNASKED),
        late=True,
    ),
    Attack(
        "charges twice for one request",
        _charge_twice,
        Evidence.JOURNAL,
        _findings(Kind.REPEATED),
    ),
    Attack(
        "charges 29.99 where 19.99 was asked, and logs 29.99",
        _charge_more,
        Evidence.JOURNAL,
        _findings(Kind.DIFFERS),
    ),
    Attack(
        "charges 29.99 where 19.99 was asked, and logs 19.99",
        _charge_more_and_log_less,
        Evidence.BOOKS,
        Case.compare_with_books,
    ),
    Attack(
        "sends the platform's charge through an account of his own",
        _charge_own_account,
        Evidence.BOOKS,
        Case.compare_with_books,
    ),
    Attack(
        "charges through the merchant's account without an entry",
        _charge_without_entry,
        Evidence.BOOKS,
        Case.compare_with_books,
    ),
    Attack(
        "uses a card for marketing, and logs it",
        _use_for_marketing,
        Evidence.POLICY,
        _findings(Kind.PURPOSE),
    ),
    Attack(
        "opens a card without an entry and writes the number down",
        _nothing,
        Evidence.NOTHING,
        _everybody,
        why=_UNLOGGED,
    ),
    Attack(
        "charges that card through an account of his own, unlogged",
        _nothing,
        Evidence.NOTHING,
        _everybody,
        why="neither the log nor the merchant's processor sees it; the cardholder does",
    ),
)
