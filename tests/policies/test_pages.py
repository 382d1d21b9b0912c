"""The pages name every file, and their commands work as they stand."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pages import ROOT, blocks, prose
from policies.conftest import absent
from policies.evaluator import texts
from secretkit.testing.bao import Bao, find_bao

FOLDER = ROOT / "policies"
README, GUIDE = FOLDER / "README.md", ROOT / "docs/policies.md"
FILES = sorted(path for path in FOLDER.rglob("*") if path.is_file() and path != README)


def commands(page, program):
    """The commands of a page's plain blocks that start with a program, lines joined."""
    whole = "".join(one.body for one in blocks(page) if one.kind in {"", "sh"})
    joined = whole.replace("\\\n", " ")
    return [shlex.split(line) for line in joined.splitlines() if line.startswith(f"{program} ")]


def test_every_file_is_in_the_table_and_everything_in_it_exists():
    named = set(re.findall(r"^\| \[[\w/.-]+\]\(([\w/.-]+)\)", README.read_text(), re.MULTILINE))
    assert all((FOLDER / one).is_file() for one in named)
    folders = {str(Path(one).parent) for one in named if one.startswith("claude/")}
    found = {path.relative_to(FOLDER).as_posix() for path in FILES}
    assert found - named == {one for one in found - named if str(Path(one).parent) in folders}


@pytest.mark.parametrize("page", [README, GUIDE], ids=["readme", "guide"])
def test_every_link_leads_to_a_file(page):
    for target in re.findall(r"\]\(([^)#\s]+)\)", prose(page)):
        assert target.startswith("https://") or (page.parent / target).exists(), target


def test_every_file_is_in_the_guide():
    text = GUIDE.read_text()
    for path in FILES:
        place = path.relative_to(FOLDER)
        assert place.name in text or f"claude/{place.parent.name}" in text, place


@pytest.fixture(scope="session")
def filled(tmp_path_factory):
    """What the commands of the README make of a copy."""
    folder = tmp_path_factory.mktemp("fill")
    shutil.copytree(FOLDER, folder / "policies")
    (script,) = [one.body for one in blocks(README) if one.kind == "sh"]
    shell = ["bash", "-c", script]
    environ = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
    done = subprocess.run(
        shell, cwd=folder, env=environ, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")  # 1: grep found nothing
    return folder / "mine"


def test_what_the_readme_replaces_is_all_there_is_to_replace(filled):
    documents = [json.loads(path.read_text()) for path in filled.rglob("aws/**/*.json")]
    assert len(documents) == len(list((FOLDER / "aws").rglob("*.json")))
    for document in documents:
        for statement in document["Statement"]:
            for arn in re.findall(r"arn:[^\"]+", json.dumps(statement)):
                assert arn.split(":")[3] in {"eu-central-1", "eu-west-1", "eu-north-1", ""}
                assert arn.split(":")[4] in {"444455556666", "777788889999", ""}
            assert texts(statement["Action"])


def test_the_vault_commands_of_the_guide_work(filled, tmp_path):
    if not find_bao():
        absent("bao is not installed")
    found = commands(GUIDE, "bao")
    with Bao.dev(tmp_path) as bao:
        environ = {
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
            "HOME": str(tmp_path),
            "BAO_ADDR": bao.url,
            "BAO_TOKEN": bao.root.reveal(),
        }
        for words in found:
            done = subprocess.run(
                words, cwd=filled.parent, env=environ, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, (words, done.stderr)
    written = {words[4] for words in found if words[1:3] == ["policy", "write"]}
    assert written == {f"mine/vault/{path.name}" for path in (FOLDER / "vault").iterdir()}


def test_the_aws_commands_of_the_guide_exist(filled):
    import botocore.session
    from botocore import xform_name

    session = botocore.session.get_session()
    found = commands(GUIDE, "aws")
    assert len(found) > 4
    for _, service, operation, *words in found:
        model = session.get_service_model(service)
        names = {xform_name(one, "-"): one for one in model.operation_names}
        known = model.operation_model(names[operation]).input_shape.members
        options = {xform_name(one, "-") for one in known}
        given = {word.removeprefix("--") for word in words if word.startswith("--")}
        assert given <= options, (operation, given - options)
        for word in words:
            if word.startswith("file://"):
                assert (filled.parent / word.removeprefix("file://")).is_file(), word
