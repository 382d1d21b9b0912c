"""Each AWS policy lets its job through and nothing near it, and has no part to spare."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from policies.asked import asked
from policies.book import POLICIES
from policies.evaluator import allows
from policies.job import recorded
from policies.mutation import narrowed, widened

FOLDER = Path(__file__).parents[2] / "policies/aws"


def policy(name):
    return json.loads((FOLDER / f"{name}.json").read_text())


def requests(name):
    """What the job asks, call by call."""
    found = [one for call in recorded(POLICIES[name][0]) for one in asked(call)]
    return {f"{number}: {one.action} on {one.resource}": one for number, one in enumerate(found)}


def refused(name):
    return POLICIES[name][1]()


def test_every_policy_has_a_job_and_cases():
    assert {path.stem for path in FOLDER.glob("*.json")} == POLICIES.keys()


@pytest.mark.parametrize("name", POLICIES)
def test_the_job_is_allowed(name):
    found = requests(name)
    assert len(found) > 1
    assert [why for why, one in found.items() if not allows(policy(name), one)] == []


@pytest.mark.parametrize("name", POLICIES)
def test_what_is_near_is_refused(name):
    cases = refused(name)
    assert len(cases) >= 10
    assert [why for why, one in cases.items() if allows(policy(name), one)] == []


@pytest.mark.parametrize("name", POLICIES)
def test_without_any_one_part_the_job_fails(name):
    found, mutants = requests(name), dict(narrowed(policy(name)))
    for mutant, changed in mutants.items():
        stopped = [why for why, one in found.items() if not allows(changed, one)]
        assert stopped, f"{name}: the job needs no {mutant}"
        print(f"{mutant} -> {len(stopped)} calls fail, first {stopped[0]}")


@pytest.mark.parametrize("name", POLICIES)
def test_with_any_one_part_widened_something_near_is_allowed(name):
    cases, mutants = refused(name), dict(widened(policy(name)))
    for mutant, changed in mutants.items():
        passed = [why for why, one in cases.items() if allows(changed, one)]
        assert passed, f"{name}: no case notices {mutant}"
        print(f"{mutant} -> lets through {passed[0]}")
