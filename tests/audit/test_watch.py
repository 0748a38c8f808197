"""What a watcher notices, and what it lets pass. covers: I7."""

from datetime import timedelta

import pytest
from bailee.audit.keys import WITNESS, VerifierKey
from bailee.audit.store import Store, StoreInvalid
from bailee.audit.witness import WitnessKey, cosigned_at
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.audit.entry import EntryType
from gateway.words.money import Money
from gateway.words.purposes import Purpose
from tests.builders.logs import a_leaf, a_log
from tests.builders.storage import NOW, Signer
from tests.builders.watched import Site

FORGER = Signer(Ed25519PrivateKey.from_private_bytes(bytes(32)))


@pytest.fixture
def site(tmp_path):
    made = Site(tmp_path)
    yield made
    made.store.close()


class TestHonestLog:
    def test_has_no_findings_however_often_it_is_watched(self, site):
        for _ in range(5):
            site.charge()
            assert site.look(minutes=1) == []
        assert site.look(days=3) == []
        assert (site.report.size, site.report.new_entries) == (10, 0)

    def test_may_try_again_what_it_does_not_know(self, site):
        request_id = site.ask()
        site.use(request_id)
        site.settle(request_id, "UNKNOWN")
        site.look(minutes=5)
        site.use(request_id)
        site.settle(request_id)

        assert site.look(minutes=1) == []

    def test_may_be_seen_before_the_journal_is(self, site):
        request_id = "6f2c1d4e-8a3b-4c5d-9e7f-0a1b2c3d4e5f"
        site.use(request_id)
        assert site.look(minutes=1) == []
        site.ask(request_id=request_id)
        site.settle(request_id)

        assert site.look(minutes=10) == []

    def test_has_events_that_nobody_asks_for(self, site):
        site.append(EntryType.LOG_STARTED)
        site.append(EntryType.WRAPPING_KEY_CREATED, purpose=Purpose.RECURRING)
        site.append(EntryType.USE_DENIED, rule="purpose", count=17)

        assert site.look(days=1) == []


class TestLogItself:
    @pytest.mark.parametrize(
        "rewrite",
        [
            lambda leaves: leaves.__setitem__(1, a_leaf(7)),
            lambda leaves: leaves.pop(1),
            lambda leaves: leaves.insert(1, a_leaf(7)),
            lambda leaves: leaves.reverse(),
        ],
        ids=["altered", "left out", "put in", "reordered"],
    )
    def test_is_recognized_when_it_was_rewritten_and_signed_anew(self, site, rewrite):
        for _ in range(3):
            site.charge()
        site.look()
        rewrite(site.shown.leaves)
        site.charge()

        assert site.look(minutes=1) == ["rewritten"]

    def test_is_recognized_when_it_is_cut_off(self, site):
        site.charge()
        site.look()
        site.shown.leaves.pop()

        assert site.look(minutes=1) == ["rewritten"]

    def test_is_recognized_when_an_old_checkpoint_is_shown(self, site):
        site.charge()
        old = site.shown.checkpoint()
        site.charge()
        site.look()
        site.shown.note = old

        assert site.look(minutes=1) == ["rewritten"]

    def test_is_recognized_by_a_receipt_when_the_old_checkpoint_is_all_we_saw(
        self, site
    ):
        site.charge()
        site.look()
        site.shown.note = site.shown.checkpoint()
        site.charge()

        assert site.look(minutes=1) == ["rewritten"]
        assert "a receipt proves 4 entries" in site.text()

    def test_is_recognized_by_a_receipt_of_a_fork(self, site):
        """The platform is shown one log, the watcher another."""
        site.charge()
        leaves = site.shown.leaves
        site.shown.leaves = [*leaves[:1], a_leaf(1)]

        assert "rewritten" in site.look(minutes=1)

    def test_is_compared_with_receipts_that_come_late(self, site):
        request_id = site.ask()
        site.use(request_id)
        site.settle(request_id)
        site.charge()
        site.look(minutes=1)
        honest = list(site.shown.leaves)
        site.shown.leaves = [*honest[:1], a_leaf(1), *honest[2:]]
        site.receive(request_id, 1)
        site.shown.leaves = honest

        assert site.look(minutes=1) == ["rewritten"]

    def test_must_be_signed_with_the_pinned_key(self, site):
        site.charge()
        site.look()
        site.shown.signer = FORGER

        assert site.look(minutes=1) == ["signature"]

    def test_is_followed_again_once_the_genuine_one_is_back(self, site):
        """What does not continue the log never replaces what was seen."""
        site.charge()
        site.look()
        honest = list(site.shown.leaves)
        site.shown.leaves = [a_leaf(0), *honest[1:], a_leaf(2)]
        site.look(minutes=1)
        site.shown.leaves = honest
        site.charge()

        assert site.look(minutes=1) == []
        assert site.report.size == 4


