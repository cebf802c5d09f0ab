"""What repairs of a bucket leave alone."""

import json

from boatyard.aws import state_store
from boatyard.aws.account import Account
from boatyard.aws.checks import Needs

NEEDS = Needs("shop.example.com", "example-kops", "eu-central-1", ("eu-central-1a",), discovery_store="example-oidc")
THEIRS = {
    "Sid": "Backup",
    "Effect": "Allow",
    "Principal": {"AWS": "arn:aws:iam::123456789012:role/backup"},
    "Action": "s3:GetObject",
    "Resource": "arn:aws:s3:::example-kops/*",
}


def repaired(account: Account) -> None:
    for check in state_store.examine(account, NEEDS):
        if check.repair:
            check.repair()


def test_statements_and_rules_of_others_stay(account: Account) -> None:
    s3 = account.client("s3")
    s3.create_bucket(Bucket="example-kops", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    s3.put_bucket_policy(Bucket="example-kops", Policy=json.dumps({"Version": "2012-10-17", "Statement": THEIRS}))
    rule = {"ID": "logs", "Status": "Enabled", "Filter": {"Prefix": "logs/"}, "Expiration": {"Days": 30}}
    s3.put_bucket_lifecycle_configuration(Bucket="example-kops", LifecycleConfiguration={"Rules": [rule]})
    repaired(account)
    statements = json.loads(s3.get_bucket_policy(Bucket="example-kops")["Policy"])["Statement"]
    assert statements[0] == THEIRS
    assert [statement["Effect"] for statement in statements] == ["Allow", "Deny"]
    rules = s3.get_bucket_lifecycle_configuration(Bucket="example-kops")["Rules"]
    assert [held["ID"] for held in rules] == ["logs", "boatyard-noncurrent-versions"]


def test_stronger_encryption_stays(account: Account) -> None:
    s3 = account.client("s3")
    s3.create_bucket(Bucket="example-kops", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    kms = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "alias/kops"}
    rules = {"Rules": [{"ApplyServerSideEncryptionByDefault": kms}]}
    s3.put_bucket_encryption(Bucket="example-kops", ServerSideEncryptionConfiguration=rules)
    repaired(account)
    held = s3.get_bucket_encryption(Bucket="example-kops")["ServerSideEncryptionConfiguration"]["Rules"][0]
    assert held["ApplyServerSideEncryptionByDefault"] == kms


def test_the_state_store_is_shut_and_the_discovery_store_is_open(account: Account) -> None:
    repaired(account)
    s3 = account.client("s3")
    shut = s3.get_public_access_block(Bucket="example-kops")["PublicAccessBlockConfiguration"]
    assert set(shut.values()) == {True}
    allowed = json.loads(s3.get_bucket_policy(Bucket="example-oidc")["Policy"])["Statement"]
    assert [(statement["Principal"], statement["Action"]) for statement in allowed] == [("*", "s3:GetObject")]
    assert s3.get_bucket_ownership_controls(Bucket="example-oidc")["OwnershipControls"]["Rules"] == [
        {"ObjectOwnership": "BucketOwnerEnforced"}
    ]


def test_versions_are_asked_for_before_anything_is_deleted(account: Account) -> None:
    s3 = account.client("s3")
    s3.create_bucket(Bucket="plain", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    assert not state_store.versioned(account, "plain")
    repaired(account)
    assert state_store.versioned(account, "example-kops")
