import pickle
import threading

import pytest

from secretkit.core.secret import Secret
from secretkit.errors import ProviderError, SecretError
from secretkit.testing import LeakGuard

VALUE = "guarded-" + "value-" * 4


@pytest.fixture
def guard():
    made = LeakGuard()
    made.watch(Secret(VALUE))
    return made


def test_without_a_live_secret_nothing_is_a_leak():
    guard = LeakGuard()
    assert not guard.live
    assert not guard.check(VALUE, where="here")


@pytest.mark.parametrize("seen", [VALUE, VALUE.encode(), f"x{VALUE}y", "\udcff" + VALUE])
def test_a_leak_says_where_and_not_what(guard, seen):
    assert guard.check(seen, where="stdout")
    (leak,) = guard.leaks
    assert leak.startswith("stdout: live secret 1")
    assert VALUE not in leak


def test_a_leak_is_taken_once_and_not_told_again(guard):
    guard.check(VALUE, where="stdout")
    assert len(guard.take()) == 1
    guard.check(VALUE, where="stdout")
    assert guard.take() == []
    assert len(guard.leaks) == 1


def test_a_session_s_secret_outlives_the_test(guard):
    guard.watch(Secret("for-the-whole-session"), until="session")
    guard.end_test()
    assert guard.live
    assert not guard.check(VALUE, where="x")
    assert guard.check("for-the-whole-session", where="x")


def test_a_short_secret_is_refused(guard):
    with pytest.raises(SecretError):
        guard.watch(Secret("short"))


def test_a_file_is_looked_into_also_across_the_edges_of_chunks(guard, tmp_path):
    file = tmp_path / "big"
    chunk = 4 * 1024 * 1024
    file.write_bytes(b"x" * (chunk - 5) + VALUE.encode() + b"x" * 100)
    assert guard.check_file(file)
    assert str(file) in guard.leaks[0]
    file.write_bytes(b"x" * (chunk + 100))
    guard.end_test()
    guard.watch(Secret(VALUE))
    assert not guard.check_file(file)
    assert not guard.check_file(tmp_path / "missing")
    assert not guard.check_file(tmp_path)


def test_an_allowed_file_or_directory_may_hold_it(guard, tmp_path):
    (tmp_path / "store").mkdir()
    inner, outer = tmp_path / "store" / "a", tmp_path / "b"
    for file in (inner, outer):
        file.write_text(VALUE)
    guard.allow(tmp_path / "store")
    assert not guard.check_file(inner)
    assert guard.check_file(outer)
    guard.end_test()
    assert not guard.is_allowed(inner)


class Box:
    def __init__(self, value):
        self.value = value

    def __repr__(self):
        return f"Box({self.value})"


class BrokenError(Exception):
    def __str__(self):
        raise ValueError

    __repr__ = __str__


def raised(make):
    try:
        make()
    except Exception as error:  # noqa: BLE001 - each case raises another
        return error
    raise AssertionError


def in_text():
    raise ValueError(f"bad key {VALUE}")


def in_arguments():
    raise ValueError(1, Box(VALUE))


def in_attribute():
    error = ProviderError("no")
    error.request = Box(VALUE)
    raise error


def in_note():
    error = ValueError("no")
    error.add_note(VALUE)
    raise error


def in_local():
    kept = Box(VALUE)
    raise ValueError(type(kept).__name__)


def in_cause():
    raise ValueError("no") from raised(in_text)


def in_context():
    try:
        in_text()
    except ValueError:
        raise TypeError("no")  # noqa: B904 - the context is the point


def in_group():
    raise ExceptionGroup("several", [ValueError("no"), ExceptionGroup("in", [raised(in_text)])])


class HiddenError(Exception):
    def __init__(self, kept):
        super().__init__("no")
        self._kept = kept

    def __reduce__(self):
        return (HiddenError, (self._kept.value,))


def in_pickle():
    class Mute:
        value = VALUE
        __repr__ = object.__repr__

    raise HiddenError(Mute())


PLACES = [in_text, in_arguments, in_attribute, in_note, in_local, in_cause, in_context, in_group]


@pytest.mark.parametrize("make", [*PLACES, in_pickle], ids=lambda make: make.__name__)
def test_an_exception_is_looked_into_everywhere(guard, make):
    assert guard.check_error(raised(make))
    assert VALUE not in repr(guard.leaks)


def test_the_pickle_of_an_exception_is_named(guard):
    guard.check_error(raised(in_pickle), own=[__file__])
    assert any(leak.startswith("pickle of exception HiddenError") for leak in guard.leaks)


def test_the_test_s_own_frames_may_hold_clear_values(guard):
    assert not guard.check_error(raised(in_local), own=[__file__])
    assert guard.check_error(raised(in_local))
    assert any("local 'kept' of in_local" in leak for leak in guard.leaks)


def test_clean_and_broken_exceptions_are_no_leak(guard):
    def clean():
        wrapped = Secret(VALUE)
        raise BrokenError(wrapped)

    assert not guard.check_error(raised(clean), own=[])


def test_masking_withholds_lines_and_where_that_is_not_enough_all(guard):
    masked = guard.mask(f"first\nkey={VALUE}\nlast")
    assert VALUE not in masked
    assert masked.startswith("first\n")
    assert masked.endswith("\nlast")
    broken = f"first\n{VALUE[:10]}\n{VALUE[10:]}"
    assert "first" not in guard.mask(broken)
    assert guard.mask("nothing here") == "nothing here"


def test_a_guard_shows_and_pickles_nothing(guard):
    assert VALUE not in repr(guard) + repr(vars(guard))
    with pytest.raises(TypeError):
        pickle.dumps(guard)


def test_many_threads_may_report_at_once(guard):
    def work(number):
        guard.check(VALUE, where=f"thread {number}")

    threads = [threading.Thread(target=work, args=(n,)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(guard.take()) == 20