class TestUses:
    def test_that_nobody_asked_for_are_found(self, site):
        site.use("6f2c1d4e-8a3b-4c5d-9e7f-0a1b2c3d4e5f")
        assert site.look() == []

        assert site.look(minutes=6) == ["unasked"]
        assert "charge 1999 EUR" in site.text()
        assert site.look(minutes=6) == []

    def test_that_name_no_request_are_found(self, site):
        site.use(None)

        assert site.look() == ["unasked"]

    @pytest.mark.parametrize(
        "changes",
        [
            {"amount": Money(2000, "EUR")},
            {"amount": Money(1999, "USD")},
            {"purpose": Purpose.UNSCHEDULED},
            {"action": "verify"},
        ],
    )
    def test_that_are_not_what_was_asked_are_found(self, site, changes):
        request_id = site.ask()
        site.use(request_id, **changes)

        assert site.look() == ["differs"]

    def test_of_another_payment_are_found(self, site):
        request_id = site.ask(
            "RefundPayment", payment="pay_2", amount=None, purpose="", currency=""
        )
        site.append(
            EntryType.PAYMENT_INTENT,
            request_id=request_id,
            action="refund",
            payment="pay_1",
        )

        assert site.look() == ["differs"]

    @pytest.mark.parametrize(
        "rpc", ["DeleteCardToken", "RefundPayment", "TokenizeCard"]
    )
    def test_of_a_request_that_charges_nothing_are_found(self, site, rpc):
        request_id = site.ask(rpc, amount=None, currency="", purpose="")
        site.use(request_id)

        assert "differs" in site.look()

    def test_for_what_no_policy_allows_are_found(self, site):
        request_id = site.ask(purpose="marketing")
        site.use(request_id, purpose=Purpose.MARKETING)

        assert site.look() == ["purpose"]

    def test_again_after_the_first_was_settled_are_found(self, site):
        request_id = site.charge()
        site.look()
        site.use(request_id)

        assert site.look(minutes=1) == ["repeated"]

    def test_again_with_another_amount_are_found(self, site):
        request_id = site.ask(amount=None)
        site.use(request_id)
        site.use(request_id, amount=Money(2000, "EUR"))

        assert site.look() == ["repeated"]

    def test_again_long_after_are_found(self, site):
        request_id = site.ask()
        site.use(request_id)
        site.settle(request_id, "UNKNOWN")
        site.look()
        site.now += timedelta(hours=1)
        site.use(request_id)

        assert site.look() == ["repeated"]

    def test_that_were_answered_and_are_not_in_the_log_are_found(self, site):
        request_id = site.ask()
        site.receive(request_id)

        assert site.look() == ["omitted"]
        assert request_id in site.text()

    def test_that_never_came_to_an_end_are_found(self, site):
        site.use(site.ask())
        site.look()
        assert site.look(days=1) == []

        assert site.look(days=1, minutes=1) == ["unfinished"]
        assert site.look(days=1) == []

    def test_dated_before_our_last_look_are_found(self, site):
        site.charge()
        site.look()
        request_id = site.ask()
        site.use(request_id, at=site.now - timedelta(hours=1))
        site.settle(request_id)

        assert site.look(minutes=1) == ["backdated"]

    def test_dated_in_the_future_are_found(self, site):
        request_id = site.ask()
        site.use(request_id, at=site.now + timedelta(hours=1))

        assert site.look(minutes=1) == ["backdated"]

    def test_that_this_software_cannot_read_are_found(self, site):
        site.shown.leaves.append(a_leaf(0).replace(b'"v":1', b'"v":2'))
        site.shown.leaves.append(a_leaf(0, merchant="other"))
        site.shown.leaves.append(b'{"type":"use.intent","type":"x","v":1}')

        assert site.look() == ["unreadable"] * 3


NEW_POLICY = {"policy_version": 2, "policy_sha256": "cd" * 32}


