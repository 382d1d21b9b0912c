"""The stand-in for a SPIFFE agent does what the standard asks, towards the real client."""

import base64
import json
import threading
import time
from datetime import timedelta

import grpc
import pytest
from cryptography import x509
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey
from joserfc.jws import JWSRegistry
from spiffe import JwtSvid, SpiffeId, TrustDomain, WorkloadApiClient, X509Source
from spiffe._proto import workload_pb2, workload_pb2_grpc
from spiffe.workloadapi.errors import FetchJwtSvidError, ValidateJwtSvidError, WorkloadApiError

from secretkit.testing.trustdomain import SvidError
from secretkit.testing.workload import WorkloadStub

ES256 = JWSRegistry.algorithms["ES256"]
ID = "spiffe://example.org/broker"


@pytest.fixture
def agent(tmp_path_factory):
    with WorkloadStub(tmp_path_factory.mktemp("w") / "a.sock") as stub:
        stub.register(ID)
        yield stub


def leaf_of(source):
    return source.get_x509_context().default_svid.leaf


def until(happened):
    pause = threading.Event()
    for _ in range(1000):
        if happened():
            return
        pause.wait(0.01)
    raise AssertionError("it did not happen in 10 seconds")


@pytest.fixture
def client(agent):
    with WorkloadApiClient(agent.url, default_timeout=10) as made:
        yield made


def test_a_jwt_svid_verifies_with_the_bundle(agent, client):
    svid = client.fetch_jwt_svid({"vault", "other"})
    assert str(svid.spiffe_id) == ID
    bundle = client.fetch_jwt_bundles().get_bundle_for_trust_domain(TrustDomain("example.org"))
    assert JwtSvid.parse_and_validate(svid.token, bundle, {"vault"}).audience
    assert client.validate_jwt_svid(svid.token, audience="vault").spiffe_id == SpiffeId(ID)
    with pytest.raises(ValidateJwtSvidError):
        client.validate_jwt_svid(svid.token, audience="elsewhere")


def test_an_x509_svid_is_one_that_the_client_takes_and_the_bundle_signs(client):
    context = client.fetch_x509_context()
    leaf = context.default_svid.leaf
    (authority,) = context.x509_bundle_set.get_bundle_for_trust_domain(
        TrustDomain("example.org")
    ).x509_authorities
    leaf.verify_directly_issued_by(authority)
    san = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert san.critical
    assert san.value.get_values_for_type(x509.UniformResourceIdentifier) == [ID]


def test_a_request_without_the_security_header_is_refused(agent):
    """SPIFFE_Workload_Endpoint.md §5: what a browser can be made to send does not have it."""
    with grpc.insecure_channel(agent.url.replace("unix://", "unix:")) as channel:
        face = workload_pb2_grpc.SpiffeWorkloadAPIStub(channel)
        asked = workload_pb2.JWTSVIDRequest(audience=["vault"])
        for metadata in (
            (),
            (("workload.spiffe.io", "false"),),
            (("workload.spiffe.io", "true"), ("workload.spiffe.io", "true")),
        ):
            with pytest.raises(grpc.RpcError) as caught:
                face.FetchJWTSVID(asked, metadata=metadata, timeout=10)
            assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
            with pytest.raises(grpc.RpcError) as caught:
                next(
                    face.FetchX509SVID(
                        workload_pb2.X509SVIDRequest(), metadata=metadata, timeout=10
                    )
                )
            assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert agent.calls == []


def test_who_is_not_registered_gets_nothing(agent, client):
    with pytest.raises(FetchJwtSvidError, match="PERMISSION_DENIED"):
        client.fetch_jwt_svid({"vault"}, subject=SpiffeId("spiffe://example.org/other"))
    agent.forget()
    for ask in (client.fetch_x509_svid, client.fetch_jwt_bundles, client.fetch_x509_bundles):
        with pytest.raises(WorkloadApiError, match="PERMISSION_DENIED"):
            ask()


def test_a_rotation_reaches_a_stream_and_the_old_keys_stay_until_they_retire(agent, client):
    with X509Source(socket_path=agent.url, timeout_in_seconds=10) as source:
        old = leaf_of(source)
        token = client.fetch_jwt_svid({"vault"}).token
        agent.rotate()
        until(lambda: leaf_of(source) != old)
        assert leaf_of(source).issuer != old.issuer
    assert agent.domain.verify(token, audience="vault")["sub"] == ID
    agent.domain.retire()
    with pytest.raises(SvidError, match="no key"):
        agent.domain.verify(token, audience="vault")


