"""Why kOps failed: its exit code and what it printed, as one of Boatyard's errors."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from boatyard.errors import BoatyardError, InvalidSpec, NotFound, Permanent, Temporary, Unsafe
from boatyard.redact import redact


class AlreadyRegistered(Permanent):
    """The state store already holds a cluster or instance group of that name."""


class NotRegistered(NotFound):
    """The state store holds no such cluster, or no cluster at all."""


class NoStateStore(NotFound):
    """There is no such bucket."""


class VersionRefused(Permanent):
    """The channel, or this kOps, does not allow the Kubernetes version any more or not yet."""


class Credentials(Permanent):
    """There are no AWS credentials, or they have expired or are wrong."""


class Denied(Permanent):
    """AWS refused an action to whoever we are."""


class Unreachable(Temporary):
    """The cluster's API server, AWS or the channel cannot be reached now."""


class Throttled(Temporary):
    """AWS asks for fewer requests; to wait is all there is to do."""


@dataclass(frozen=True)
class _Case:
    """`pattern` is looked for in the reason; `say` is put before it as the family's sentence, with its groups."""

    pattern: str
    make: Callable[[str, str | None], BoatyardError]
    say: str
    hint: str | None = None


def _permanent(family: type[Permanent]) -> Callable[[str, str | None], BoatyardError]:
    def make(message: str, hint: str | None) -> BoatyardError:
        return InvalidSpec([message], hint=hint) if family is InvalidSpec else family(message, hint=hint)

    return make


def _temporary(family: type[Temporary], delay: float) -> Callable[[str, str | None], BoatyardError]:
    return lambda message, hint: family(message, delay=delay, hint=hint)


_invalid, _perm = _permanent(InvalidSpec), _permanent(Permanent)
_soon, _busy = _temporary(Unreachable, 5.0), _temporary(Throttled, 20.0)
_LOGIN = "Run `aws configure`, or `aws sso login` for a profile with single sign-on, then try again."
_NETWORK = (
    r"dial tcp|no such host|connection (?:refused|reset)|i/o timeout|TLS handshake timeout|unexpected EOF"
    r"|Client\.Timeout|context deadline exceeded"
)
_CASES = (
    _Case(
        r"ExpiredToken|RequestExpired|token (?:included in the request )?is expired|SSO session has expired",
        _permanent(Credentials),
        "the AWS credentials have expired",
        f"{_LOGIN} A profile or role named in `provider` is renewed while kOps runs; keys in the environment are not.",
    ),
    _Case(
        r"no EC2 IMDS role|get credentials|NoCredentialProviders|InvalidClientTokenId|UnrecognizedClient|AuthFailure"
        r"|SignatureDoesNotMatch|InvalidAccessKeyId|failed to refresh cached credentials",
        _permanent(Credentials),
        "AWS does not accept the credentials, or there are none",
        _LOGIN,
    ),
    _Case(
        r"Throttl|RequestLimitExceeded|TooManyRequests|SlowDown|Rate exceeded|PriorRequestNotComplete",
        _busy,
        "AWS asks for fewer requests",
    ),
    _Case(
        r"AccessDenied|UnauthorizedOperation|not authorized to perform",
        _permanent(Denied),
        "AWS denied an action",
        "`boatyard aws policy` prints the permissions that kOps needs.",
    ),
    _Case(
        r"NoSuchBucket|bucket does not exist",
        _permanent(NoStateStore),
        "there is no such state store",
        "`boatyard prerequisites` says what is missing and makes it.",
    ),
    _Case(
        r"State Store: Required value",
        _invalid,
        "kOps was not told its state store",
        "Set `provider.state_store` or KOPS_STATE_STORE.",
    ),
    _Case(
        r"error reading channel",
        _soon,
        "the kOps channel cannot be read",
        "`provider.channel` takes a file:// address for places without internet.",
    ),
    _Case(
        r"DNS lookup for NS records[^\n]*no such host|NS records? not found",
        _perm,
        "the DNS zone is not delegated",
        "`boatyard prerequisites` tells which NS records the parent zone has to have; `dns: none` needs no zone.",
    ),
    _Case(
        r"no clusters found|[Cc]luster not found|[Cc]luster\S* \"[^\"]*\" (?:was )?not found",
        _permanent(NotRegistered),
        "the state store does not hold it",
    ),
    _Case(
        r"already exists",
        _permanent(AlreadyRegistered),
        "the state store already holds it",
        "`boatyard apply` takes up a half-made cluster where it stopped.",
    ),
    _Case(
        r"kubernetes upgrade is required",
        _permanent(VersionRefused),
        "this Kubernetes version is too old for kOps",
        "Name a newer one in `kubernetes.version`.",
    ),
    _Case(
        r"kops upgrade is required",
        _permanent(VersionRefused),
        "this kOps is too old for the Kubernetes version, or for the channel",
        "Put a kops of the same or a newer minor on PATH, or name an older Kubernetes.",
    ),
    _Case(
        r"kops version older than last used",
        lambda message, hint: Unsafe(message, hint=hint),
        "a newer kOps has updated this cluster",
        "Take that kOps or a newer one.",
    ),
    _Case(
        r"InvalidInstanceType|instance types? do(?:es)? not exist",
        _invalid,
        "AWS has no such instance type here",
    ),
    _Case(
        r"metadata\.name: Invalid value",
        _invalid,
        "a cluster's name must be a DNS name in lower case, such as k8s.example.com",
    ),
    _Case(
        r"LimitExceeded|InsufficientInstanceCapacity|QuotaExceeded",
        _perm,
        "a quota of the AWS account is used up",
        "Raise it in Service Quotas, or delete what is not needed.",
    ),
    _Case(r"Invalid value|Required value|Unsupported value|Forbidden: ", _invalid, "kOps refused the settings"),
    _Case(r"unknown (?:flag|command|shorthand)", _perm, "this kOps does not know the command"),
    _Case(r"StatusCode: 5\d\d|InternalError|ServiceUnavailable|InternalFailure", _soon, "AWS had a failure"),
    _Case(
        rf"error listing nodes|Unable to reach the kubernetes API|/api/v1/nodes.*(?:{_NETWORK})",
        _soon,
        "the cluster's API server cannot be reached",
        "`provider.api_server` may name a tunnel to it.",
    ),
    _Case(_NETWORK, _soon, "the network failed"),
    _Case(r"deleting resources; giving up|wait time exceeded", _temporary(Temporary, 10.0), "the deletion is stuck"),
)
_LOG = re.compile(r"^[IWEF]\d{4} \d\d:\d\d:\d\d\.\d+ +\d+ (?P<source>[\w.-]+:\d+)\] ?(?P<text>.*)$")
_SDK = re.compile(
    r"operation error (?P<service>[\w -]+): (?P<operation>\w+), "
    r"(?:exceeded maximum number of attempts, \d+, )?"
    r"(?:https response error StatusCode: (?P<status>\d+), RequestID: [^,]*,(?: HostID: [^,]*,)? ?)?"
    r"(?:api error (?P<code>[\w.]+): )?"
)
_DEPRECATED = re.compile(r"^Flag (--[\w-]+) has been deprecated, (.*)$", re.M)
_NEWER = re.compile(r"^A new (\w+) version is available: (\S+)$", re.M | re.I)


