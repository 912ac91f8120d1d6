"""boto3 clients made by hand, for what a test reads from an account or puts into it past the product."""

import functools
from typing import Any

import boto3

REGION = "ap-northeast-2"
KEYS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
"""The credentials of no account, for stores that ask for some."""


@functools.cache  # making one takes a tenth of a second
def aws_client(service: str, url: str, region: str = REGION) -> Any:
    """Return a client of a stand-in for AWS, or of a store, at an address."""
    return boto3.client(
        service,
        endpoint_url=url,
        region_name=region,
        aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
    )
