"""boto3 clients of an account or a store, for what a test reads or writes without the product."""

import functools
from typing import Any

import boto3

REGION = "ap-northeast-2"
KEYS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
"""Invented credentials, for stores that require some."""


@functools.cache  # a client takes a tenth of a second to make
def aws_client(service: str, url: str, region: str = REGION) -> Any:
    """Return a client of a service, such as `dynamodb`, at the address of a stand-in for AWS."""
    return boto3.client(
        service,
        endpoint_url=url,
        region_name=region,
        aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
    )
