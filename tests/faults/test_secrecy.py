"""The secret itself is in nothing that a scan prints or keeps; hostile names break no report."""

from __future__ import annotations

import base64
import csv
import io
import json
import os
import urllib.parse
import xml.etree.ElementTree as ET

import pytest

from faults.command import scan
from scan.repository import Repository, key

KEY = key("secrecy")
FORMATS = ("text", "json", "sarif", "junit", "csv")
NAMES = [
    b"esc\x1b[2Jx",
    b"line\nbreak",
    b"::error::x",
    "bidi\u202ex".encode(),
    "c1\x9b2Jx".encode(),
    b"invalid\xff\xfe",
    b"=cmd()|x",
    b"a,b\"c'd<e>&f",
]


def spellings(value):
    raw = value.encode()
    encoded = base64.b64encode(raw).decode()
    percent = "".join(f"%{byte:02X}" for byte in raw)
    forms = {
        *(value, value[::-1], raw.hex(), raw.hex().upper(), percent, percent.lower()),
        *(encoded, base64.b64encode(b"x" + raw).decode()[4:-4]),
        *(base64.b64encode(b"xx" + raw).decode()[4:-4], value[12:44], urllib.parse.quote(value)),
    }
    return [form.encode() for form in forms]


def shown_in(content):
    return [number for number, form in enumerate(spellings(KEY)) if form in content]


@pytest.fixture
def home(tmp_path):
    made = tmp_path / "home"
    made.mkdir()
    return made


@pytest.fixture
def repository(tmp_path):
    made = Repository(tmp_path / "work")
    encoded = base64.b64encode(f"user:{KEY}".encode()).decode()
    made.commit(a__py=f'x = 1\nTOKEN = "{KEY}"\n', b__yaml=f"data: {encoded}\n")
    made.stage(c__env=f"KEY={KEY}\nKEY = {KEY[::-1]}\n")
    return made


def _files(folder):
    return [path for path in folder.rglob("*") if path.is_file() and ".git" not in path.parts]


@pytest.mark.parametrize("words", [(), ("--staged",), ("--history",)])
def test_no_output_shows_the_secret_in_any_spelling(repository, home, words):
    for form in FORMATS:
        done = scan(repository.folder, "-v", "--format", form, *words, home=home)
        assert done.code == 1, done.err
        assert done.out
        assert shown_in(done.out + done.err) == [], form
    for path in _files(home):  # the rules' pack, and what is known of history
        assert shown_in(path.read_bytes()) == [], path.name


def test_what_is_accepted_is_kept_without_the_secret_and_by_the_repositorys_own_key(
    repository, home, tmp_path
):
    done = scan(repository.folder, "--accept", "--reason", "a test", home=home)
    kept = [path for path in _files(repository.folder) if path.name.startswith(".secretkit")]
    assert kept, done.err
    for path in (*kept, *_files(home)):
        assert shown_in(path.read_bytes()) == [], path.name
    assert shown_in(done.out + done.err) == []
    marks = [{one["fingerprint"] for one in done.findings}]
    other = Repository(tmp_path / "other")
    other.stage(a__py=f'x = 1\nTOKEN = "{KEY}"\n')
    done = scan(other.folder, "--accept", "--reason", "a test", home=home)
    marks.append({one["fingerprint"] for one in done.findings})
    contents = [path.read_text() for path in _files(other.folder) if path.name == kept[0].name]
    assert contents
    assert kept[0].read_text() != contents[0]
    assert not marks[0] & marks[1]


@pytest.fixture
def hostile(tmp_path):
    folder = tmp_path / "names"
    folder.mkdir()
    for name in NAMES:
        descriptor = os.open(os.fsencode(folder) + b"/" + name, os.O_WRONLY | os.O_CREAT)
        os.write(descriptor, f"1\n\n{KEY}\n".encode())
        os.close(descriptor)
    return folder


@pytest.mark.parametrize("form", FORMATS)
def test_a_hostile_name_breaks_no_report(hostile, home, form):
    done = scan(hostile, "--format", form, home=home)
    assert done.code == 1, done.err
    text = (done.out + done.err).decode()
    allowed = "\n\r" if form == "csv" else "\n"
    assert all(char.isprintable() or char in allowed for char in text)
    assert not any(line.startswith("::") for line in text.splitlines())
    assert shown_in(done.out + done.err) == []
    count = {"text": _text, "json": _json, "sarif": _sarif, "junit": _junit, "csv": _csv}[form]
    assert count(done.out.decode()) == [3] * len(NAMES)


def _text(out):
    lines = [line for line in out.splitlines() if "anthropic-api-key (" in line]
    return [3 for line in lines if ":3:1: critical" in line]


def _json(out):
    return [one["line"] for one in json.loads(out)["findings"]]


def _sarif(out):
    places = [one["locations"][0] for one in json.loads(out)["runs"][0]["results"]]
    return [one["physicalLocation"]["region"]["startLine"] for one in places]


def _junit(out):
    failures = [case for case in ET.fromstring(out).iter("testcase") if len(case)]  # noqa: S314 - our own
    return [3 for _ in failures]


def _csv(out):
    rows = list(csv.DictReader(io.StringIO(out)))
    assert not any(row["path"].startswith("=") for row in rows)
    return [int(row["line"]) for row in rows]
