"""Context: what stands around a value: its name, its quotes, its line, its file."""

from __future__ import annotations

import functools
import re
import string
from typing import TYPE_CHECKING, Final

from secretkit.core.record import record
from secretkit.scan.judge.pattern import pattern

if TYPE_CHECKING:
    from secretkit.scan.judge import Candidate

__all__ = ["Context", "document", "kind", "read", "source", "specimen", "tried"]

_BEFORE: Final = 240
_AFTER: Final = 80
_LONGEST: Final = 64  # of what stands before the match in its name
_NAMING: Final = string.ascii_letters + string.digits + "_.$-"
_NAME: Final = pattern(r"[A-Za-z0-9_.$\-]+")


@record(kw_only=True)
class Context:
    """The text around a value in its line, at most 240 bytes before and 80 behind."""

    before: str
    after: str
    name: str
    quote: str


def read(candidate: Candidate) -> Context:
    """Give the context of ``candidate``; its name is the identifier in which the match begins."""
    data, at = candidate.data, candidate.secret_start
    low = max(data.rfind(b"\n", max(0, at - _BEFORE), at) + 1, at - _BEFORE, 0)
    low = min(low, candidate.start)
    end = data.find(b"\n", candidate.secret_end, candidate.secret_end + _AFTER)
    high = end if end >= 0 else candidate.secret_end + _AFTER
    before = data[low:at].decode("latin-1")
    after = data[candidate.secret_end : high].decode("latin-1")
    begin = candidate.start - low
    head = before[max(0, begin - _LONGEST) : begin]
    head = head[len(head.rstrip(_NAMING)) :]
    tail = _NAME.match(before, begin)
    name = head + (tail[0] if tail else "")
    last = begin - len(head) + len(name)
    if before[: begin - len(head)].endswith("::") and before[last : last + 1] in {'"', "'"}:
        name = ""  # of a type, in a table: "AWS::SecretsManager::Secret"
    quote = before[-1:] if before[-1:] and before[-1:] in "\"'`" else ""
    return Context(before=before, after=after, name=name, quote=quote)


_LOCK: Final = pattern(
    r"(?:^|/)(?:[^/]*[.-]lock(?:\.json|\.ya?ml)?|go\.sum|npm-shrinkwrap\.json|[^/]*\.lock\.[a-z]+|"
    r"checksums?(?:\.txt)?|[^/]*sums(?:\.txt)?|[^/]*\.(?:sha\d+|md5|asc|sig)|RECORD|manifest\.json|"
    r"[^/]*integrity[^/]*)\Z",
    re.IGNORECASE,
)
_MADE: Final = pattern(
    r"\.min\.(?:js|css|mjs)\Z|\.(?:map|svg|css|less|scss|pb\.go|po|pot|mo|snap|strings|resx|xlf|arb|ics|dat|dic|"
    r"wasm|woff2?|ttf|eot|otf)\Z|(?:^|/)(?:locales?|i18n|translations?|lang|l10n|nls)/",
    re.IGNORECASE,
)


# A directory that pytest makes for one test (test_it_works0) is none of these.
_TRIED: Final = pattern(
    r"(?:^|[/!_.-])(?:tests?|testing|testdata|testsuites?|unittests?|specs?|fixtures?|mocks?|__tests__|__mocks__|dummy[a-z]*|"
    r"docs?|documentation|examples?|samples?|demos?|tutorials?|howto)"
    r"(?:[_-](?:apps?|assets|cases?|certs?|config|data|files?|helpers?|integration|keys?|projects?|resources|"
    r"servers?|src|suites?|support|unit|utils?))?[/!]|"
    r"(?:^|[/!])t/|"
    r"(?:^|[/!_.-])(?:tests?|testing|testdata|conftest|specs?|fixtures?|mocks?|docs?|examples?|samples?|demos?|"
    r"tutorials?)(?:[_.-][^/!]*)?\Z|"
    r"(?:^|[/!_.-])(?:readme|changelog|changes|history|releases?|news)[^/!]*\.(?:md|rst|txt|adoc|html?)\Z|"
    r"(?:^|[/!])(?:readme|changelog|changes|news)\Z|\.(?:rst|adoc|pod)\Z",
    re.IGNORECASE,
)
_DOCUMENTS: Final = pattern(
    r"(?:^|[/!])(?:docs?|documentation|docs[_-]src|howto|tutorials?)[/!]|\.(?:rst|adoc|pod)\Z",
    re.IGNORECASE,
)
# What the keys of a test are named after: certificates, an algorithm, one end of a connection.
_SPECIMEN: Final = pattern(
    r"(?:^|[/!_.-]|test)(?:ca|certs?|certificates?|client|crypto|dsa|dummy|ecdsa|ed25519|ed448|example|fixtures?|jwks?|"
    r"jwt|keydata|keys?|localhost|pkey|pki|rsa|saml|samples?|security|self-?signed|servers?|sign(?:ing|atures?|ed)?|"
    r"snakeoil|ssh|ssl|tls|x509)\d*(?=[/!_.-](?!(?:key|pem|crt|pub|priv)\Z))|"
    r"[/!_.-](?:ca|cert|certificate|client|dsa|ecdsa|ed25519|ed448|fixture|localhost|rsa|server|snakeoil|test\w*)"
    r"[^/!]*\.(?:key|pem|priv|p8|pkcs8)\Z",
    re.IGNORECASE,
)
_SOURCE: Final = pattern(
    r"\.(?:py|js|ts|tsx|jsx|mjs|rb|go|rs|java|kt|scala|php|c|cc|cpp|h|hpp|cs|swift|pl|pm|md|rst|adoc|txt|html?)\Z"
)


@functools.lru_cache(64)
def tried(path: str) -> bool:
    """Say whether a file is, by its path, a test, an example or a document."""
    return _TRIED.search(path) is not None


@functools.lru_cache(64)
def document(path: str) -> bool:
    """Say whether a file is, by its path, one of a documentation."""
    return _DOCUMENTS.search(path) is not None


@functools.lru_cache(64)
def specimen(path: str) -> bool:
    """Say whether a private key here was, by its path, made for a test or a document.

    That its directory is one of tests is not enough: keys have leaked there.
    """
    return document(path) or (tried(path) and _SPECIMEN.search(path) is not None)


@functools.lru_cache(64)
def source(path: str) -> bool:
    """Say whether a file is, by its path, program text or a document."""
    return _SOURCE.search(path) is not None


@functools.lru_cache(64)
def kind(path: str) -> str:
    """Give what a file is by its path: ``lock``, ``made`` (by a program, or prose), or nothing."""
    if _LOCK.search(path):
        return "lock"
    return "made" if _MADE.search(path) else ""
