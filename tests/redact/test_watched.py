from __future__ import annotations

import base64
import gc
import json
import os
import signal
import threading
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secretkit.core.secret import Secret
from secretkit.redact.watched import REDACTED, Watched, forms_of, masked


@pytest.fixture
def watched():
    return Watched()


def values(number: int, *, shape: str = "sk-ant-{:06d}-" + "q" * 40) -> list[Secret]:
    """Secrets that begin and end alike, as keys of one kind do."""
    return [Secret(shape.format(at)) for at in range(number)]


def test_however_many_live_values_there_are_each_is_taken_out(watched):
    secrets = values(3000)
    for secret in secrets:
        watched.add(secret)
    for secret in (secrets[0], secrets[1500], secrets[-1]):
        assert watched.clean(f"see {secret.reveal()}.") == f"see {REDACTED}."
    assert "3000" in repr(watched)


def test_one_more_value_does_not_touch_those_that_are_watched(watched):
    """The work of an add does not grow: only its own spellings enter the index."""
    secrets = values(400)
    for secret in secrets:
        watched.add(secret)
    calls = []

    def spelled(forms):
        calls.append(forms)
        return forms

    entries = {
        mark: (ref, lambda forms=forms: spelled(forms()))
        for mark, (ref, forms) in watched._entries.items()
    }
    watched._entries.update(entries)
    more = Secret("another-" + "w" * 20)
    watched.add(more)
    watched.forget(more)
    assert calls == []


def test_values_leave_one_by_one_until_none_is_left(watched):
    secrets = values(300)
    for secret in secrets:
        watched.add(secret)
    text = " ".join(secret.reveal() for secret in secrets)
    for left in range(len(secrets), 0, -50):
        assert watched.clean(text).count(REDACTED) == left
        for secret in secrets[left - 50 : left]:
            watched.forget(secret)
            watched.forget(secret)
    assert watched.clean(text) == text
    assert watched.clean("") == ""


def test_a_value_watched_twice_is_one_value(watched):
    secret = Secret("twice-" + "x" * 20)
    watched.add(secret)
    watched.add(secret)
    watched.forget(secret)
    assert watched.clean(secret.reveal()) == secret.reveal()


def test_the_dead_are_dropped_at_the_next_change(watched):
    secrets = values(500)
    for secret in secrets:
        watched.add(secret)
    del secrets, secret
    gc.collect()
    watched.forget(Secret("unknown-value"))
    assert "0 values" in repr(watched)
    assert watched.clean("sk-ant-000007-" + "q" * 40) == "sk-ant-000007-" + "q" * 40


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.text("ab-", min_size=8, max_size=14), min_size=1, max_size=40, unique=True),
    st.text("ab-", max_size=60),
    st.data(),
)
def test_few_or_many_no_spelling_of_a_watched_value_stays(texts, noise, data):
    watched, kept = Watched(), []
    for text in texts:
        kept.append(Secret(text))
        watched.add(kept[-1])
    gone = data.draw(st.sets(st.sampled_from(range(len(kept)))))
    for at in gone:
        watched.forget(kept[at])
    left = [secret for at, secret in enumerate(kept) if at not in gone]
    chosen = data.draw(st.lists(st.sampled_from(texts), max_size=5))
    line = noise.join(["", *chosen, ""])
    forms = forms_of(left)()
    inside = [
        (at, at + len(form))
        for form in forms
        for at in range(len(line))
        if line.startswith(form, at)
    ]
    assert watched.clean(line) == masked(line, inside)


def test_values_that_overlap_are_taken_out_whole(watched):
    one, other = Secret("abcdefghij"), Secret("ghijklmnopqrstu")
    watched.add(one)
    watched.add(other)
    assert watched.clean("<abcdefghijklmnopqrstu>") == f"<{REDACTED}>"
    assert watched.clean("<abcdefghij><ghijklmnopqrstu>") == f"<{REDACTED}><{REDACTED}>"


