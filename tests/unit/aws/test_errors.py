"""AWS's answers in Boatyard's words."""

import botocore.exceptions as aws
import pytest
from botocore.parsers import ResponseParserError

from boatyard.aws.errors import AwsBusy, AwsDenied, AwsNotFound, AwsRefused, NoCredentials, told
from boatyard.errors import BoatyardError, DeadlineExceeded


def _refused(code: str, status: int, message: str = "Some words.") -> aws.ClientError:
    answer = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return aws.ClientError(answer, "Some")


CASES = [
    ("Throttling", 400, AwsBusy),
    ("RequestLimitExceeded", 503, AwsBusy),
    ("SlowDown", 503, AwsBusy),
    ("InternalError", 500, AwsBusy),
    ("RequestTimeout", 400, AwsBusy),
    ("NoSuchBucket", 404, AwsNotFound),
    ("NoSuchHostedZone", 404, AwsNotFound),
    ("InvalidVpcID.NotFound", 400, AwsNotFound),
    ("ResourceNotFoundException", 400, AwsNotFound),
    ("LoadBalancerNotFound", 400, AwsNotFound),
    ("404", 404, AwsNotFound),
    ("NoSuchEntity", 404, AwsNotFound),
    ("ExpiredToken", 400, NoCredentials),
    ("InvalidClientTokenId", 403, NoCredentials),
    ("AuthFailure", 401, NoCredentials),
    ("AccessDenied", 403, AwsDenied),
    ("UnauthorizedOperation", 403, AwsDenied),
    ("403", 403, AwsDenied),
    ("VpcLimitExceeded", 400, AwsRefused),
    ("BucketAlreadyExists", 409, AwsRefused),
    ("InvalidParameterValue", 400, AwsRefused),
]


@pytest.mark.parametrize(("code", "status", "family"), CASES, ids=[case[0] for case in CASES])
def test_each_code_has_its_family(code: str, status: int, family: type[BoatyardError]) -> None:
    with pytest.raises(BoatyardError) as caught, told("reading the bucket example-kops"):
        raise _refused(code, status)
    assert type(caught.value) is family
    assert f"AWS answered {code} while reading the bucket example-kops: Some words." in str(caught.value)


@pytest.mark.parametrize(
    ("error", "family"),
    [
        (aws.EndpointConnectionError(endpoint_url="https://ec2"), AwsBusy),
        (aws.ReadTimeoutError(endpoint_url="https://ec2"), AwsBusy),
        (aws.ConnectTimeoutError(endpoint_url="https://ec2"), AwsBusy),
        (aws.NoCredentialsError(), NoCredentials),
        (aws.ProfileNotFound(profile="nobody"), NoCredentials),
        (aws.UnauthorizedSSOTokenError(), NoCredentials),
        (aws.SSOTokenLoadError(error_msg="Token has expired"), NoCredentials),
        (aws.SSLError(endpoint_url="https://ec2", error="self-signed"), AwsRefused),
        (aws.ParamValidationError(report="x"), AwsRefused),
        (ResponseParserError("invalid XML received"), AwsBusy),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_what_never_got_an_answer(error: Exception, family: type[BoatyardError]) -> None:
    with pytest.raises(BoatyardError) as caught, told("asking"):
        raise error
    assert type(caught.value) is family


def test_an_expired_session_asks_for_a_new_sign_in() -> None:
    with pytest.raises(NoCredentials, match="aws sso login"), told("asking"):
        raise _refused("ExpiredToken", 400)


def test_our_own_errors_pass() -> None:
    with pytest.raises(DeadlineExceeded), told("asking"):
        raise DeadlineExceeded("late")
