"""Failures inside the shared contract are explained as in any test."""

import pytest

pytest.register_assert_rewrite("tests.contract.processor_contract")
