"""The S3 buckets of kOps: the state store, which nobody else may see, and the discovery store, which all may read.

Whoever reads the state store owns the clusters, since their keys are in it; whoever deletes from it without versions
loses them. So each point of a safe bucket is a check of its own, mended where the bucket is our account's.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from boatyard.aws.account import Account
from boatyard.aws.checks import Check, Needs, fine, missing, warning, wrong
from boatyard.aws.errors import AwsDenied, AwsNotFound, AwsRefused, told

PRIVATE = {"BlockPublicAcls": True, "IgnorePublicAcls": True, "BlockPublicPolicy": True, "RestrictPublicBuckets": True}
READABLE = {**PRIVATE, "BlockPublicPolicy": False, "RestrictPublicBuckets": False}
"""Public access of the discovery store: by its policy, never by ACLs."""
KEPT_DAYS = 90
"""How long a version that was replaced or deleted can be brought back."""
_TLS, _PUBLIC = "BoatyardOnlyTls", "BoatyardPublicDiscovery"


def examine(account: Account, needs: Needs) -> list[Check]:
    """Everything about the state store and, where one is wanted, the discovery store."""
    store = _Bucket(account, needs, needs.state_store, "state store")
    if needs.discovery_store is None:
        return store.checks(_private_points(store))
    if needs.discovery_store == needs.state_store:
        fix = "Name another bucket in `provider.irsa`: what it holds is public, and the state store holds private keys."
        problem = f"{store.name} is to be state store and discovery store at once."
        return [*store.checks(_private_points(store)), wrong(f"discovery store s3://{store.name}", problem, fix)]
    discovery = _Bucket(account, needs, needs.discovery_store, "discovery store")
    return [*store.checks(_private_points(store)), *discovery.checks(_public_points(discovery))]


def versioned(account: Account, bucket: str) -> bool:
    """Does the bucket keep what is deleted from it? Nothing may be deleted from a state store that does not."""
    with told(f"reading the versioning of the bucket {bucket}"):
        return bool(account.client("s3").get_bucket_versioning(Bucket=bucket).get("Status") == "Enabled")


Point = tuple[str, Callable[[], str], str, Callable[[], None], bool]
"""What it is called, what is wrong with it ("" for nothing), what the repair does, the repair, whether it blocks."""


class _Bucket:
    """One bucket: is it there, whose is it, where is it, and each of its points."""

    def __init__(self, account: Account, needs: Needs, name: str, role: str) -> None:
        self.account, self.needs, self.name, self.role = account, needs, name, role
        self.subject = f"{role} s3://{name}"
        self.s3 = account.client("s3")
        self.ours: Mapping[str, str] = {"Bucket": name, "ExpectedBucketOwner": account.id}

    def checks(self, points: list[Point]) -> list[Check]:
        """[missing], [someone else's], or one check a point."""
        try:
            where = self._where()
        except AwsNotFound:
            fix = f"It is made in {self.needs.region}, with versioning, encryption and all other points."
            return [missing(self.subject, f"The bucket {self.name} does not exist.", fix, lambda: self._make(points))]
        except AwsDenied:
            return [self._not_ours()]
        if self.account.id != self._owner():
            return [self._not_ours()]
        return [fine(self.subject), self._region(where), *(self._point(*point) for point in points)]

    def _where(self) -> str:
        with told(f"looking for the bucket {self.name}"):
            answer = self.s3.head_bucket(Bucket=self.name)
        return str(answer.get("BucketRegion") or answer["ResponseMetadata"]["HTTPHeaders"]["x-amz-bucket-region"])

    def _owner(self) -> str:
        """Our account's id when S3 agrees that the bucket is ours, else ""."""
        try:
            with told(f"asking whose the bucket {self.name} is"):
                self.s3.head_bucket(**self.ours)
        except AwsDenied:
            return ""
        return self.account.id

    def _not_ours(self) -> Check:
        problem = f"The bucket {self.name} belongs to another account, or account {self.account.id} may not see it."
        fix = "Bucket names are shared by the whole world: take another one, such as a domain of yours with a suffix."
        return wrong(self.subject, problem, fix)

    def _region(self, where: str) -> Check:
        subject = f"{self.subject}: region"
        if where == self.needs.region:
            return fine(subject)
        fix = (
            "It works, but then the cluster depends on two regions; a bucket cannot be moved, only copied to a new one."
        )
        return warning(subject, f"The bucket {self.name} is in {where}, the cluster in {self.needs.region}.", fix)

    def _point(self, what: str, look: Callable[[], str], fix: str, repair: Callable[[], None], blocks: bool) -> Check:
        subject = f"{self.subject}: {what}"
        try:
            problem = look()
        except AwsDenied as error:
            return warning(subject, error.message, error.hint or "")
        if not problem:
            return fine(subject)

        def mend() -> None:
            if look():
                repair()

        return wrong(subject, problem, fix, mend, blocks=blocks)

    def _make(self, points: list[Point]) -> None:
        placed = {} if self.needs.region == "us-east-1" else {"LocationConstraint": self.needs.region}
        more = {"CreateBucketConfiguration": placed} if placed else {}
        with told(f"making the bucket {self.name}"):
            try:
                self.s3.create_bucket(Bucket=self.name, ObjectOwnership="BucketOwnerEnforced", **more)
            except self.s3.exceptions.BucketAlreadyOwnedByYou:
                pass
            except self.s3.exceptions.BucketAlreadyExists as error:
                raise AwsRefused(self._not_ours().problem, hint=self._not_ours().fix) from error
            self.s3.head_bucket(**self.ours)
        for _, look, _, repair, _ in points:
            if look():
                repair()

    def read(self, operation: str, key: str, absent: Any) -> Any:
        """`absent` where the bucket has no such setting."""
        with told(f"reading the bucket {self.name}"):
            try:
                return getattr(self.s3, operation)(**self.ours).get(key, absent)
            except self.s3.exceptions.ClientError as error:
                if error.response["Error"]["Code"] in _UNSET:
                    return absent
                raise

    def write(self, operation: str, **settings: Any) -> None:
        with told(f"securing the bucket {self.name}"):
            getattr(self.s3, operation)(**self.ours, **settings)


_UNSET = frozenset(
    {
        "NoSuchBucketPolicy",
        "NoSuchLifecycleConfiguration",
        "NoSuchPublicAccessBlockConfiguration",
        "OwnershipControlsNotFoundError",
        "ServerSideEncryptionConfigurationNotFoundError",
    }
)


def _private_points(bucket: _Bucket) -> list[Point]:
    return [
        _versioning(bucket),
        _encryption(bucket),
        _access(bucket),
        _tls(bucket),
        _lifecycle(bucket),
    ]


def _public_points(bucket: _Bucket) -> list[Point]:
    """Of the discovery store: AWS's STS reads it like everybody else."""
    return [_only_when_empty(bucket, _readable(bucket))]


def _versioning(bucket: _Bucket) -> Point:
    def look() -> str:
        status = bucket.read("get_bucket_versioning", "Status", "")
        if status == "Enabled":
            return ""
        how = "is suspended" if status else "was never switched on"
        return f"Versioning {how}: what is overwritten or deleted is lost, keys of clusters too."

    def repair() -> None:
        bucket.write("put_bucket_versioning", VersioningConfiguration={"Status": "Enabled"})

    return "versioning", look, "Versioning is switched on.", repair, True


def _encryption(bucket: _Bucket) -> Point:
    def look() -> str:
        rules = bucket.read("get_bucket_encryption", "ServerSideEncryptionConfiguration", {}).get("Rules") or []
        if any((rule.get("ApplyServerSideEncryptionByDefault") or {}).get("SSEAlgorithm") for rule in rules):
            return ""
        return "Objects are not encrypted by default."

    def repair() -> None:
        rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
        bucket.write("put_bucket_encryption", ServerSideEncryptionConfiguration={"Rules": [rule]})

    return "encryption", look, "Encryption by keys of S3 (AES256) is switched on.", repair, True


def _blocks(bucket: _Bucket) -> dict[str, bool]:
    """Which ways to the public are blocked."""
    held = bucket.read("get_public_access_block", "PublicAccessBlockConfiguration", {})
    return {name: bool(held.get(name, False)) for name in PRIVATE}


def _access(bucket: _Bucket) -> Point:
    def look() -> str:
        open_ways = [name for name, blocked in _blocks(bucket).items() if not blocked]
        return f"It can be opened to everyone: {', '.join(open_ways)} is off." if open_ways else ""

    def repair() -> None:
        bucket.write("put_public_access_block", PublicAccessBlockConfiguration=PRIVATE)

    return "public access", look, "All public access is blocked.", repair, True


def _statements(bucket: _Bucket) -> list[dict[str, Any]]:
    text = bucket.read("get_bucket_policy", "Policy", "")
    found = json.loads(text)["Statement"] if text else []
    return found if isinstance(found, list) else [found]


def _add(bucket: _Bucket, statement: dict[str, Any]) -> None:
    """Others' statements stay as they are."""
    others = [held for held in _statements(bucket) if held.get("Sid") != statement["Sid"]]
    policy = {"Version": "2012-10-17", "Statement": [*others, statement]}
    bucket.write("put_bucket_policy", Policy=json.dumps(policy))


def _arn(bucket: _Bucket, suffix: str = "") -> str:
    return f"arn:{bucket.account.partition}:s3:::{bucket.name}{suffix}"


def _tls(bucket: _Bucket) -> Point:
    def look() -> str:
        return "" if any(map(_denies_plain_http, _statements(bucket))) else "It also answers without TLS."

    def repair() -> None:
        plain = {"Bool": {"aws:SecureTransport": "false"}}
        on = [_arn(bucket), _arn(bucket, "/*")]
        deny = {"Sid": _TLS, "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": on, "Condition": plain}
        _add(bucket, deny)

    return "TLS only", look, "A statement that denies requests without TLS is added to its policy.", repair, False


def _denies_plain_http(statement: Mapping[str, Any]) -> bool:
    conditions = (statement.get("Condition") or {}).get("Bool") or {}
    plain = str(conditions.get("aws:SecureTransport", "")).lower() == "false"
    everyone = statement.get("Principal") in ("*", {"AWS": "*"})
    return statement.get("Effect") == "Deny" and plain and everyone and "s3:*" in _listed(statement.get("Action"))


def _lifecycle(bucket: _Bucket) -> Point:
    def rules() -> list[dict[str, Any]]:
        return list(bucket.read("get_bucket_lifecycle_configuration", "Rules", []))

    def look() -> str:
        ends = any(rule["Status"] == "Enabled" and rule.get("NoncurrentVersionExpiration") for rule in rules())
        return "" if ends else "Replaced versions are kept for ever, keys that were rotated away too."

    def repair() -> None:
        rule = {
            "ID": "boatyard-noncurrent-versions",
            "Status": "Enabled",
            "Filter": {"Prefix": ""},
            "NoncurrentVersionExpiration": {"NoncurrentDays": KEPT_DAYS},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
        }
        others = [held for held in rules() if held.get("ID") != rule["ID"]]
        bucket.write("put_bucket_lifecycle_configuration", LifecycleConfiguration={"Rules": [*others, rule]})

    return "lifecycle", look, f"Replaced versions go after {KEPT_DAYS} days.", repair, False


def _readable(bucket: _Bucket) -> Point:
    def look() -> str:
        if _by_policy(bucket) or _by_acl(bucket):
            return ""
        return "STS cannot read the discovery documents there, so no service account would get its role."

    def repair() -> None:
        bucket.write("put_public_access_block", PublicAccessBlockConfiguration=READABLE)
        on = _arn(bucket, "/*")
        allow = {"Sid": _PUBLIC, "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": on}
        _add(bucket, allow)

    return "readable", look, "Its policy lets everyone read its objects, which are public by design.", repair, True


def _by_policy(bucket: _Bucket) -> bool:
    return not _blocks(bucket)["RestrictPublicBuckets"] and any(map(_lets_everyone_read, _statements(bucket)))


def _by_acl(bucket: _Bucket) -> bool:
    """The way of kOps' guide: without such a policy kOps makes each document public by its ACL."""
    blocks = _blocks(bucket)
    rules = bucket.read("get_bucket_ownership_controls", "OwnershipControls", {}).get("Rules") or []
    enforced = any(rule["ObjectOwnership"] == "BucketOwnerEnforced" for rule in rules)
    return not (blocks["BlockPublicAcls"] or blocks["IgnorePublicAcls"] or enforced)


def _lets_everyone_read(statement: Mapping[str, Any]) -> bool:
    everyone = statement.get("Principal") in ("*", {"AWS": "*"}) and not statement.get("Condition")
    reads = {"s3:GetObject", "s3:Get*", "s3:*"}.intersection(_listed(statement.get("Action")))
    return statement.get("Effect") == "Allow" and everyone and bool(reads)


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value or [])


def _only_when_empty(bucket: _Bucket, point: Point) -> Point:
    """Opening a bucket opens all that is in it: done by us only where nothing is."""
    what, look, fix, repair, blocks = point

    def careful() -> None:
        with told(f"looking into the bucket {bucket.name}"):
            held = bucket.s3.list_objects_v2(**bucket.ours, MaxKeys=1).get("KeyCount", 0)
        if held:
            problem = f"The bucket {bucket.name} holds objects already, and opening it would show them to everyone."
            raise AwsRefused(problem, hint="Name an empty bucket in `provider.irsa`, or open this one yourself.")
        repair()

    return what, look, f"{fix} Only done while the bucket is empty.", careful, blocks
