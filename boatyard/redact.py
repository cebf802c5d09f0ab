"""Takes secrets out of text before it reaches a log, an error, a plan or a screen."""

import base64
import re
from collections.abc import Sequence
from urllib.parse import quote

HIDDEN = "***"

_KEYS = (
    r"password|passwd|passphrase|client[-_]key[-_]data|secret[-_]?access[-_]?key|session[-_]?token|security[-_]?token|"
    r"access[-_]?token|refresh[-_]?token|id[-_]?token|client[-_]?secret|api[-_]?key|private[-_]?key|token"
)
_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    (
        re.compile(
            r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY-----|\Z)", re.S
        ),
        HIDDEN,
    ),
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}"), rf"\1 {HIDDEN}"),
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"), HIDDEN),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)?"), HIDDEN),
    (
        re.compile(rf"""(?i)((?:{_KEYS})\\?["']?\s{{0,4}}[:=]\s{{0,4}})(\\?["'])(?:(?!\2).)*?(?:\2|$)""", re.M),
        rf"\1\2{HIDDEN}\2",
    ),
    (re.compile(rf"""(?i)((?:{_KEYS})\s{{0,4}}[:=]\s{{0,4}})(?!\\?["']|\*\*\*)[^\s"',;&]+"""), rf"\1{HIDDEN}"),
    (re.compile(rf"(?i)(--?[a-z-]{{0,30}}(?:{_KEYS})[ \t]+)(?!-|\*\*\*)\S+"), rf"\1{HIDDEN}"),
    (re.compile(r"(://[^/\s:@]{0,200}:)[^/\s@]+(@)"), rf"\1{HIDDEN}\2"),
)
_FLAG = re.compile(rf"(?i)--?[a-z-]{{0,30}}(?:{_KEYS})")
_PEM_BEGIN, _PEM_END = (
    re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----"),
    re.compile(r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY-----"),
)


class Redactor:
    """Takes secrets out of text: the given values (also as base64 and percent-encoded) and what looks like one."""

    def __init__(self, secrets: Sequence[str] = ()) -> None:
        forms: set[str] = set()
        for secret in secrets:
            if secret:
                forms |= {secret, secret.strip(), quote(secret, safe=""), base64.b64encode(secret.encode()).decode()}
                forms |= {line.strip() for line in secret.splitlines() if len(line.strip()) >= 8}
        self._forms = sorted(forms - {""}, key=len, reverse=True)
        self._in_key = False

    def text(self, text: str) -> str:
        """`text` without its secrets."""
        for form in self._forms:
            text = text.replace(form, HIDDEN)
        for pattern, instead in _PATTERNS:
            text = pattern.sub(instead, text)
        return text

    def argv(self, argv: Sequence[str]) -> tuple[str, ...]:
        """A command's arguments; what follows a flag such as `--password` is a secret too."""
        flags = [False, *(_FLAG.fullmatch(part) is not None for part in argv)]
        return tuple(HIDDEN if after else self.text(part) for part, after in zip(argv, flags, strict=False))

    def line(self, line: str) -> str | None:
        """One line of a stream; None inside of a private key, which spans lines."""
        if self._in_key:
            self._in_key = not _PEM_END.search(line)
            return None
        begin = _PEM_BEGIN.search(line)
        self._in_key = begin is not None and not _PEM_END.search(line, begin.end())
        return self.text(line)


def redact(text: str, secrets: Sequence[str] = ()) -> str:
    """`text` without the given secrets and without anything that looks like one."""
    return Redactor(secrets).text(text)
