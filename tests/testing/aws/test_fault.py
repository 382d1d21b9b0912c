"""Which call a fault is for."""

from __future__ import annotations

import pytest

from secretkit.errors import ConfigError
from secretkit.testing.aws import Fault


@pytest.mark.parametrize(
    ("meant", "called", "fits"),
    [
        ("*", "sts:AssumeRole", True),
        ("sts:*", "sts:AssumeRole", True),
        ("sts:*", "ssm:GetParameter", False),
        ("sts:AssumeRole", "sts:AssumeRole", True),
        ("sts:AssumeRole", "sts:AssumeRoleWithWebIdentity", False),
    ],
)
def test_an_action_is_one_all_or_a_services(meant, called, fits):
    assert Fault(action=meant, code="X").fits(called, "us-east-1") is fits


def test_a_fault_that_changes_nothing_is_refused():
    with pytest.raises(ConfigError):
        Fault(action="sts:AssumeRole")
