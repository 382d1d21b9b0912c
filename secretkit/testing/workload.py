"""WorkloadStub: a strict SPIFFE Workload API on a unix socket, for tests.

::

    with WorkloadStub(tmp_path / "agent.sock") as agent:
        agent.register("spiffe://example.org/broker")
        client = spiffe.WorkloadApiClient(agent.url)
        client.fetch_jwt_svid({"https://api.anthropic.com"})
        agent.rotate()  # new keys; streams are told

It serves all five calls of SPIFFE_Workload_API.md: a request without the security header is
INVALID_ARGUMENT, one of a workload without identity PERMISSION_DENIED. Unlike an agent it cannot
see who calls: what is registered is registered for everybody. Needs ``secretkit[identity,spiffe]``.

``python -m secretkit.testing.workload SOCKET SPIFFE_ID…`` serves until it is stopped.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Self

from secretkit.testing.trustdomain import SvidError, TrustDomain

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator

__all__ = ["WorkloadStub"]

_HEADER: Final = ("workload.spiffe.io", "true")
_THREADS: Final = 32
_STOP: Final = 10.0  # seconds for calls to end


class WorkloadStub:
    """The server; a context manager. All methods are thread-safe.

    ``jwt_life`` and ``x509_life`` are what SVIDs live; a stream gives new X.509-SVIDs at half of
    it, and at each rotation.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        domain: TrustDomain | None = None,
        jwt_life: timedelta = timedelta(minutes=5),
        x509_life: timedelta = timedelta(hours=1),
    ) -> None:
        self.url = f"unix://{path}"
        self.domain = domain or TrustDomain()
        self._lives = (jwt_life, x509_life)
        self._changed = threading.Condition()
        self._turn = 0
        self._ids: list[str] = []
        self._calls: list[str] = []
        self._code, self._token, self._stalled = "", "", False
        self._server: Any = None
        self._pool: ThreadPoolExecutor | None = None

    def __enter__(self) -> Self:
        """Start it."""
        import grpc  # noqa: PLC0415 - an extra

        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="workload-stub")
        self._server = grpc.server(self._pool)
        self._server.add_generic_rpc_handlers((self._handlers(),))
        self._server.add_insecure_port(self.url.replace("unix://", "unix:"))
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Cut every call and stop; safe to repeat."""
        server, self._server = self._server, None
        pool, self._pool = self._pool, None
        with self._change():
            self._stalled = False
        if server is not None and pool is not None:
            server.stop(0).wait(_STOP)
            pool.shutdown()

    @property
    def calls(self) -> list[str]:
        """The names of the calls that were made, oldest first."""
        with self._changed:
            return list(self._calls)

    def register(self, spiffe_id: str) -> None:
        """Give callers this identity; the first one registered is their default."""
        if not spiffe_id.startswith(f"spiffe://{self.domain.name}/"):
            raise ValueError(f"{spiffe_id} is not of the trust domain {self.domain.name}")
        with self._change():
            self._ids.append(spiffe_id)

    def forget(self) -> None:
        """Take every identity away."""
        with self._change():
            self._ids.clear()

    def rotate(self) -> None:
        """Have new keys sign from now on; streams are told."""
        self.domain.rotate()
        with self._change():
            pass

    def fail(self, code: str) -> None:
        """Answer every call with this gRPC status, such as ``UNAVAILABLE``; empty ends it."""
        with self._change():
            self._code = code

    def answer(self, token: str) -> None:
        """Give this text as the JWT-SVID from now on, whatever it is; empty ends it."""
        with self._change():
            self._token = token

    @contextmanager
    def stalled(self) -> Iterator[None]:
        """Answer nothing meanwhile."""
        with self._change():
            self._stalled = True
        try:
            yield
        finally:
            with self._change():
                self._stalled = False

    @contextmanager
    def _change(self) -> Iterator[None]:
        with self._changed:
            yield
            self._turn += 1
            self._changed.notify_all()

    # The five calls. ``call`` is gRPC's context, of which grpc has no types.

    def _fetch_jwt(self, asked: Any, call: Any) -> Any:  # noqa: ANN401
        from spiffe._proto import workload_pb2 as pb  # noqa: PLC0415 - an extra

        known = self._admit("FetchJWTSVID", call)
        if not asked.audience or not all(asked.audience):
            _abort(call, "INVALID_ARGUMENT", "audience must be specified")
        wanted = [asked.spiffe_id] if asked.spiffe_id else known
        if not set(wanted) <= set(known):
            _abort(call, "PERMISSION_DENIED", "no identity issued")
        life = self._lives[0]
        made = [
            pb.JWTSVID(
                spiffe_id=one,
                svid=self._token or self.domain.jwt(one, set(asked.audience), life=life),
            )
            for one in wanted
        ]
        return pb.JWTSVIDResponse(svids=made)

    def _fetch_x509(self, _: Any, call: Any) -> Iterator[Any]:  # noqa: ANN401
        from spiffe._proto import workload_pb2 as pb  # noqa: PLC0415 - an extra

        life = self._lives[1]
        for known in self._turns("FetchX509SVID", call):
            made = []
            for one in known:
                chain, key = self.domain.x509(one, life=life)
                bundle = self.domain.bundle()
                made.append(
                    pb.X509SVID(spiffe_id=one, x509_svid=chain, x509_svid_key=key, bundle=bundle)
                )
            yield pb.X509SVIDResponse(svids=made)

    def _fetch_x509_bundles(self, _: Any, call: Any) -> Iterator[Any]:  # noqa: ANN401
        from spiffe._proto import workload_pb2 as pb  # noqa: PLC0415 - an extra

        for _known in self._turns("FetchX509Bundles", call):
            name = f"spiffe://{self.domain.name}"
            yield pb.X509BundlesResponse(bundles={name: self.domain.bundle()})

    def _fetch_jwt_bundles(self, _: Any, call: Any) -> Iterator[Any]:  # noqa: ANN401
        import json  # noqa: PLC0415 - little used

        from spiffe._proto import workload_pb2 as pb  # noqa: PLC0415 - an extra

        for _known in self._turns("FetchJWTBundles", call):
            name = f"spiffe://{self.domain.name}"
            keys = json.dumps(self.domain.jwks()).encode()
            yield pb.JWTBundlesResponse(bundles={name: keys})

    def _validate_jwt(self, asked: Any, call: Any) -> Any:  # noqa: ANN401
        from spiffe._proto import workload_pb2 as pb  # noqa: PLC0415 - an extra

        self._admit("ValidateJWTSVID", call)
        if not asked.audience or not asked.svid:
            _abort(call, "INVALID_ARGUMENT", "audience and svid must be specified")
        try:
            claims = self.domain.verify(asked.svid, audience=asked.audience)
        except SvidError as error:
            problem = str(error)
        else:
            found = pb.ValidateJWTSVIDResponse(spiffe_id=claims["sub"])
            found.claims.update(claims)
            return found
        return _abort(call, "INVALID_ARGUMENT", problem)

    def _admit(self, name: str, call: Any) -> list[str]:  # noqa: ANN401
        """Note the call, and give the identities of whoever makes it."""
        if [pair for pair in call.invocation_metadata() if pair[0] == _HEADER[0]] != [_HEADER]:
            _abort(call, "INVALID_ARGUMENT", "security header missing from request")
        with self._changed:
            self._calls.append(name)
            call.add_callback(self._wake)
            while self._stalled and call.is_active():
                self._changed.wait()
            code, known = self._code, list(self._ids)
        if code:
            _abort(call, code, "the test wants it so")
        if not known:
            _abort(call, "PERMISSION_DENIED", "no identity issued")
        return known

    def _turns(self, name: str, call: Any) -> Iterator[list[str]]:  # noqa: ANN401
        """Give the identities now, and again after each change and each half life."""
        self._admit(name, call)
        while call.is_active():
            with self._changed:
                turn, known = self._turn, list(self._ids)
            if not known:
                _abort(call, "PERMISSION_DENIED", "no identity issued")
            yield known
            self._wait_past(turn, call)

    def _wait_past(self, turn: int, call: Any) -> None:  # noqa: ANN401
        with self._changed:
            self._changed.wait_for(
                lambda: self._turn != turn or not call.is_active(),
                self._lives[1].total_seconds() / 2,
            )

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _handlers(self) -> Any:  # noqa: ANN401
        import grpc  # noqa: PLC0415 - an extra
        from spiffe._proto import workload_pb2 as pb  # noqa: PLC0415 - an extra

        def handler(kind: Callable[..., Any], work: Callable[..., Any], asked: Any) -> Any:  # noqa: ANN401
            return kind(
                work,
                request_deserializer=asked.FromString,
                response_serializer=lambda made: made.SerializeToString(),
            )

        one, many = grpc.unary_unary_rpc_method_handler, grpc.unary_stream_rpc_method_handler
        return grpc.method_handlers_generic_handler(
            "SpiffeWorkloadAPI",
            {
                "FetchJWTSVID": handler(one, self._fetch_jwt, pb.JWTSVIDRequest),
                "FetchX509SVID": handler(many, self._fetch_x509, pb.X509SVIDRequest),
                "FetchX509Bundles": handler(many, self._fetch_x509_bundles, pb.X509BundlesRequest),
                "FetchJWTBundles": handler(many, self._fetch_jwt_bundles, pb.JWTBundlesRequest),
                "ValidateJWTSVID": handler(one, self._validate_jwt, pb.ValidateJWTSVIDRequest),
            },
        )


def _abort(call: Any, code: str, text: str) -> Any:  # noqa: ANN401
    import grpc  # noqa: PLC0415 - an extra

    return call.abort(grpc.StatusCode[code], text)  # raises


def _main(path: str, *spiffe_ids: str) -> None:
    domain = TrustDomain(spiffe_ids[0].removeprefix("spiffe://").partition("/")[0])
    with WorkloadStub(path, domain=domain) as agent:
        for one in spiffe_ids:
            agent.register(one)
        print(agent.url, flush=True)  # noqa: T201 - its address, for whoever started it
        threading.Event().wait()


if __name__ == "__main__":
    import sys

    _main(*sys.argv[1:])
