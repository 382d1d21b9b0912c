"""The keyring provider: hanging, locked, missing and insecure back ends."""

import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

import keyring.errors
import pytest
from keyring.backend import KeyringBackend
from keyring.backends import chainer, fail, null

from secretkit.broker.clock import SystemClock
from secretkit.core.ref import SecretRef
from secretkit.core.secret import Secret
from secretkit.errors import (
    AccessDeniedError,
    ConfigError,
    ProviderError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    RefError,
    SecretError,
    SecretNotFoundError,
)
from secretkit.providers.keyring import KeyringProvider
from secretkit.testing.context import provider_context
from secretkit.testing.contract import assert_no_trace

ROOT = Path(__file__).parents[2]
LONG = timedelta(seconds=20)
SHORT = timedelta(milliseconds=100)
REF = SecretRef("keyring", "app/user")
VALUE = "canary-" + "k" * 30


class Store(KeyringBackend):
    """A back end in memory, with an error to raise and a gate to wait at."""

    priority = 2  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.entries = {("app", "user"): VALUE}
        self.error: Exception | None = None
        self.gate = threading.Event()
        self.gate.set()
        self.calls = 0

    def _called(self) -> None:
        self.calls += 1
        self.gate.wait(60)
        if self.error is not None:
            raise self.error

    def get_password(self, service: str, username: str) -> str | None:
        self._called()
        return self.entries.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self._called()
        self.entries[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        self._called()
        del self.entries[service, username]


def provider(backend: KeyringBackend, patience: timedelta = LONG) -> KeyringProvider:
    return KeyringProvider(backend, clock=SystemClock(), patience=patience)


def every_call(made: KeyringProvider):
    return (
        lambda: made.fetch(REF, timeout=LONG),
        lambda: made.write(REF, Secret(VALUE)),
        lambda: made.write(REF, Secret(VALUE), expected_version="0"),
        lambda: made.delete(REF),
    )


def test_the_last_slash_parts_service_and_user() -> None:
    store = Store()
    store.entries["https://host/path", "me"] = "x"
    ref = SecretRef.parse("keyring:https://host/path/me")
    assert provider(store).fetch(ref, timeout=LONG).secret.reveal() == "x"


def test_a_field_is_read_from_json_but_not_written() -> None:
    store = Store()
    store.entries["app", "user"] = '{"a": "b"}'
    ref = SecretRef.parse("keyring:app/user#a")
    assert provider(store).fetch(ref, timeout=LONG).secret.reveal() == "b"
    for act in (
        lambda: provider(store).write(ref, Secret("x")),
        lambda: provider(store).delete(ref),
    ):
        with pytest.raises(RefError, match="one field"):
            act()


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (keyring.errors.KeyringLocked(VALUE), AccessDeniedError),
        (keyring.errors.InitError(VALUE), ProviderUnavailableError),
        (keyring.errors.NoKeyringError(VALUE), ProviderUnavailableError),
        (keyring.errors.PasswordSetError(VALUE), ProviderError),
        (RuntimeError(VALUE), ProviderError),
        (UnicodeDecodeError("utf-8", VALUE.encode(), 0, 1, VALUE), ProviderError),
    ],
)
def test_foreign_errors_are_translated_without_their_text(
    error: Exception, kind: type[ProviderError]
) -> None:
    store = Store()
    store.error = error
    for act in every_call(provider(store)):
        with pytest.raises(ProviderError) as caught:
            act()
        assert type(caught.value) is kind
        assert caught.value.hint
        assert_no_trace(caught.value, VALUE)


def test_a_locked_keyring_says_how_to_go_on() -> None:
    store = Store()
    store.error = keyring.errors.KeyringLocked("locked")
    with pytest.raises(AccessDeniedError, match="locked") as caught:
        provider(store).fetch(REF, timeout=LONG)
    assert "unlock" in caught.value.hint
    assert "local:" in caught.value.hint


def test_an_empty_entry_is_no_secret_but_can_be_deleted() -> None:
    store = Store()
    store.entries["app", "user"] = ""
    with pytest.raises(SecretError, match="empty"):
        provider(store).fetch(REF, timeout=LONG)
    provider(store).delete(REF)
    assert store.entries == {}


def test_a_hanging_keyring_is_given_up_then_not_asked_until_it_answers() -> None:
    store = Store()
    made = provider(store, patience=SHORT)
    store.gate.clear()
    with pytest.raises(ProviderTimeoutError) as caught:
        made.fetch(REF, timeout=SHORT)
    assert caught.value.hint
    for act in every_call(made):
        with pytest.raises(ProviderUnavailableError, match="earlier call"):
            act()
    assert store.calls == 1
    store.gate.set()
    for _ in range(200):
        if not made._worker.stuck:
            break
        threading.Event().wait(0.02)
    assert made.fetch(REF, timeout=LONG).secret.reveal() == VALUE


def test_writing_and_deleting_have_a_deadline_too() -> None:
    for number in (1, 2, 3):
        store = Store()
        store.gate.clear()
        made = provider(store, patience=SHORT)
        with pytest.raises(ProviderTimeoutError) as caught:
            every_call(made)[number]()
        assert_no_trace(caught.value, VALUE)
        store.gate.set()


class Weak(Store):
    priority = 0.5  # type: ignore[assignment]


class Absent(Store):
    class _Raises:
        def __get__(self, *_: object) -> float:
            raise RuntimeError("not on this machine")

    priority = _Raises()  # type: ignore[assignment]