def test_reading_while_others_add_and_forget_misses_nothing(watched):
    kept, stop = Secret("always-" + "k" * 30), threading.Event()
    watched.add(kept)

    def churn():
        while not stop.is_set():
            for secret in values(40):
                watched.add(secret)
                watched.add(kept)
                watched.forget(secret)

    threads = [threading.Thread(target=churn) for _ in range(3)]
    for thread in threads:
        thread.start()
    line = "x " + kept.reveal()
    missed = [1 for _ in range(3000) if watched.clean(line) != f"x {REDACTED}"]
    stop.set()
    for thread in threads:
        thread.join()
    assert missed == []


def in_child(work) -> int:
    """Run ``work`` in a fork and give 0 if it gave something true, 1 if not, 14 if it hung."""
    pid = os.fork()
    if pid == 0:
        signal.alarm(5)
        code = 2
        try:
            code = 0 if work() else 1
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_fork_under_churn_gives_children_that_watch_and_forget(watched):
    kept, stop = values(50), threading.Event()
    for secret in kept:
        watched.add(secret)

    def churn():
        while not stop.is_set():
            for secret in kept:
                watched.add(secret)

    def work():
        new = Secret("of-the-child-" + "c" * 20)
        watched.add(new)
        seen = all(watched.clean(one.reveal()) == REDACTED for one in (*kept, new))
        for one in (*kept, new):
            watched.forget(one)
        return seen and watched.clean(kept[0].reveal()) == kept[0].reveal()

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        codes = [in_child(work) for _ in range(30)]
    finally:
        stop.set()
        thread.join()
    assert codes == [0] * 30


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_fork_in_the_middle_of_a_change_leaves_a_whole_index(watched):
    """A child made while another thread holds the lock, between an entry and its spellings."""
    kept, half = Secret("kept-" + "x" * 20), Secret("half-" + "y" * 20)
    watched.add(kept)
    inside, go = threading.Event(), threading.Event()
    put = watched._net.put

    def slow(forms):
        inside.set()
        go.wait(10)
        put(forms)

    watched._net = watched._net._replace(put=slow)
    thread = threading.Thread(target=watched.add, args=(half,))
    thread.start()
    inside.wait(10)

    def work():
        clean = watched.clean(kept.reveal()) == watched.clean(half.reveal()) == REDACTED
        watched.forget(half)
        return clean and watched.clean(half.reveal()) == half.reveal()

    try:
        assert in_child(work) == 0
    finally:
        go.set()
        thread.join()
    assert watched.clean(half.reveal()) == REDACTED


PEM_LINES = [f"{at:02d}" + "Ab+/" * 15 + "Z=" for at in range(25)]
PEM = "\n".join(["-----BEGIN PRIVATE KEY-----", *PEM_LINES, "-----END PRIVATE KEY-----", ""])


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\n    ", "\n> ", " | "])
def test_the_lines_of_a_key_are_masked_however_they_are_put_together(watched, ending):
    secret = Secret(PEM)
    watched.add(secret)
    shown = watched.clean(ending.join(PEM.splitlines()))
    assert not any(line in shown for line in PEM_LINES)
    watched.forget(secret)
    assert watched.clean(PEM) == PEM


def test_what_every_key_begins_with_is_not_masked(watched):
    secret = Secret(PEM)
    watched.add(secret)
    assert watched.clean("-----BEGIN PRIVATE KEY-----") == "-----BEGIN PRIVATE KEY-----"


def test_the_fields_of_a_secret_in_json_are_masked_and_the_lines_in_them(watched):
    field, deep = "pass/" + "w" * 12, "deep-" + "d" * 8
    secret = Secret(json.dumps({"user": "u", "pw": field, "more": [{"x": deep}], "key": PEM}))
    watched.add(secret)
    basic = base64.b64encode(f"u:{field}".encode()).decode()
    for text in (field, deep, PEM_LINES[7], quote(field, safe="")):
        assert watched.clean(f"<{text}>") == f"<{REDACTED}>"
    assert base64.b64encode(field.encode()).decode()[3:15] not in watched.clean(basic)
    assert watched.clean("user pw more key u") == "user pw more key u"


@pytest.mark.parametrize(
    "text", ["{" * 9000, "[" * 90000 + '"', '{"a": 123', "[" + "9" * 9000 + "]"]
)
def test_what_only_begins_like_json_is_masked_as_it_is(watched, text):
    secret = Secret(text)
    watched.add(secret)
    assert watched.clean(f"see {text}.") == f"see {REDACTED}."
