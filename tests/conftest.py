"""What every test shares: under CI a skip is a failure unless its reason is listed."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# Failures inside the shared contract suites are explained as in any test. Said here:
# before any module that imports one is collected.
pytest.register_assert_rewrite("tests.contract")

# A shared machine is slow at times; an example that takes long is not a failure.
settings.register_profile("bailee", deadline=None)
settings.load_profile("bailee")

_PERMITTED = Path(__file__).parent / "permitted_skips.txt"


def permitted_reasons():
    """Returns the listed reasons; lines that begin with # explain."""
    if not _PERMITTED.exists():
        return []
    lines = _PERMITTED.read_text("utf-8").splitlines()
    return [line.strip() for line in lines if line.strip() and line[0] != "#"]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.skipped and os.environ.get("CI") and not hasattr(report, "wasxfail"):
        reason = str(report.longrepr[2]).removeprefix("Skipped: ")
        if not any(reason.startswith(known) for known in permitted_reasons()):
            report.outcome = "failed"
            report.longrepr = f"skipped under CI for a reason not listed: {reason}"
    return report