class MyPlaintextKeyring(Store):
    priority = 9  # type: ignore[assignment]


class FromAlt(Store):
    priority = 9  # type: ignore[assignment]


FromAlt.__module__ = "keyrings.alt.file"


class Chain(chainer.ChainerBackend):
    backends: list[KeyringBackend] = []  # type: ignore[assignment]  # noqa: RUF012


@pytest.mark.parametrize(
    "backend",
    [fail.Keyring(), null.Keyring(), Weak(), Absent(), MyPlaintextKeyring(), FromAlt()],
    ids=lambda backend: type(backend).__name__,
)
def test_a_back_end_that_does_not_protect_is_never_used(backend: KeyringBackend) -> None:
    for act in every_call(provider(backend)):
        with pytest.raises(ProviderUnavailableError) as caught:
            act()
        assert "dbus-run-session" in caught.value.hint
        assert "local:" in caught.value.hint
    assert getattr(backend, "calls", 0) == 0


def test_of_a_chain_only_a_secure_member_is_used() -> None:
    secure, plain = Store(), MyPlaintextKeyring()

    class Mixed(Chain):
        backends = [plain, secure]  # type: ignore[assignment]  # noqa: RUF012

    class Only(Chain):
        backends = [plain, null.Keyring()]  # type: ignore[assignment]  # noqa: RUF012

    assert provider(Mixed()).fetch(REF, timeout=LONG).secret.reveal() == VALUE
    assert (secure.calls, plain.calls) == (1, 0)
    with pytest.raises(ProviderUnavailableError, match="no secure member"):
        provider(Only()).fetch(REF, timeout=LONG)
    with pytest.raises(ProviderUnavailableError, match="no secure member"):
        provider(Chain()).fetch(REF, timeout=LONG)
    assert plain.calls == 0


def test_a_version_cannot_be_expected_of_a_keyring() -> None:
    store = Store()
    with pytest.raises(ProviderError, match="keeps no versions"):
        provider(store).write(REF, Secret("x"), expected_version="1")
    assert store.calls == 0


def test_a_missing_entry_says_how_to_store_it() -> None:
    with pytest.raises(SecretNotFoundError) as caught:
        provider(Store()).fetch(SecretRef("keyring", "app/other"), timeout=LONG)
    assert "keyring set" in caught.value.hint


@pytest.mark.parametrize(
    "options", [{"x": 1}, {"timeout": "soon"}, {"backend": "NoColon"}, {"backend": ":X"}]
)
def test_malformed_options_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        KeyringProvider.open(options, provider_context())


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("no_such_module:Keyring", "ModuleNotFoundError"),
        ("keyring.backends.null:Keyring", "does not protect"),
        ("keyring.backends.null:Nothing", "AttributeError"),
    ],
)
def test_a_named_back_end_must_work_and_be_secure(name: str, reason: str) -> None:
    made = KeyringProvider.open({"backend": name}, provider_context())
    with pytest.raises(ProviderUnavailableError, match=reason):
        made.fetch(REF, timeout=LONG)


def run(program: str, cwd: Path, **environ: str) -> str:
    head = (
        "import sys\nfrom datetime import timedelta\n"
        "from secretkit.core.ref import SecretRef\n"
        "from secretkit.errors import SecretkitError\n"
        "from secretkit.providers.keyring import KeyringProvider\n"
        "from secretkit.testing.context import provider_context\n"
    )
    tail = (
        "try:\n"
        "    KeyringProvider.open({}, provider_context()).fetch("
        "SecretRef('keyring', 'app/user'), timeout=timedelta(seconds=20))\n"
        "except SecretkitError as error:\n"
        "    print(type(error).__name__, '|', error, '|', error.hint)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", head + program + tail],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env={"PYTHONPATH": str(ROOT), "HOME": str(cwd), "PATH": "/nonexistent", **environ},
    )
    assert done.stderr == ""
    return done.stdout


def test_without_the_library_the_hint_is_what_to_install(tmp_path: Path) -> None:
    said = run("sys.modules['keyring'] = None\n", tmp_path)
    assert said.startswith("ProviderUnavailableError")
    assert 'pip install "secretkit[keyring]"' in said


def test_without_a_desktop_it_is_unavailable_and_nothing_around_us_is_obeyed(
    tmp_path: Path,
) -> None:
    """A hostile configuration, a hostile variable, and a back end in the working directory."""
    evil = "raise SystemExit('obeyed')\n"
    (tmp_path / "evil.py").write_text(evil)
    rc = "[backend]\ndefault-keyring=evil.Keyring\nkeyring-path=" + str(tmp_path) + "\n"
    for place in (tmp_path, tmp_path / ".config/python_keyring", tmp_path / "python_keyring"):
        place.mkdir(parents=True, exist_ok=True)
        (place / "keyringrc.cfg").write_text(rc)
    said = run(
        "",
        tmp_path,
        PYTHON_KEYRING_BACKEND="keyring.backends.null.Keyring",
        DBUS_SESSION_BUS_ADDRESS="unix:path=/nonexistent/bus",
    )
    assert said.startswith("ProviderUnavailableError | keyring:app/user: no secure keyring answers")
    assert "dbus-run-session" in said


def test_opening_imports_nothing(tmp_path: Path) -> None:
    program = (
        "KeyringProvider.open({}, provider_context())\n"
        "assert 'keyring' not in sys.modules\nprint('light')\nsys.exit()\n"
    )
    assert run(program, tmp_path) == "light\n"
