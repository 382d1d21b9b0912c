"""Name: whether the name of a value says that it is a secret, and of which class."""

from __future__ import annotations

from typing import Final

from secretkit.scan.judge.pattern import pattern

__all__ = ["KEY", "OTHER", "PASSWORD", "SECRET", "TOKEN", "class_of"]

OTHER, KEY, TOKEN, SECRET, PASSWORD = range(5)

_WORD: Final = pattern(r"[A-Z]{2,}(?=[A-Z][a-z]|[^A-Za-z]|s(?![a-z])|\Z)|[A-Z]?[a-z]+|[A-Z]+")
_PASSWORD: Final = pattern(
    r"(?:[a-z]{0,12}(?:password|passwd|passphrase|passwort|passcode|pwd)|pass|passw|pw|psw|pswd|userpass|dbpass|"
    r"smtppass|ftppass|mypass|contrasena|senha|motdepasse|kennwort|wachtwoord)s?\d*"
)
_TOKEN: Final = pattern(
    r"(?:(?:api|app|auth|access|refresh|session|bearer|bot|client|csrf|device|id|jwt|master|my|oauth|personal|push|"
    r"service|user|web|x)?(?:token|secret)s?|secretkey|apikeys?|appkey|accesskey|authkey|privatekey|"
    r"signingkey|encryptionkey|masterkey|accountkey|sharedaccesskey|secretaccesskey|servicekey|licensekey|"
    r"consumerkey|storagekey|webhookkey|hmackey|aeskey|bearer|apitokens?|authorization|pat|webhooksecret)\d*"
)
_PAIRED_TEXT: Final = """
access account admin aes api app auth client consumer crypto decryption deploy encrypt
encryption hmac host integration license live master private prod rest sdk secret security
server service session shared sign signing storage subscription test user webhook write writer
"""
_PAIRED: Final = frozenset(_PAIRED_TEXT.split())
_KEY_TEXT: Final = """
auth authentication authorization cert certificate cipher cookie cred credential credentials
creds jwt key keys otp pin salt sas seed session sid
"""
_KEY: Final = frozenset(_KEY_TEXT.split())
# The noun that a name ends in says what the value is: a password hint is a hint.
_NOUN_TEXT: Final = """
alg algo algorithm algorithms alias attempt attempts attr attribute attributes audience
auth_url body box button callback caption challenge changed char characters chars check claim
class code codec column command comment complexity component config configuration confirmation
context control cookie_name count created criteria data date default default_name delimiter
desc description dialog digest dir directory disabled document domain element email enabled
encoder encoding endpoint entry env environment error errors event example exception exists
expiration expire expired expires expiry factory failed field fields file filename filter flag
folder form format function generator getter grant group handler hash hashed hasher header
help hint hints history host icon id ident identifier ids impl index info input interface
invalid issuer item kind label labels last len length level limit link list loader location
logger login_url manager map mask max message messages method min missing mode model module
msg name names namespace needed node notice num number object option options order owner page
panel param parameter parameters params parser path paths pattern permission placeholder
plugin policy position prefix prompt prop property protocol provider query re ref reference
references regex regexp repository request required reset resolver resource response result
role row rule rules schema scheme scope scopes selector separator server service setter
setting settings size source spec state status storage store strategy strength string style
subject suffix table tag target template test text time timeout timestamp tip title tooltip
ttl type types uri uris url urls usage used user username validation validator value_from var
variable verifier version view visible warning widget width word words
"""
_NOUN: Final = frozenset(_NOUN_TEXT.split())
_ALWAYS_NOT_TEXT: Final = """
css hotkey html i18n keyboard locale placeholder pub public tokenizer translation
"""
_ALWAYS_NOT: Final = frozenset(_ALWAYS_NOT_TEXT.split())
# Tokens that say where a listing or a task goes on, not who asks.
_PASSING_TEXT: Final = """
ack action cancel cancellation change continuation cursor idempotency lifecycle lock next page
pagination paging request resume sync task
"""
_EMPTY: Final = frozenset(
    ["value", "val", "str", "string", "text", "env", "is", "plain", "b", "bytes", "hex", "base"]
)
_PASSING: Final = frozenset(_PASSING_TEXT.split())
_KEY_NOT_TEXT: Final = """
accept anon arrow bucket cache color composite dedup dict document event foreign group hash
hot idempotency index json license login lookup map metric modifier name natural nonce object
partition press primary publishable recaptcha registry routing row s3key sheet short sig
signature site sort unique websocket
"""
_KEY_NOT: Final = frozenset(_KEY_NOT_TEXT.split())


def class_of(text: str) -> int:
    """Give PASSWORD, SECRET, TOKEN, KEY or OTHER for an identifier; linear in its length."""
    words = [found.lower() for found in _WORD.findall(text)]
    while words and words[-1] in _EMPTY:
        words.pop()
    if not words or any(word in _ALWAYS_NOT for word in words):
        return OTHER
    if words[-1] in _NOUN and words[-2:] not in (["secret", "id"], ["key", "id"]):
        return OTHER
    return max(map(_class, words, ["", *words], [words] * len(words)))


def _class(word: str, before: str, words: list[str]) -> int:
    if _PASSWORD.fullmatch(word) or (before == "pass" and word in {"phrase", "word"}):
        return PASSWORD
    if _TOKEN.fullmatch(word):
        if any(one in _PASSING for one in words):
            return OTHER
        return SECRET if "secret" in word else TOKEN
    if word in {"key", "keys"} and before in _PAIRED:
        return KEY if any(one in _KEY_NOT for one in words) else TOKEN
    if word in _KEY:
        return OTHER if any(one in _KEY_NOT for one in words) else KEY
    return OTHER
