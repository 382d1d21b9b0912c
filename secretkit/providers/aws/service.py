"""Service: one AWS endpoint, and signed requests to it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from secretkit.core.message import Request
from secretkit.core.record import record
from secretkit.core.secret import Secret
from secretkit.core.sigv4 import sign
from secretkit.errors import ConfigError
from secretkit.wire import read_address

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    from secretkit.core.credential import AwsCredentials
    from secretkit.core.message import Reply
    from secretkit.ports import Clock, ProviderContext, Transport
    from secretkit.providers.options import Options

__all__ = ["Service", "open_service", "region_of"]

_REGION: Final = re.compile(r"[a-z]{2}(?:-[a-z]+)+-[0-9]{1,2}")
_FORM: Final = "application/x-www-form-urlencoded; charset=utf-8"
_JSON: Final = "application/x-amz-json-1.1"


@record(kw_only=True)
class Service:
    """Where one service of one region answers. Thread-safe; keeps no credentials.

    The endpoint is always the region's own: the global one of STS gives tokens that newer regions
    refuse. Nothing of AWS_ENDPOINT_URL and its kind is read.
    """

    name: str
    region: str
    url: str
    transport: Transport
    clock: Clock

    @property
    def host(self) -> str:
        """The host, for a person."""
        return str(read_address(self.url))

    def form(
        self,
        form: Mapping[str, str | Secret],
        *,
        credentials: AwsCredentials | None,
        ref: str,
        timeout: timedelta,
    ) -> Reply:
        """Send a form (the query protocol), signed where there are credentials to sign with."""
        headers = {"content-type": _FORM}
        return self._send(_encoded(form), headers, credentials, ref, timeout)

    def call(
        self,
        target: str,
        body: bytes,
        *,
        credentials: AwsCredentials,
        ref: str,
        timeout: timedelta,
    ) -> Reply:
        """Send a JSON document (JSON 1.1) to the operation ``target``."""
        headers = {"content-type": _JSON, "x-amz-target": target}
        return self._send(body, headers, credentials, ref, timeout)

    def _send(
        self,
        body: bytes | Secret,
        headers: dict[str, str],
        credentials: AwsCredentials | None,
        ref: str,
        timeout: timedelta,
    ) -> Reply:
        sealed: dict[str, str | Secret] = {**headers}
        if credentials is not None:
            sealed |= self._signed(body, headers, credentials)
        request = Request(method="POST", url=self.url, headers=sealed, body=body)
        return self.transport.send(request, ref=ref, timeout=timeout)

    def _signed(
        self, body: bytes | Secret, headers: dict[str, str], credentials: AwsCredentials
    ) -> dict[str, Secret]:
        signed = sign(
            method="POST",
            url=self.url,
            headers=headers,
            body=body.reveal().encode() if isinstance(body, Secret) else body,
            credentials=credentials,
            service=self.name,
            region=self.region,
            at=self.clock.now(),
        )
        return {name: Secret(value) for name, value in signed.items()}


def open_service(name: str, *, region: str, endpoint: str, context: ProviderContext) -> Service:
    """Give the service of a region, at ``endpoint`` if that is not empty.

    Raises:
        ConfigError: for an endpoint to which nothing may be sent.
    """
    suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    url = endpoint or f"https://{name}.{region}.{suffix}/"
    try:
        read_address(url)
    except ConfigError as error:
        raise ConfigError(error.args[0], key_path="endpoint", hint=error.hint) from None
    return Service(
        name=name, region=region, url=url, transport=context.transport(), clock=context.clock
    )


def region_of(read: Options, key: str = "region", *, default: str = "") -> str:
    """Give the region that the option ``key`` names, which must be there without a default."""
    region = read.text(key, default=default)
    if not _REGION.fullmatch(region):
        raise read.wrong(key, expected='the name of a region, for example "us-east-1"')
    return region


def _encoded(form: Mapping[str, str | Secret]) -> Secret:
    """Give the form as one Secret: a web identity's token stands in it."""
    clear = {name: one.reveal() if isinstance(one, Secret) else one for name, one in form.items()}
    return Secret(urlencode(clear))
