"""The operator listener: who gets in, what they can do, and what the log says."""

import stat
from datetime import timedelta

import grpc
import pytest
from bailee import Bundle
from bailee.client import new_request_id
from bailee.errors import from_rpc_error
from bailee.v1 import merchant_service_pb2 as merchants_pb
from bailee.v1 import operator_service_pb2 as pb
from cryptography import x509
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from gateway.config import ConfigInvalid
from gateway.key_providers.certificates import (
    Authority,
    expires_at,
    new_signing_request,
    spiffe_id_of,
)
from gateway.rpc.authorization import ROLES
from gateway.rpc.operator_server import REFLECTION, socket_address
from gateway.words.callers import Caller, Role
from gateway.words.clock import SystemClock
from gateway.words.identifiers import GATEWAY
from tests.builders.merchants import create_merchant, deactivate_merchant, entries_of
from tests.builders.operators import (
    merchant_stub,
    new_folder,
    open_channel,
    operator_stub,
    payment_stub,
    serving,
)

BILLING = "spiffe://localhost/caller/billing"
NEW = "spiffe://localhost/caller/platform"
ADMIN = "spiffe://localhost/operator/admin"


@pytest.fixture
def folder(tmp_path):
    return new_folder(tmp_path)


@pytest.fixture
async def site(folder):
    async with serving(folder) as made:
        yield made


@pytest.fixture
async def channel(site):
    async with site.operator() as opened:
        yield opened


def create_caller(caller=NEW, **changes):
    values = {
        "request_id": new_request_id(),
        "caller": caller,
        "roles": [pb.ROLE_PLATFORM, pb.ROLE_READ],
        "all_merchants": True,
    }
    return pb.CreateCallerRequest(**values | changes)


def issue(caller, request):
    return pb.IssueCertificateRequest(
        request_id=new_request_id(), caller=caller, signing_request=request
    )


async def refused(call, request):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(request)
    return from_rpc_error(caught.value, "")


async def add_bundle(site, channel, caller, home):
    """Gives a caller a bundle as ``bailee caller add`` does."""
    made = new_signing_request("new")
    issued = await operator_stub(channel).IssueCertificate(
        issue(caller, made.certificate)
    )
    Bundle(
        address="",
        vault_id=issued.vault_id,
        merchant="shop",
        identity_key=issued.identity_key,
        log_key=issued.log_key,
        log_origin="",
        ca_certificate=issued.server_authority,
        client_certificate=issued.certificate,
        client_key=made.key,
    ).write(site.settings.folder / home)
    await site.callers.refresh()


class TestWhoGetsIn:
    async def test_an_operator_over_a_socket_that_is_his_alone(self, site, channel):
        answer = await operator_stub(channel).ListCallers(pb.ListCallersRequest())

        mode = site.settings.path("operator_socket").stat().st_mode
        assert stat.S_ISSOCK(mode)
        assert stat.S_IMODE(mode) == 0o600
        assert [caller.name for caller in answer.callers] == [BILLING, ADMIN]

    async def test_no_billing_caller_whatever_the_database_says(self, site):
        """Its certificate is of another authority."""
        everything = Caller(BILLING, frozenset(Role), None)
        await site.gateway.storage.commit(
            GATEWAY, lambda unit: unit.callers.put(everything)
        )
        await site.callers.refresh()
        bundle = Bundle.read(site.settings.folder / "bundles/billing")
        address = socket_address(site.settings.path("operator_socket"))

        async with open_channel(address, bundle) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await operator_stub(channel).ListCallers(pb.ListCallersRequest())

        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE

    async def test_nobody_whom_the_operators_authority_calls_a_program(
        self, site, folder
    ):
        """The name must be below /operator/, and the caller must have the role."""
        ca = folder / "ca"
        authority = Authority.load(
            (ca / "operator-ca.pem").read_bytes(),
            (ca / "operator-ca-key.pem").read_bytes(),
        )
        issued = authority.issue_caller(BILLING, SystemClock().now())
        bundle = Bundle.read(folder / "operators/admin")
        object.__setattr__(bundle, "client_certificate", issued.certificate)
        object.__setattr__(bundle, "client_key", issued.key)
        address = socket_address(site.settings.path("operator_socket"))

        async with open_channel(address, bundle) as channel:
            error = await refused(
                operator_stub(channel).ListCallers, pb.ListCallersRequest()
            )

        assert error.reason == "CALLER_UNKNOWN"

    async def test_no_operator_at_the_billing_listener(self, site, folder):
        """Even one whom the billing authority vouches for."""
        ca = folder / "ca"
        authority = Authority.load(
            (ca / "billing-ca.pem").read_bytes(),
            (ca / "billing-ca-key.pem").read_bytes(),
        )
        issued = authority.issue_caller(ADMIN, SystemClock().now())
        bundle = Bundle.read(folder / "bundles/billing")
        object.__setattr__(bundle, "client_certificate", issued.certificate)
        object.__setattr__(bundle, "client_key", issued.key)

        async with open_channel(f"localhost:{site.port}", bundle) as channel:
            request = merchants_pb.GetMerchantRequest(merchant="shop")
            error = await refused(merchant_stub(channel).GetMerchant, request)

        assert error.reason == "CALLER_UNKNOWN"

    async def test_the_services_of_operators_are_not_at_the_billing_listener(
        self, site
    ):
        async with site.billing() as channel:
            for rpc in ("/bailee.v1.OperatorService/ListCallers", REFLECTION):
                error = await refused(channel.unary_unary(rpc), b"")
                assert error.reason == "RPC_NOT_FOUND"

    async def test_the_tcp_address_if_one_is_set(self, folder, tmp_path):
        from gateway.cli.init import free_port

        port = free_port()
        with (folder / "bailee.toml").open("a") as settings:
            settings.write(f'operator_listen = "127.0.0.1:{port}"\n')
        async with serving(folder):
            bundle = Bundle.read(folder / "operators/admin")
            async with open_channel(f"localhost:{port}", bundle) as channel:
                answer = await operator_stub(channel).ListCallers(
                    pb.ListCallersRequest()
                )

        assert len(answer.callers) == 2

    def test_a_path_that_is_too_long_says_what_to_do(self, tmp_path):
        with pytest.raises(ConfigInvalid, match="operator_socket"):
            socket_address(tmp_path / ("x" * 120) / "operator.sock")


