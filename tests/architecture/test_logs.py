"""What a log line may hold: our own fixed words and fields, nothing of a library's."""

import asyncio
import json
import logging
import sys

from gateway.logs import JsonFormatter

SECRET = "Marked Holder"


def line(name, message, *args, extra=None, error=None):
    record = logging.getLogger(name).makeRecord(
        name, logging.ERROR, "lib/file.py", 7, message, args, error, extra=extra
    )
    return JsonFormatter().format(record)


def failed():
    try:
        raise RuntimeError(SECRET)
    except RuntimeError:
        return sys.exc_info()


class TestJsonFormatter:
    def test_writes_our_message_and_fields(self):
        shown = json.loads(line("gateway.rpc.guard", "call", extra={"code": "OK"}))

        assert (shown["message"], shown["code"]) == ("call", "OK")

    def test_writes_only_the_pattern_of_a_librarys_message(self):
        shown = line("grpc._cython.cygrpc", "Invalid encoding on %s", SECRET)

        assert json.loads(shown)["message"] == "Invalid encoding on %s"
        assert SECRET not in shown

    def test_writes_only_the_place_of_a_message_without_a_pattern(self):
        shown = line("asyncio", f"exception=RuntimeError('{SECRET}')")

        assert json.loads(shown)["message"] == "message of a library, at file.py:7"
        assert SECRET not in shown

    def test_leaves_out_a_librarys_fields(self):
        assert SECRET not in line("aiohttp.access", "%s", "x", extra={"r": SECRET})

    def test_names_only_the_type_of_an_exception(self):
        shown = line("gateway.app", "failed", error=failed())

        assert json.loads(shown)["exception"] == "RuntimeError"
        assert SECRET not in shown

    def test_takes_long_runs_of_digits_out(self):
        number = "4242 4242-4242 4242"

        assert "4242" not in line("gateway.app", "x", extra={"a": number})

    async def test_hides_the_exception_of_a_forgotten_task(self):
        """The report of asyncio itself quotes it."""
        shown = []
        handler = logging.Handler()
        handler.emit = lambda record: shown.append(JsonFormatter().format(record))
        logging.getLogger("asyncio").addHandler(handler)
        context = {"message": "never retrieved", "exception": RuntimeError(SECRET)}
        asyncio.get_running_loop().default_exception_handler(context)
        logging.getLogger("asyncio").removeHandler(handler)

        assert shown
        assert SECRET not in shown[0]

    def test_writes_the_time_in_utc_to_the_millisecond(self):
        record = logging.makeLogRecord({"name": "gateway.app", "msg": "x"})
        formatter = JsonFormatter()
        shown = []
        for record.created in (1_790_000_000.5, 1_790_000_000.999, 1_790_000_001.0):
            shown.append(json.loads(formatter.format(record))["time"])

        assert shown == [
            "2026-09-21T14:13:20.500+00:00",
            "2026-09-21T14:13:20.999+00:00",
            "2026-09-21T14:13:21.000+00:00",
        ]