class TestPolicy:
    def use_new(self, site):
        request_id = site.ask()
        site.use(request_id, **NEW_POLICY)
        site.settle(request_id)

    def notice(self, site, kind="policy.notice", **changes):
        site.append(kind, **NEW_POLICY | changes)

    def start(self, site):
        site.charge()
        site.look()

    def test_that_was_never_announced_is_found(self, site):
        self.start(site)
        self.use_new(site)

        assert site.look(minutes=1) == ["policy"]

    def test_that_was_announced_thirty_days_ago_is_fine(self, site):
        self.start(site)
        self.notice(site, effective_at=site.now + timedelta(days=30))
        assert site.look() == []
        site.look(days=30)
        self.use_new(site)

        assert site.look(minutes=1) == []

    def test_is_counted_by_the_watchers_clock_and_not_by_the_gateways(self, site):
        """A moved clock announces it as if it were old."""
        self.start(site)
        old = site.now - timedelta(days=40)
        self.notice(site, at=old, effective_at=old + timedelta(days=30))
        assert site.look(minutes=1) == ["backdated", "policy"]
        site.look(days=2)
        self.use_new(site)

        assert site.look(minutes=1) == ["policy"]
        assert "30 days have not passed" in site.text()

    def test_is_told_once(self, site):
        self.start(site)
        self.use_new(site)
        self.use_new(site)

        assert site.look(minutes=1) == ["policy"]

    def test_that_the_merchant_accepted_may_hold_at_once(self, site):
        self.start(site)
        self.notice(site, effective_at=site.now + timedelta(days=30))
        asked = site.ask("AcceptPolicy", purpose="", amount=None, currency="")
        self.notice(site, "policy.accepted", request_id=asked)
        self.use_new(site)

        assert site.look(minutes=1) == []

    def test_that_nobody_of_the_merchant_accepted_is_found(self, site):
        self.start(site)
        self.notice(
            site, "policy.accepted", request_id="6f2c1d4e-8a3b-4c5d-9e7f-0a1b2c3d4e5f"
        )

        assert site.look(minutes=1) == []
        assert site.look(minutes=6) == ["unasked"]

    def test_that_came_into_force_without_a_notice_is_found(self, site):
        self.start(site)
        self.notice(site, "policy.in_force")

        assert site.look(minutes=1) == ["policy"]

    def test_that_narrows_may_hold_at_once(self, site):
        self.start(site)
        self.notice(site, outcome="NARROWS", effective_at=site.now)
        self.use_new(site)

        assert site.look(minutes=1) == []

    def test_that_is_not_the_announced_text_is_found(self, site):
        self.start(site)
        asked = site.ask("AcceptPolicy", purpose="", amount=None, currency="")
        self.notice(site, "policy.accepted", policy_sha256="ef" * 32, request_id=asked)
        self.use_new(site)

        assert site.look(minutes=1) == ["policy"]


class TestMemory:
    def test_belongs_to_one_log(self, site, tmp_path):
        with pytest.raises(StoreInvalid, match="not other"):
            Store(tmp_path / "watch.db", origin="other")

    def test_keeps_findings_until_a_person_acknowledges_them(self, site):
        site.use(None)
        site.look()

        assert len(site.store.findings()) == 1
        assert site.store.acknowledge() == 1
        assert site.store.findings() == []
        assert site.look(minutes=1) == []

    def test_survives_a_look_that_fails(self, site):
        site.charge()
        site.look()
        site.charge()
        whole = site.shown.entries

        def breaks(start, stop):
            yield from whole(start, stop - 1)
            raise ConnectionError

        site.shown.entries = breaks
        with pytest.raises(ConnectionError):
            site.look(minutes=1)
        site.shown.entries = whole

        assert site.look(minutes=1) == []
        assert site.report.size == 4


class TestCosigning:
    @pytest.fixture
    def key(self, tmp_path):
        return WitnessKey.open(tmp_path / "key", "witness.example/1")

    def test_is_done_for_a_log_that_continues(self, tmp_path, key):
        site = Site(tmp_path, witness=key)
        site.charge()
        site.look()

        assert cosigned_at(site.report.cosigned, key.public) == site.now.timestamp()

    def test_is_not_done_for_a_log_that_was_rewritten(self, tmp_path, key):
        site = Site(tmp_path, witness=key)
        site.charge()
        site.look()
        site.shown.leaves[0] = a_leaf(0)
        site.look(minutes=1)

        assert site.report.cosigned == ""

    def test_is_seen_only_under_the_witnesss_key_and_over_the_same_log(self, key):
        note = a_log([a_leaf(0)]).checkpoint()
        cosigned = note + key.cosign(note, NOW)
        other = VerifierKey(key.public.name, FORGER.public_key, WITNESS)

        assert cosigned_at(cosigned, key.public) is not None
        assert cosigned_at(cosigned, other) is None
        assert cosigned_at(cosigned.replace("\n1\n", "\n2\n"), key.public) is None
        assert cosigned_at(note, key.public) is None

    def test_key_is_kept_and_readable_by_its_owner_alone(self, tmp_path, key):
        again = WitnessKey.open(tmp_path / "key", "witness.example/1")

        assert again.public == key.public
        assert (tmp_path / "key").stat().st_mode & 0o077 == 0
