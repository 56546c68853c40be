"""What all tests share: a skip is loud, and where nothing may be skipped it is a failure."""

import os
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("adjourn", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
settings.load_profile("adjourn")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and os.environ.get("ADJOURN_SKIPS") == "fail":
        report.outcome = "failed"
    return report
