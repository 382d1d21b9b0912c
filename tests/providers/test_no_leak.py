"""A provider holds the whole environment; neither its repr nor an error of it may show that."""

from datetime import timedelta

import pytest

from secretkit.core.ref import SecretRef
from secretkit.errors import SecretkitError
from secretkit.providers.registry import factory
from secretkit.testing.context import provider_context
from secretkit.testing.contract import assert_no_trace

CANARY = "canary-" + "e" * 30


@pytest.mark.parametrize(
    ("name", "options", "path"),
    [
        ("env", {}, "ABSENT"),
        ("dotenv", {}, "/nonexistent/.env"),
        ("file", {"root": "/nonexistent"}, "key"),
        ("command", {"argv": ["no-such-program-here"], "env": ["PATH", "MY_KEY"]}, "-"),
        ("command", {"argv": ["false"], "env": ["PATH", "MY_KEY"]}, "-"),
        ("chain", {"of": ["nobody"]}, "x"),
    ],
)
def test_the_environment_is_not_shown(name: str, options: dict[str, object], path: str) -> None:
    context = provider_context(environ={"MY_KEY": CANARY, "PATH": "/usr/bin:/bin"})
    assert CANARY not in repr(context)
    provider = factory(name).open(options, context)
    assert CANARY not in f"{provider!r}{provider}"
    with pytest.raises(SecretkitError) as caught:
        provider.fetch(SecretRef(name, path, "FIELD"), timeout=timedelta(seconds=10))
    assert_no_trace(caught.value, CANARY)
