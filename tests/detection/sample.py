"""Sample: one labelled piece of a file, and how a scanner did on many of them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sample:
    """``secret`` says whether there is one in ``text``; ``kind`` groups samples of one making."""

    kind: str
    path: str
    text: str
    secret: bool


@dataclass(frozen=True)
class Score:
    """How many secrets were found, and how many samples without one raised an alarm."""

    found: int
    secrets: int
    alarms: int
    clean: int

    @property
    def recall(self):
        return self.found / self.secrets

    @property
    def alarm_rate(self):
        return self.alarms / self.clean

    @property
    def f1(self):
        return 2 * self.found / (self.found + self.alarms + self.secrets)


def score(samples, *, flagged):
    """Give the score of a scanner that flagged the samples with these indexes."""
    secrets = {index for index, sample in enumerate(samples) if sample.secret}
    flagged = set(flagged)
    return Score(
        found=len(secrets & flagged),
        secrets=len(secrets),
        alarms=len(flagged - secrets),
        clean=len(samples) - len(secrets),
    )


def by_kind(samples, *, flagged):
    """Give (kind, whether a secret, flagged, all) for every kind, in the order they come."""
    counts = {}
    flagged = set(flagged)
    for index, sample in enumerate(samples):
        count = counts.setdefault((sample.kind, sample.secret), [0, 0])
        count[0] += index in flagged
        count[1] += 1
    return [(kind, secret, *count) for (kind, secret), count in counts.items()]
