"""Starting, being told to stop, and dying: a real process over real mutual TLS."""

import os
import signal
import sqlite3
import sys
import time
from contextlib import suppress
from datetime import timedelta

import grpc
import pytest
from bailee.v1 import vault_service_pb2, vault_service_pb2_grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.builders import raw_http2
from tests.builders.certificates import Ca
from tests.builders.served_process import CALLER, make_place, served

pytestmark = pytest.mark.process
SECONDS = 10
BREAKABLE = (sys.executable, "-m", "tests.serving.breakable_process")


@pytest.fixture
def place(tmp_path):
    return make_place(tmp_path / "gateway", callers_refresh_seconds=0.2)


def watch(channel):
    return health_pb2_grpc.HealthStub(channel).Watch(
        health_pb2.HealthCheckRequest(), timeout=60
    )


def error_of(stream):
    """Reads until the stream fails; returns its code and when that was."""
    with pytest.raises(grpc.RpcError) as raised:
        for _ in stream:
            pass
    return raised.value.code().name, time.monotonic()


def list_keys(channel):
    stub = vault_service_pb2_grpc.VaultServiceStub(channel)
    request = vault_service_pb2.ListSealingKeysRequest(merchant="shop")
    return stub.ListSealingKeys(request, timeout=SECONDS)


class TestStopping:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_is_quick_beside_an_open_watch(self, place, number):
        with served(place) as process, place.channel() as channel:
            stream = watch(channel)
            assert next(stream).status == health_pb2.HealthCheckResponse.SERVING

            asked = time.monotonic()
            process.send_signal(number)
            last = [state.status for state in stream]
            code = process.wait(SECONDS)

        assert last == [health_pb2.HealthCheckResponse.NOT_SERVING]
        assert code == 0
        assert time.monotonic() - asked < 5
        messages = [line["message"] for line in place.log_lines()]
        assert messages.index("draining") < messages.index("stopped")

    def test_frees_the_database_for_the_next(self, place):
        for _ in range(2):
            with served(place) as process, place.channel() as channel:
                assert list_keys(channel).sealing_keys
                process.terminate()
                assert process.wait(SECONDS) == 0


class TestDying:
    def test_ends_the_process_with_an_error(self, place):
        """A process that outlives its server would not be restarted."""
        with served(place, BREAKABLE) as process:
            pair = place.ca.client(CALLER).write(place.folder, "client")
            context = raw_http2.tls_context(place.ca, pair)
            with suppress(OSError):
                raw_http2.call(place.port, context, b"/\xff\xfe/X", b"")
            code = process.wait(SECONDS)

        assert code != 0
        log = (place.folder / "serve.log").read_text()
        assert "ServerDied: the gRPC server ended by itself" in log


class TestWelcome:
    def test_ends_within_seconds_for_a_disabled_caller(self, place):
        with served(place), place.channel() as channel:
            stream = watch(channel)
            next(stream)
            list_keys(channel)

            database = sqlite3.connect(place.folder / "data" / "bailee.db")
            with database:
                database.execute("UPDATE callers SET enabled = 0")
            database.close()
            disabled = time.monotonic()
            code, ended = error_of(stream)
            with pytest.raises(grpc.RpcError) as raised:
                list_keys(channel)

        assert code == "UNAUTHENTICATED"
        assert raised.value.code().name == "UNAUTHENTICATED"
        assert ended - disabled < 3

    def test_ends_within_seconds_of_the_certificates_end(self, place):
        with served(place), place.channel(ends=timedelta(seconds=4)) as channel:
            stream = watch(channel)
            next(stream)
            list_keys(channel)

            opened = time.monotonic()
            code, ended = error_of(stream)
            with pytest.raises(grpc.RpcError) as raised:
                list_keys(channel)

        assert code == "UNAUTHENTICATED"
        assert raised.value.code().name in ("UNAUTHENTICATED", "UNAVAILABLE")
        assert ended - opened < 7


def put(file, content):
    """Replaces a file whole: the gateway may read it at any moment."""
    temporary = file.with_suffix(".new")
    temporary.write_bytes(content)
    os.replace(temporary, file)


class TestCertificates:
    def test_are_taken_up_without_a_restart(self, place):
        files = place.folder / "tls"
        with served(place):
            with place.channel() as channel:
                list_keys(channel)
            place.ca = Ca("Renewed CA")
            (place.folder / "ca" / "billing-ca.pem").write_bytes(place.ca.pem)
            place.ca.server().write(files, "server")

            with place.channel() as channel:
                assert list_keys(channel).sealing_keys

    def test_that_do_not_fit_leave_the_old_ones_and_are_shown(self, place):
        certificate = place.folder / "tls" / "server.pem"
        good = certificate.read_bytes()
        with served(place):
            put(certificate, place.ca.server().certificate)
            line = place.wait_for_line("part does not work", part="certificates")
            with place.channel() as channel:
                assert list_keys(channel).sealing_keys
                state = health_pb2_grpc.HealthStub(channel).Check(
                    health_pb2.HealthCheckRequest(service="part/certificates"),
                    timeout=SECONDS,
                )

            put(certificate, good)
            place.wait_for_line("part works again", part="certificates")

        assert "is not the key of" in line["problem"]
        assert state.status == health_pb2.HealthCheckResponse.NOT_SERVING
