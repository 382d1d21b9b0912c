"""Choice: of all blobs that hold a secret, those to report on, and of all findings the first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from secretkit.core.record import replace
from secretkit.scan.share import Chosen
from secretkit.scan.summary import ordered

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from secretkit.scan.finding import Finding, Skipped
    from secretkit.scan.origin import Place

__all__ = ["choose", "first", "once", "shown_path"]

_SHORT: Final = 12


def shown_path(oid: str, places: Mapping[str, Place]) -> str:
    """Give the path of a blob, or what to call one that no commit holds."""
    return places[oid].path if oid in places else f"(unreachable blob {oid[:_SHORT]})"


def choose(hits: Iterable[tuple[str, str, str]], places: Mapping[str, Place]) -> list[Chosen]:
    """Choose for each secret and path the first blob that holds it.

    Of a secret that only unreachable blobs hold, one of these is enough.
    """
    earliest: dict[tuple[str, str, str], tuple[int, str]] = {}
    stray: dict[tuple[str, str], str] = {}
    for oid, rule, fingerprint in hits:
        place = places.get(oid)
        if place is None:
            stray[rule, fingerprint] = min(oid, stray.get((rule, fingerprint), oid))
        else:
            key = rule, fingerprint, place.path
            earliest[key] = min((place.order, oid), earliest.get(key, (place.order, oid)))
    named = {(rule, fingerprint) for rule, fingerprint, _ in earliest}
    chosen = {oid for _, oid in earliest.values()}
    chosen |= {oid for key, oid in stray.items() if key not in named}
    return [
        Chosen(oid, shown_path(oid, places), places[oid].commit if oid in places else None)
        for oid in sorted(chosen)
    ]


def first(
    parts: Iterable[tuple[Chosen, Sequence[Finding]]], places: Mapping[str, Place]
) -> tuple[Finding, ...]:
    """Keep each secret once a path: where it was first."""
    kept: dict[tuple[str, str, str], tuple[int, Finding]] = {}
    for chosen, findings in parts:
        order = places[chosen.oid].order if chosen.oid in places else -1
        for one in findings:
            key = one.rule, one.fingerprint, one.path
            if key not in kept or order < kept[key][0]:
                kept[key] = order, replace(one, commit=chosen.commit)
    return ordered(one for _, one in kept.values())


def once(skipped: Iterable[Skipped]) -> tuple[Skipped, ...]:
    """Give each of ``skipped`` once, in order."""
    return tuple(sorted(set(skipped), key=lambda one: (one.path, one.reason)))
