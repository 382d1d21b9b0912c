"""The store against a dictionary: any order of writes, deletes, re-openings and reads agrees."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from secretkit.core.secret import Secret
from secretkit.errors import ProviderError
from secretkit.providers.keysource import KeyFile
from secretkit.providers.store import LocalStore
from secretkit.testing.clock import FakeClock

KEEP = 3
names = st.sampled_from(["a", "b", "a/b", "ä", "a b"])
values = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)
which = st.integers(0, 1)


class StoreMachine(RuleBasedStateMachine):
    """Two handles on one file stand for two processes; ``model`` is name → version → value."""

    @initialize()
    def create(self):
        self.place = Path(tempfile.mkdtemp(prefix="store-"))
        self.path, self.source = str(self.place / "s.db"), KeyFile(str(self.place / "key"))
        self.source.create()
        first = LocalStore.create(self.path, self.source, clock=FakeClock(), keep=KEEP)
        self.stores = [first, self.another()]
        self.model = {}
        self.floor = 0
        self.seen = set()

    def another(self):
        return LocalStore(self.path, self.source, clock=FakeClock(), keep=KEEP)

    def teardown(self):
        for store in getattr(self, "stores", ()):
            store.close()
        if hasattr(self, "place"):
            shutil.rmtree(self.place)

    def current(self, name):
        return max(self.model.get(name, {}), default=0)

    def written(self, name, value, entry):
        expected = self.current(name) + 1 if name in self.model else self.floor + 1
        assert entry.version == expected
        assert (name, entry.version) not in self.seen  # a version names one value for ever
        self.seen.add((name, entry.version))
        kept = {**self.model.get(name, {}), entry.version: value}
        self.model[name] = dict(sorted(kept.items())[-KEEP:])

    @rule(name=names, value=values, one=which)
    def write(self, name, value, one):
        self.written(name, value, self.stores[one].write(name, Secret(value)))

    @rule(name=names, value=values, one=which)
    def swap(self, name, value, one):
        entry = self.stores[one].write(name, Secret(value), expected=self.current(name))
        self.written(name, value, entry)

    @rule(name=names, value=values, one=which, off=st.sampled_from([-1, 1, 5]))
    def swap_that_loses(self, name, value, one, off):
        try:
            self.stores[one].write(name, Secret(value), expected=self.current(name) + off)
        except ProviderError:
            return
        raise AssertionError("a stale write was done")

    @rule(name=names, one=which)
    def delete(self, name, one):
        self.floor = max(self.floor, self.current(name))
        assert self.stores[one].delete(name) == (self.model.pop(name, None) is not None)

    @rule(one=which)
    def reopen(self, one):
        self.stores[one].close()
        self.stores[one] = self.another()

    @rule(name=names, one=which, version=st.integers(1, 12))
    def read_a_version(self, name, one, version):
        found = self.stores[one].read(name, version=version)
        expected = self.model.get(name, {}).get(version)
        assert (None if found is None else found[1].reveal()) == expected

    @invariant()
    def both_handles_agree_with_the_model(self):
        for store in getattr(self, "stores", ()):
            current = {entry.name: entry.version for entry in store.entries()}
            assert current == {name: self.current(name) for name in self.model}
            for name, versions in self.model.items():
                assert store.read(name)[1].reveal() == versions[self.current(name)]
                assert [one.version for one in store.versions(name)] == sorted(versions)[::-1]


StoreMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
TestStore = StoreMachine.TestCase