def failure(doing: str, stdout: str, stderr: str, code: int) -> BoatyardError:
    """The error for a run of kOps that ended with `code` ≠ 0. `doing`: what was being done, as a gerund phrase."""
    raw = reason(stderr) or f"it ended with exit code {code} and said nothing"
    said = tidy(raw)
    advice = " ".join(hints(stdout, stderr))
    for case in _CASES:
        if re.search(case.pattern, raw):
            hint = " ".join(part for part in (case.hint, advice) if part) or None
            return case.make(f"{doing}: {case.say}; kOps said: {said}.", hint)
    return Permanent(f"{doing} failed; kOps said: {said}.", hint=advice or None)


def reason(stderr: str) -> str:
    """What stands after the last `Error:`, to the end; else the last line that is no log line, else the last one."""
    lines = [line for line in stderr.strip().splitlines() if line.strip()]
    starts = [number for number, line in enumerate(lines) if line.startswith("Error: ")]
    if starts:
        kept = [line.strip() for line in lines[starts[-1] :] if not _LOG.match(line)]
        return "\n".join(kept).removeprefix("Error: ")
    plain = [line for line in lines if not _LOG.match(line)]
    return plain[-1].strip() if plain else bare(lines[-1]) if lines else ""


def tidy(said: str) -> str:
    """Without request ids, without what the AWS client says around AWS' own words, on one line, without secrets."""

    def named(match: re.Match[str]) -> str:
        code = f"{match['code']}: " if match["code"] else f"status {match['status']}: " if match["status"] else ""
        return f"{match['service']} {match['operation']}: {code}"

    one = " ".join(said.split())
    text = _SDK.sub(named, one)
    return redact(text).rstrip(". ")[:1000]


def bare(line: str) -> str:
    """A log line without severity, time, process and source; any other line as it is."""
    found = _LOG.match(line)
    return found["text"] if found else line.strip()


def hints(stdout: str, stderr: str) -> tuple[str, ...]:
    """What kOps advises besides: flags that are deprecated, versions that are newer."""
    old = [f"{flag} is deprecated: {instead}." for flag, instead in _DEPRECATED.findall(stderr)]
    new = [f"A newer {what} is available: {version}." for what, version in _NEWER.findall(stdout)]
    return tuple(dict.fromkeys([*old, *new]))


def progress(line: str) -> str:
    """The short form of one line of output for people who wait; empty when it is of no use to them."""
    if found := re.search(r"Tasks: (\d+) done / (\d+) total", line):
        return f"kOps: {found[1]} of {found[2]} tasks done"
    if re.match(r"[a-z-]+:\S+\terror deleting resources, will retry: ", line):
        return f"kOps: {tidy(line)}"
    log = _LOG.match(line)
    if log is None or log["source"].split(":")[0] in _QUIET:
        return ""
    return f"kOps: {tidy(log['text'])}"


_QUIET = {"kopsassets.go", "vfs_keystorereader.go", "errors.go", "create_cluster.go", "new_cluster.go", "subnets.go"}
"""Sources of log lines that tell nothing to somebody who waits."""