def test_svids_are_rotated_at_half_their_life(tmp_path_factory):
    path = tmp_path_factory.mktemp("w") / "a.sock"
    with WorkloadStub(path, x509_life=timedelta(seconds=2)) as agent:
        agent.register(ID)
        with X509Source(socket_path=agent.url, timeout_in_seconds=10) as source:
            old = leaf_of(source)
            until(lambda: leaf_of(source) != old)
            assert leaf_of(source).issuer == old.issuer
            assert leaf_of(source) != old


CLAIMS = {
    "no end": {"exp": None},
    "ended": {"exp": 1},
    "no audience": {"aud": None},
    "another domain": {"sub": "spiffe://elsewhere.example/broker"},
}
HEADERS = {
    "crit": {"crit": ["x"], "x": 1},
    "jwk": {"jwk": ECKey.generate_key("P-256").as_dict(private=False)},
    "no key id": {"kid": None},
    "another algorithm": {"alg": "ES384"},
}


def forged(domain, how):
    """Give a token that a lenient verifier takes: scorecard B12."""
    token = domain.jwt(ID, {"vault"}, life=timedelta(minutes=5), **CLAIMS.get(how, {}))
    (public,) = domain.jwks()["keys"]
    _, claims, signature = token.split(".")
    header = {"alg": "ES256", "kid": public["kid"]}
    said = json.loads(base64.urlsafe_b64decode(claims + "=="))
    if how in HEADERS:
        kept = {name: value for name, value in (header | HEADERS[how]).items() if value is not None}
        token = f"{coded(kept)}.{claims}.{signature}"
    elif how == "none":
        token = f"{coded({**header, 'alg': 'none'})}.{claims}."
    elif how == "hs256":
        shared = OctKey.import_key(json.dumps(public))
        token = jwt.encode({**header, "alg": "HS256"}, said, shared, algorithms=["HS256"])
    elif how == "own key":
        own = ECKey.generate_key("P-256", {"kid": public["kid"]})
        token = jwt.encode(header, said, own, algorithms=["ES256"])
    elif how == "cut":
        token = token[:-4]
    return token


FORGED = ("none", "hs256", "own key", "cut", *HEADERS, *CLAIMS)


def coded(header):
    return base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize("how", FORGED)
def test_a_forged_token_is_not_validated(agent, client, how):
    token = forged(agent.domain, how)
    with pytest.raises(SvidError):
        agent.domain.verify(token, audience="vault")
    with pytest.raises(ValidateJwtSvidError):
        client.validate_jwt_svid(token, audience="vault")


@pytest.mark.parametrize(
    "more", [{"crit": ["b64"], "b64": True}, {"jwk": {}}, {"jku": "x"}], ids=str
)
def test_a_header_that_asks_for_more_is_not_taken_though_the_right_key_signed_it(agent, more):
    domain = agent.domain
    signer = domain._signers[-1]
    claims = json.loads(
        base64.urlsafe_b64decode(
            domain.jwt(ID, {"vault"}, life=timedelta(minutes=5)).split(".")[1] + "=="
        )
    )
    plain = {"alg": "ES256", "kid": signer.kid}
    assert domain.verify(signed(plain, claims, signer), audience="vault")
    with pytest.raises(SvidError, match="header"):
        domain.verify(signed(plain | more, claims, signer), audience="vault")


def signed(header, claims, key):
    """Sign without looking at the header, which joserfc would refuse to write."""
    text = f"{coded(header)}.{coded(claims)}"
    made = ES256.sign(text.encode(), key)
    return f"{text}.{base64.urlsafe_b64encode(made).rstrip(b'=').decode()}"


def test_another_identity_than_of_its_domain_is_not_registered(agent):
    with pytest.raises(ValueError, match="trust domain"):
        agent.register("spiffe://elsewhere.example/broker")


def test_it_stops_with_streams_open_and_may_be_stopped_twice(tmp_path_factory):
    agent = WorkloadStub(tmp_path_factory.mktemp("w") / "a.sock")
    agent.__enter__()
    agent.register(ID)
    with WorkloadApiClient(agent.url) as client:
        seen = []
        stop = client.stream_x509_contexts(seen.append, lambda _: None)
        until(lambda: seen)
        start = time.monotonic()
        agent.__exit__()
        agent.__exit__()
        assert time.monotonic() - start < 5
        stop.cancel()
