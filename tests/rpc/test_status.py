"""One gRPC code for each reason, one shape for every error, one page that says so."""

import re
from datetime import timedelta
from pathlib import Path

import bailee.errors
import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from gateway.errors import (
    AlreadyCharged,
    CardInvalid,
    GatewayError,
    InvariantBroken,
    Reason,
    RequestInProgress,
)
from gateway.rpc.status import CODES, show_error
from tests.architecture.errors_page import error_classes, page

ROOT = Path(__file__).parents[2]


def shown(error, incident=""):
    status = show_error(error, incident)
    [(key, value)] = status.trailing_metadata
    assert key == "grpc-status-details-bin"
    return status, status_pb2.Status.FromString(value)


def details(status):
    return [detail.type_url.rpartition(".")[2] for detail in status.details]


class TestCodes:
    def test_cover_every_reason_and_nothing_else(self):
        assert set(CODES) == set(Reason)

    def test_never_are_those_that_grpc_gives_itself(self):
        """OK is no error; UNKNOWN, CANCELLED and DEADLINE_EXCEEDED are gRPC's words."""
        reserved = {
            grpc.StatusCode.OK,
            grpc.StatusCode.UNKNOWN,
            grpc.StatusCode.CANCELLED,
            grpc.StatusCode.DEADLINE_EXCEEDED,
        }
        assert not reserved & set(CODES.values())

    def test_that_clients_retry_are_safe_with_the_same_request_id(self):
        """The client sends the same request again on UNAVAILABLE and ABORTED."""
        retried = {
            reason
            for reason, code in CODES.items()
            if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.ABORTED)
        }
        assert retried == {
            Reason.PROCESSOR_UNAVAILABLE,
            Reason.KEY_UNAVAILABLE,
            Reason.STORAGE_UNAVAILABLE,
            Reason.AUDIT_UNAVAILABLE,
            Reason.CANCELED,
            Reason.REQUEST_IN_PROGRESS,
        }


class TestReasons:
    def test_are_of_the_form_that_aip_193_asks_for(self):
        for reason in Reason:
            assert re.fullmatch(r"[A-Z][A-Z0-9_]{1,61}[A-Z0-9]", reason.value)
            assert reason.value == reason.name

    def test_have_one_error_class_each(self):
        classes = error_classes()

        assert set(classes) == set(Reason)
        assert {
            reason: kinds for reason, kinds in classes.items() if len(kinds) > 1
        } == {}

    @pytest.mark.parametrize("reason", Reason)
    def test_become_a_class_of_the_client(self, reason):
        name = "".join(word.capitalize() for word in reason.value.split("_"))

        assert issubclass(getattr(bailee.errors, name), bailee.errors.BaileeError)


class TestShowError:
    def test_shows_reason_domain_and_metadata(self):
        status, rich = shown(AlreadyCharged(metadata={"payment": "pay_x"}))

        info = error_details_pb2.ErrorInfo()
        rich.details[0].Unpack(info)
        assert status.code is grpc.StatusCode.ALREADY_EXISTS
        assert (info.reason, info.domain) == ("ALREADY_CHARGED", "bailee")
        assert dict(info.metadata) == {"payment": "pay_x"}
        assert rich.message == status.details == AlreadyCharged.message

    def test_names_the_field(self):
        _, rich = shown(CardInvalid("card.number", "fails"))

        bad = error_details_pb2.BadRequest()
        rich.details[1].Unpack(bad)
        [violation] = bad.field_violations
        assert (violation.field, violation.description) == ("card.number", "fails")
        assert details(rich) == ["ErrorInfo", "BadRequest"]

    def test_says_when_to_try_again(self):
        _, rich = shown(RequestInProgress(retry_delay=timedelta(milliseconds=1500)))

        retry = error_details_pb2.RetryInfo()
        rich.details[1].Unpack(retry)
        assert retry.retry_delay.ToMilliseconds() == 1500

    def test_carries_an_incident_number_and_no_text(self):
        status, rich = shown(InvariantBroken(), "abc123")

        assert status.details == "internal error; incident abc123"
        assert details(rich) == ["ErrorInfo"]

    def test_leaves_the_error_as_it_was(self):
        error = GatewayError(metadata={"a": "b"})
        show_error(error, "abc123")

        assert error.metadata == {"a": "b"}

    @pytest.mark.parametrize("kinds", error_classes().values())
    def test_fits_into_grpcs_metadata(self, kinds):
        """More than 8 KiB would be refused."""
        for kind in kinds:
            try:
                error = kind("card.billing.postal_code", "x" * 100)
            except TypeError:
                error = kind(metadata={"payment": "p" * 100, "state": "s" * 100})
            [(_, value)] = show_error(error, "i" * 16).trailing_metadata
            assert len(value) < 2048


class TestErrorsPage:
    def test_is_up_to_date(self):
        """Make it: python -m tests.architecture.errors_page > docs/errors.md."""
        assert (ROOT / "docs" / "errors.md").read_text("utf-8") == page()
