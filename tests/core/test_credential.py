"""Scorecard L01 and L02 for all that carries a Secret: credentials, Lease, Fetched, Acquired."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import io
import json
import logging
import marshal
import pickle
import pprint
import string
import traceback
from datetime import UTC, datetime

import pytest

from secretkit.core.credential import (
    KINDS,
    AccessToken,
    ApiKey,
    AwsCredentials,
    Opaque,
    check_header_value,
    of_kind,
)
from secretkit.core.lease import Lease
from secretkit.core.secret import MASK, Secret
from secretkit.errors import ConfigError, SecretError
from secretkit.ports import Acquired, Fetched

END = datetime(2030, 1, 1, tzinfo=UTC)
PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


def canary() -> str:
    """Give the clear value; called inside expressions, so that no frame of a test holds it."""
    return "sk-ant-api03-" + "canary" * 5


def secret() -> Secret:
    return Secret(canary())


def lease() -> Lease:
    return Lease("l1", "claude", ApiKey(secret()), 1, "me", "env:KEY", END, END)


HOLDERS = {
    "ApiKey": lambda: ApiKey(secret()),
    "AccessToken": lambda: AccessToken(secret(), END),
    "AwsCredentials": lambda: AwsCredentials("AKIAEXAMPLE", secret(), secret(), END),
    "Opaque": lambda: Opaque(secret()),
    "Lease": lease,
    "Fetched": lambda: Fetched(secret=secret(), version="1", expires_at=END),
    "Acquired": lambda: Acquired(credential=Opaque(secret()), ref="env:KEY"),
}
each = pytest.mark.parametrize("make", HOLDERS.values(), ids=HOLDERS)


def logged(thing: object) -> str:
    out = io.StringIO()
    logger = logging.Logger("test")  # noqa: LOG001 - one of its own
    logger.addHandler(logging.StreamHandler(out))
    logger.warning("%s %r", thing, thing)
    return out.getvalue()


SHOWN = {
    "repr": repr,
    "str": str,
    "format": format,
    "percent": lambda x: "%s %r" % (x, x),  # noqa: UP031 - the operator under test
    "f-string": lambda x: f"{x!r:>20}",
    "pprint": pprint.pformat,
    "template": lambda x: string.Template("$a").substitute(a=x),
    "json with a default": lambda x: json.dumps([x], default=str),
    "logging": logged,
    "asdict": lambda x: repr(dataclasses.asdict(x)),
    "astuple": lambda x: repr(dataclasses.astuple(x)),
    "pprint of asdict": lambda x: pprint.pformat(dataclasses.asdict(x)),
    "json of asdict": lambda x: json.dumps(dataclasses.asdict(x), default=str),
    "replace": lambda x: repr(dataclasses.replace(x)),
    "copy": lambda x: repr(copy.copy(x)),
    "deepcopy": lambda x: repr(copy.deepcopy(x)),
    "members": lambda x: repr(inspect.getmembers(x)),
    "fields": lambda x: repr([getattr(x, field.name) for field in dataclasses.fields(x)]),
    "an exception": lambda x: repr(ValueError(x)),
}


@each
@pytest.mark.parametrize("show", SHOWN.values(), ids=SHOWN)
def test_what_prints_shows_the_mask(make, show):
    shown = show(make())
    assert MASK in shown
    assert canary() not in shown


@each
@pytest.mark.parametrize(
    "use",
    [
        json.dumps,
        marshal.dumps,
        vars,
        iter,
        len,
        bytes,
        int,
        hash,
        lambda x: x + "a",
        lambda x: "a" + x,
        lambda x: "".join([x, x]),  # noqa: FLY002 - join is under test
        lambda x: x[0],
        lambda x: x[:4],
        lambda x: "sk" in x,
        lambda x: sorted([x, x]),
        lambda x: {x},
        lambda x: json.dumps(dataclasses.asdict(x)),
        lambda x: setattr(x, "secret", 1),
        lambda x: setattr(x, "credential", 1),
        lambda x: setattr(x, "other", 1),
    ],
)
def test_what_would_take_it_apart_is_refused(make, use):
    with pytest.raises((TypeError, ValueError, dataclasses.FrozenInstanceError)) as caught:
        use(make())
    shown = _rendered(caught.value)
    assert canary() not in shown


@each
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_it_cannot_be_pickled(make, protocol):
    with pytest.raises(TypeError, match="cannot be pickled") as caught:
        pickle.dumps(make(), protocol)
    shown = _rendered(caught.value)
    assert canary() not in shown


@each
def test_equality_looks_at_the_values_and_copies_keep_them(make):
    one = make()
    assert one == make()
    assert one == copy.copy(one) == copy.deepcopy(one) == dataclasses.replace(one)
    assert one != canary()


def test_one_changed_field_makes_credentials_differ():
    assert ApiKey(secret()) != ApiKey(Secret("another"))
    assert ApiKey(secret()) != ApiKey(secret(), END)
    assert ApiKey(secret()) != AccessToken(secret())
    assert dataclasses.replace(ApiKey(secret()), expires_at=END) == ApiKey(secret(), END)
    assert AwsCredentials("AKIA1", secret()) != AwsCredentials("AKIA2", secret())


@each
def test_it_has_slots_and_no_dict(make):
    assert not hasattr(make(), "__dict__")


def test_a_kind_is_a_property_of_the_class_and_no_field():
    assert [kind.kind for kind in (ApiKey, AccessToken, AwsCredentials, Opaque)] == [
        "anthropic-api-key",
        "anthropic-access-token",
        "aws",
        "opaque",
    ]
    for kind in (ApiKey, AccessToken, AwsCredentials, Opaque):
        assert "kind" not in {field.name for field in dataclasses.fields(kind)}


MALFORMED = {
    "trailing newline": (lambda: canary() + "\n", "ends with a line break"),
    "trailing CR LF": (lambda: canary() + "\r\n", "ends with a line break"),
    "inner newline": (lambda: canary() + "\nX-Evil: 1", "a space or a control character"),
    "leading space": (lambda: " " + canary(), "starts or ends with white space"),
    "trailing space": (lambda: canary() + " ", "starts or ends with white space"),
    "no-break space": (lambda: canary() + "\u00a0", "starts or ends with white space"),
    "inner space": (lambda: "Bearer " + canary(), "a space or a control character"),
    "tab": (lambda: canary() + "\t" + canary(), "a space or a control character"),
    "double quotes": (lambda: f'"{canary()}"', "wrapped in quotes"),
    "single quotes": (lambda: f"'{canary()}'", "wrapped in quotes"),
    "one quote": (lambda: f"'{canary()}", "wrapped in quotes"),
    "backticks": (lambda: f"`{canary()}`", "wrapped in quotes"),
    "zero width space": (lambda: canary() + "\u200b", "invisible"),
    "byte order mark": (lambda: "\ufeff" + canary(), "invisible"),
    "word joiner": (lambda: canary() + "\u2060" + canary(), "invisible"),
    "soft hyphen": (lambda: canary() + "\u00ad", "invisible"),
    "bidi override": (lambda: "\u202e" + canary(), "invisible"),
    "full width": (lambda: "\uff53\uff4b\uff0d" + canary(), "outside ASCII"),
    "typographic dash": (lambda: canary() + "\u2013", "outside ASCII"),
    "typographic quotes": (lambda: f"\u201c{canary()}\u201d", "outside ASCII"),
    "control": (lambda: canary() + "\x07", "control character"),
    "delete": (lambda: canary() + "\x7f", "control character"),
    "escape": (lambda: "\x1b[2J" + canary(), "control character"),
    "only a space": (lambda: " ", "white space"),
    "only a newline": (lambda: "\n", "line break"),
}
malformed = pytest.mark.parametrize(("make", "words"), MALFORMED.values(), ids=MALFORMED)


@malformed
@pytest.mark.parametrize(
    "shape",
    [
        ApiKey,
        AccessToken,
        lambda s: AwsCredentials("AKIAEXAMPLE", s),
        lambda s: AwsCredentials("AKIAEXAMPLE", secret(), s),
        lambda s: of_kind("anthropic-api-key", s),
        lambda s: check_header_value(s, what="an API key"),
        lambda s: dataclasses.replace(ApiKey(secret()), secret=s),
    ],
)
def test_a_malformed_value_is_refused_before_it_reaches_a_header(make, words, shape):
    with pytest.raises(SecretError, match=words) as caught:
        shape(Secret(make()))
    assert "secretkit set" in caught.value.hint
    shown = _rendered(caught.value)
    assert canary() not in shown


@malformed
def test_an_opaque_secret_may_hold_anything(make, words):
    value = Opaque(Secret(make())).secret.reveal()
    assert value == make()


UNWRAPPED = {
    "ApiKey": ApiKey,
    "AccessToken": AccessToken,
    "Opaque": Opaque,
    "aws secret": lambda s: AwsCredentials("AKIAEXAMPLE", s),
    "aws token": lambda s: AwsCredentials("AKIAEXAMPLE", secret(), s),
    "aws key id": lambda s: AwsCredentials(s, secret()),
    "of_kind": lambda s: of_kind("opaque", s),
    "of_kind, swapped": lambda s: of_kind(s, secret()),
    "check_header_value": lambda s: check_header_value(s, what="an API key"),
}


@pytest.mark.parametrize("shape", UNWRAPPED.values(), ids=UNWRAPPED)
@pytest.mark.parametrize("wrap", [lambda s: s + "/", lambda s: s.encode(), lambda s: (s,)])
def test_text_that_is_not_wrapped_is_refused_and_shown_nowhere(shape, wrap):
    with pytest.raises((SecretError, ConfigError)) as caught:
        _call(shape, lambda: wrap(canary()))
    assert caught.value.hint
    assert caught.value.__context__ is None
    frames = traceback.StackSummary.extract(traceback.walk_tb(caught.tb), capture_locals=True)
    own = [frame for frame in frames if "/secretkit/" in frame.filename]
    assert own
    shown = "".join(str(frame.locals) for frame in own) + str(caught.value) + repr(caught.value)
    assert canary() not in shown


def _call(shape, make):
    return shape(make())


@pytest.mark.parametrize("key_id", ["", " AKIA", "AKIA\n", "AKIA KEY", "AKIÄ", "A" * 129, "a/b", 1])
def test_a_malformed_aws_key_id_is_refused(key_id):
    with pytest.raises(SecretError, match="access key id"):
        AwsCredentials(key_id, secret())


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_of_kind_gives_the_shape_with_that_name(kind):
    made = of_kind(kind, secret(), expires_at=END)
    assert type(made) is KINDS[kind]
    assert made.kind == kind
    assert made.secret == secret()
    assert made.expires_at == END


@pytest.mark.parametrize("kind", ["", "aws", "Opaque", "anthropic"])
def test_an_unknown_kind_names_the_known_ones(kind):
    with pytest.raises(ConfigError) as caught:
        of_kind(kind, secret())
    assert all(known in caught.value.hint for known in KINDS)


def _rendered(error: BaseException) -> str:
    """Everything an error reporter could show, with the locals of every frame of the chain."""
    text = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    return text + repr(error) + repr(error.args) + str(error)
