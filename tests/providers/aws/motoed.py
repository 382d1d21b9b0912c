"""moto, AWS's other stand-in: it checks no signature and no policy, but writes AWS's own shapes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
from botocore.config import Config
from moto.server import ThreadedMotoServer

from secretkit.core.credential import AwsCredentials
from secretkit.core.secret import Secret

REGION = "us-east-1"
PAIR = AwsCredentials("AKIDEXAMPLE", Secret("m" * 30))


@contextmanager
def moto_server() -> Iterator[str]:
    """Give the address of a server of its own."""
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@contextmanager
def client(service: str, url: str) -> Iterator[Any]:
    """Give boto3's client of it."""
    made = boto3.client(
        service,
        region_name=REGION,
        endpoint_url=url,
        aws_access_key_id=PAIR.access_key_id,
        aws_secret_access_key=PAIR.secret.reveal(),
        config=Config(ignore_configured_endpoint_urls=True, proxies={}),
    )
    yield made
    made.close()
