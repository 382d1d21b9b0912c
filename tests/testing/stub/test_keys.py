from datetime import timedelta

import pytest
from stubwire import KEY

from secretkit.core.secret import Secret
from secretkit.errors import ConfigError
from secretkit.testing.stub.keys import KeyRing

MINUTE = timedelta(minutes=1)


@pytest.fixture
def ring(fake_clock):
    return KeyRing(fake_clock)


def state(ring, text=KEY):
    return ring.judge(Secret(text)).state


def test_no_key_is_accepted_at_first(ring):
    assert ring.judge(Secret(KEY)) == ("", "unknown", False)


def test_a_key_is_known_by_its_label(ring):
    ring.accept(KEY, label="a")
    ring.accept(Secret(KEY + "b"), label="b")
    assert ring.judge(Secret(KEY)) == ("a", "accepted", False)
    assert ring.judge(Secret(KEY + "b")).label == "b"
    assert state(ring, KEY + "c") == "unknown"
    assert state(ring, KEY[:-1]) == "unknown"


def test_a_refused_key_keeps_its_label_and_can_be_accepted_again(ring):
    ring.accept(KEY, label="a")
    ring.refuse("a")
    assert ring.judge(Secret(KEY)) == ("a", "refused", False)
    ring.accept(KEY, label="a")
    assert state(ring) == "accepted"


def test_an_overlap_ends_on_the_given_clock(ring, fake_clock):
    ring.accept(KEY, label="a")
    ring.refuse_after("a", MINUTE)
    fake_clock.advance(MINUTE - timedelta(microseconds=1))
    assert state(ring) == "accepted"
    fake_clock.advance(timedelta(microseconds=1))
    assert state(ring) == "refused"


def test_a_wall_clock_that_jumps_ends_no_overlap(ring, fake_clock):
    ring.accept(KEY, label="a")
    ring.refuse_after("a", MINUTE)
    fake_clock.jump_wall(timedelta(days=1))
    assert state(ring) == "accepted"


def test_an_expired_key_says_so(ring):
    ring.accept(KEY, label="a")
    ring.expire("a")
    assert state(ring) == "expired"
    assert ring.states() == {"a": "expired"}


@pytest.mark.parametrize("verb", ["refuse", "expire"])
def test_an_unknown_label_is_an_error_that_names_the_known_ones(ring, verb):
    ring.accept(KEY, label="a")
    with pytest.raises(ConfigError) as caught:
        getattr(ring, verb)("b")
    assert "a" in caught.value.hint


def test_a_label_stands_for_one_key(ring):
    ring.accept(KEY, label="a")
    with pytest.raises(ConfigError) as caught:
        ring.accept(KEY + "x", label="a")
    assert KEY not in str(caught.value)
    with pytest.raises(ConfigError):
        ring.accept(KEY, label="")


def test_a_minted_token_lives_for_its_life(ring, fake_clock):
    token, label = ring.mint(life=MINUTE)
    assert token.reveal().startswith("sk-ant-oat01-")
    assert ring.judge(token) == (label, "accepted", True)
    fake_clock.advance(MINUTE)
    assert ring.judge(token) == (label, "expired", True)


def test_ended_tokens_are_forgotten_in_a_long_run(ring, fake_clock):
    first, _ = ring.mint(life=MINUTE)
    fake_clock.advance(MINUTE)
    for _ in range(1_100):
        ring.mint(life=timedelta())
    assert ring.judge(first).state == "unknown"
    assert len(ring.states()) <= 1_001


def test_the_ring_keeps_no_key(ring):
    ring.accept(KEY, label="a")
    held = repr([getattr(ring, name, None) for name in vars(ring)]) + repr(ring)
    assert KEY not in held
    assert KEY.encode().hex() not in held