class TestWhatOperatorsCanDo:
    async def test_every_rpc_of_theirs_and_no_money(self, site, channel):
        """Roles: an operator reads merchants, and touches no card and no money."""
        served = {service.name for service in site.gateway.operator_services}
        assert "bailee.v1.VaultService" not in served
        for rpc, roles in ROLES.items():
            if "OperatorService" in rpc:
                assert roles == {Role.OPERATOR}
        await merchant_stub(channel).CreateMerchant(create_merchant("hats"))
        request = payment_service_request()
        error = await refused(payment_stub(channel).CreatePayment, request)
        assert error.reason == "CALLER_NOT_PERMITTED"

    async def test_compliance_is_a_role_of_its_own(self, site, channel):
        """The first operator has it; another need not."""
        ada = "spiffe://localhost/operator/ada"
        request = create_caller(ada, roles=[pb.ROLE_OPERATOR])
        await operator_stub(channel).CreateCaller(request)
        await add_bundle(site, channel, ada, "operators/ada")

        async with site.operator("operators/ada") as hers:
            error = await refused(
                merchant_stub(hers).DeactivateMerchant, deactivate_merchant()
            )

        assert error.reason == "CALLER_NOT_PERMITTED"

    async def test_they_can_look_at_the_api(self, channel):
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        request = reflection_pb2.ServerReflectionRequest(list_services="")

        answer = await anext(aiter(stub.ServerReflectionInfo(iter([request]))))

        names = {item.name for item in answer.list_services_response.service}
        assert "bailee.v1.OperatorService" in names


def payment_service_request():
    from bailee.v1 import payment_service_pb2

    return payment_service_pb2.CreatePaymentRequest(
        merchant="shop", request_id=new_request_id()
    )


class TestCallers:
    async def test_a_new_one_calls_with_a_certificate_of_its_own_key(
        self, site, channel
    ):
        request = create_caller()
        first = await operator_stub(channel).CreateCaller(request)
        again = await operator_stub(channel).CreateCaller(request)
        await add_bundle(site, channel, NEW, "bundles/platform")

        async with site.billing("bundles/platform") as theirs:
            made = await merchant_stub(theirs).CreateMerchant(create_merchant("hats"))
        assert made.merchant.name == "hats"
        assert (first.replayed, again.replayed) == (False, True)
        assert first.caller == again.caller
        types = [entry["type"] for entry in entries_of(site.gateway.storage, GATEWAY)]
        assert types[-2:] == ["caller.created", "caller.certificate_issued"]
        last = entries_of(site.gateway.storage, GATEWAY)[-1]
        assert (last["caller"], last["subject"]) == (ADMIN, NEW)

    async def test_a_disabled_one_is_out_until_it_is_enabled(self, site, channel):
        """covers: I9. Its certificate is as valid as before."""
        stub = operator_stub(channel)
        named = {"caller": BILLING}
        await stub.DisableCaller(
            pb.DisableCallerRequest(request_id=new_request_id(), **named)
        )
        await site.callers.refresh()
        async with site.billing() as theirs:
            call = merchant_stub(theirs).GetMerchant
            request = merchants_pb.GetMerchantRequest(merchant="shop")
            out = await refused(call, request)
            shown = await stub.EnableCaller(
                pb.EnableCallerRequest(request_id=new_request_id(), **named)
            )
            await site.callers.refresh()
            answer = await call(request)

        assert out.reason == "CALLER_UNKNOWN"
        assert shown.caller.state == pb.Caller.STATE_ENABLED
        assert answer.merchant.name == "shop"

    @pytest.mark.parametrize(
        ("changes", "reason", "field"),
        [
            ({"caller": "platform"}, "REQUEST_INVALID", "caller"),
            ({"caller": "spiffe://v/other/x"}, "REQUEST_INVALID", "caller"),
            ({"caller": "spiffe://v/caller/a/b"}, "REQUEST_INVALID", "caller"),
            ({"roles": []}, "REQUEST_INVALID", "roles"),
            ({"roles": [99]}, "REQUEST_INVALID", "roles[0]"),
            ({"roles": [pb.ROLE_OPERATOR]}, "REQUEST_INVALID", "roles"),
            ({"caller": ADMIN + "2"}, "REQUEST_INVALID", "roles"),
            ({"merchants": ["shop"]}, "REQUEST_INVALID", "merchants"),
            ({"all_merchants": False}, "REQUEST_INVALID", "merchants"),
            (
                {"all_merchants": False, "merchants": ["X"]},
                "REQUEST_INVALID",
                "merchants[0]",
            ),
            ({"caller": BILLING}, "STATE_CONFLICT", None),
        ],
    )
    async def test_are_refused_when_they_make_no_sense(
        self, channel, changes, reason, field
    ):
        error = await refused(
            operator_stub(channel).CreateCaller, create_caller(**changes)
        )

        assert error.reason == reason
        assert [item.field for item in error.violations] == ([field] if field else [])

    async def test_nobody_locks_himself_out(self, channel):
        request = pb.DisableCallerRequest(request_id=new_request_id(), caller=ADMIN)

        error = await refused(operator_stub(channel).DisableCaller, request)

        assert error.reason == "STATE_CONFLICT"

    @pytest.mark.parametrize("rpc", ["DisableCaller", "EnableCaller"])
    async def test_that_do_not_exist_are_not_found(self, channel, rpc):
        request = getattr(pb, f"{rpc}Request")(request_id=new_request_id(), caller=NEW)

        error = await refused(getattr(operator_stub(channel), rpc), request)

        assert error.reason == "CALLER_NOT_FOUND"

    async def test_are_listed_in_pages(self, channel):
        stub, names, token = operator_stub(channel), [], ""
        while True:
            page = await stub.ListCallers(
                pb.ListCallersRequest(page_size=1, page_token=token)
            )
            names.append([caller.name for caller in page.callers])
            token = page.next_page_token
            if not token:
                break

        assert names == [[BILLING], [ADMIN]]


class TestCertificates:
    async def test_name_the_caller_and_nothing_that_the_request_asked_for(
        self, channel
    ):
        made = new_signing_request("administrator")

        issued = await operator_stub(channel).IssueCertificate(
            issue(BILLING, made.certificate)
        )

        certificate = x509.load_pem_x509_certificate(issued.certificate)
        assert spiffe_id_of(issued.certificate) == BILLING
        assert "administrator" not in certificate.subject.rfc4514_string()
        assert certificate.public_key() == (
            x509.load_pem_x509_csr(made.certificate).public_key()
        )
        a_year = expires_at(issued.certificate) - SystemClock().now()
        assert timedelta(days=364) < a_year <= timedelta(days=365)

    @pytest.mark.parametrize("damage", ["empty", "text", "bytes", "signature", "key"])
    async def test_are_issued_for_sound_requests_only(self, channel, damage):
        sound = new_signing_request("x").certificate
        request = {
            "empty": b"",
            "text": b"certificate, please",
            "bytes": sound[:100],
            "signature": sound.replace(sound.splitlines()[2], sound.splitlines()[1]),
            "key": an_ed25519_request(),
        }[damage]

        error = await refused(
            operator_stub(channel).IssueCertificate, issue(BILLING, request)
        )

        assert error.violations[0].field == "signing_request"

    async def test_are_not_issued_to_strangers_or_disabled_callers(self, channel):
        stub, request = operator_stub(channel), new_signing_request("x").certificate
        unknown = await refused(stub.IssueCertificate, issue(NEW, request))
        await stub.DisableCaller(
            pb.DisableCallerRequest(request_id=new_request_id(), caller=BILLING)
        )
        disabled = await refused(stub.IssueCertificate, issue(BILLING, request))

        assert unknown.reason == "CALLER_NOT_FOUND"
        assert disabled.reason == "STATE_CONFLICT"

    async def test_are_not_issued_without_the_authoritys_key(self, channel, folder):
        """It may be kept elsewhere; the gateway serves on."""
        (folder / "ca/billing-ca-key.pem").unlink()

        error = await refused(
            operator_stub(channel).IssueCertificate,
            issue(BILLING, new_signing_request("x").certificate),
        )

        assert error.reason == "KEY_UNAVAILABLE"
        assert "billing-ca-key.pem" in error.metadata["authority"]


def an_ed25519_request():
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding

    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return builder.sign(Ed25519PrivateKey.generate(), None).public_bytes(Encoding.PEM)
