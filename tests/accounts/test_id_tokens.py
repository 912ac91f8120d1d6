"""What the server believes a provider: forged tokens, odd claims, documents and answers that are too much."""

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from accounts.forger import METADATA, SHARED_SECRET, Forger, endless_body, json_answer, running_forger
from errors import ProviderRefused, ProviderUnavailable, SetupError
from running import free_port
from services.accounts.provider import Attempt, Provider

ATTEMPT = Attempt("state", "n", "verifier")
PAGE = "https://calendar.example.com"


@pytest.fixture
def forger() -> Iterator[Forger]:
    with running_forger() as running:
        yield running


def provider_of(forger: Forger) -> Provider:
    return Provider(forger.issuer, "calendar", "secret", PAGE)


def forged(*arguments: Any, **claims: Any) -> Callable[[Forger], str]:
    return lambda forger: forger.token(*arguments, **claims)


FORGED = {
    "another issuer": forged(iss="https://evil.example"),
    "another audience": forged(aud="other"),
    "another audience, too": forged(aud=["calendar", "other"]),
    "no audience": forged(aud=None),
    "issued to another client": forged(azp="other"),
    "another nonce": forged(nonce="m"),
    "no nonce": forged(nonce=None),
    "no subject": forged(sub=None),
    "empty subject": forged(sub=""),
    "a subject that is too long": forged(sub="a" * 256),
    "no expiry": forged(exp=None),
    "expired": forged(exp=-150),
    "not yet valid": forged(nbf=3600),
    "issued in the future": forged(iat=3600),
    "algorithm none": forged("", "none"),
    "public key as secret": lambda forger: forger.token(str(forger.documents()["/keys"]), "HS256"),
    "a secret among the keys": forged(SHARED_SECRET, "HS256", "shared"),
    "unknown key": forged("stranger"),
    "key of somebody else": forged("stranger", kid="good"),
    "weak key": forged("weak"),
    "another kind of key": forged(ec.generate_private_key(ec.SECP256R1()), "ES256"),
    "another algorithm of the same key": forged("good", "RS512"),
    "huge": forged(name="가" * 100_000),
    "no token": lambda _: "a.b.c",
    "empty": lambda _: "",
}


@pytest.mark.parametrize("what", FORGED)
def test_a_forged_token_is_refused(forger, what):
    with pytest.raises(ProviderRefused):
        provider_of(forger).verify(FORGED[what](forger), "n")


@pytest.mark.parametrize(
    "claims", [{}, {"exp": -100}, {"iat": 100, "nbf": 100}, {"aud": ["calendar"]}, {"azp": "calendar"}]
)
def test_a_good_token_is_taken_also_with_clocks_two_minutes_apart(forger, claims):
    identity = provider_of(forger).verify(forger.token(**claims), "n")
    assert (identity.issuer, identity.subject, identity.email) == (forger.issuer, "hong", "hong@example.com")
    assert identity.email_verified


@pytest.mark.parametrize(
    ("claims", "verified"),
    [
        ({"email_verified": None}, False),
        ({"email_verified": False}, False),
        ({"email_verified": "true"}, False),
        ({"email_verified": 1}, False),
        ({"email_verified": False, "xms_edov": True}, False),
        ({"email_verified": None, "xms_edov": False}, False),
        ({"email_verified": None, "xms_edov": "0"}, False),
        ({"email_verified": None, "xms_edov": True}, True),
        ({"email_verified": None, "xms_edov": "1"}, True),
    ],
)
def test_an_address_is_verified_only_if_the_provider_says_so(forger, claims, verified):
    assert provider_of(forger).verify(forger.token(**claims), "n").email_verified is verified


@pytest.mark.parametrize(
    "email",
    [None, "", 7, ["hong@example.com"], "hong", "a" * 250 + "@b.kr", "hong\0@example.com", "a b@c.kr"],
)
def test_what_cannot_be_an_address_is_none(forger, email):
    assert provider_of(forger).verify(forger.token(email=email), "n").email == ""


@pytest.mark.parametrize(
    ("claims", "name"),
    [
        ({"name": " 홍\n길동 "}, "홍 길동"),
        ({"name": "홍" * 300}, "홍" * 100),
        ({"name": "", "preferred_username": "hong"}, "hong"),
        ({"name": "홍\x1b[2J", "preferred_username": "hong"}, "hong"),
        ({"name": {"first": "길동"}, "preferred_username": "hong"}, "hong"),
        ({"name": "\t"}, ""),
        ({}, ""),
    ],
)
def test_a_name_keeps_the_rules_for_names(forger, claims, name):
    assert provider_of(forger).verify(forger.token(**claims), "n").name == name


def test_tokens_of_unknown_keys_do_not_make_the_server_read_the_keys_each_time(forger):
    provider = provider_of(forger)
    for number in range(20):
        with pytest.raises(ProviderRefused):
            provider.verify(forger.token("stranger", kid=f"key {number}"), "n")
    assert forger.asked.count("GET /keys") == 2


@pytest.mark.parametrize("path", [METADATA, "/keys"])
@pytest.mark.parametrize(
    "answer",
    [
        json_answer({}, 500),
        json_answer({}, 302, Location="/elsewhere"),
        json_answer("[" * 100_000),
        json_answer("no json"),
        json_answer([]),
        endless_body,
    ],
    ids=["failure", "redirect", "nested", "no JSON", "no object", "endless"],
)
def test_a_document_that_cannot_be_read_is_said_so_and_not_asked_for_again_at_once(forger, path, answer):
    forger.answers |= {"/elsewhere": json_answer(forger.documents()[path]), path: answer}
    provider = provider_of(forger)
    for _ in range(5):
        with pytest.raises(ProviderUnavailable):
            provider.verify(forger.token(), "n")
    assert forger.asked.count(f"GET {path}") == 1


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://login.example.com/{tenantid}/v2.0"},
        {"issuer": None},
        {"token_endpoint": None},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"jwks_uri": "file:///etc/passwd"},
    ],
)
def test_a_provider_that_is_not_what_the_settings_say_is_refused_with_a_sentence(forger, metadata):
    forger.metadata = metadata
    with pytest.raises(SetupError, match="OIDC_ISSUER"):
        provider_of(forger).address(ATTEMPT)


def test_an_issuer_with_a_slash_at_its_end_is_found_and_must_say_so_itself(forger):
    forger.metadata = {"jwks_uri": f"{forger.issuer}/keys"}
    forger.issuer += "/realms/a/"
    forger.answers[f"/realms/a{METADATA}"] = json_answer(forger.documents()[METADATA])
    with pytest.raises(SetupError, match="마지막 글자까지"):
        Provider(forger.issuer.rstrip("/"), "calendar", "secret", PAGE).address(ATTEMPT)
    assert provider_of(forger).verify(forger.token(), "n").issuer == forger.issuer


def test_a_provider_out_of_reach_is_said_so():
    away = Provider(f"http://127.0.0.1:{free_port()}", "calendar", "secret", PAGE)
    with pytest.raises(ProviderUnavailable):
        away.address(ATTEMPT)


def test_the_browser_is_sent_with_pkce_state_and_nonce(forger):
    attempt = Attempt.new()
    query = parse_qs(urlsplit(provider_of(forger).address(attempt)).query)
    assert query["state"] == [attempt.state]
    assert query["nonce"] == [attempt.nonce]
    assert query["code_challenge_method"] == ["S256"]
    assert attempt.verifier not in query["code_challenge"]
    assert query["redirect_uri"] == [f"{PAGE}/auth/oidc/callback"]
    assert set(query["scope"][0].split()) == {"openid", "email", "profile"}


@pytest.mark.parametrize(
    ("promised", "answer"),
    [
        (False, {}),
        (False, {"error": "access_denied"}),
        (False, {"error": "access_denied", "code": "c"}),
        (False, {"code": "c", "iss": "https://evil.example"}),
        (True, {"code": "c"}),
        (True, {"code": "c", "iss": ""}),
    ],
)
def test_an_answer_without_a_code_or_of_another_issuer_never_reaches_the_provider(forger, promised, answer):
    forger.metadata = {"authorization_response_iss_parameter_supported": promised}
    with pytest.raises(ProviderRefused):
        provider_of(forger).identify(ATTEMPT, answer)
    assert "POST /token" not in forger.asked


@pytest.mark.parametrize(
    "methods", [None, ["client_secret_post", "client_secret_basic"], ["client_secret_post"]]
)
def test_a_code_becomes_an_identity_however_the_provider_wants_the_secret(forger, methods):
    forger.metadata = {"token_endpoint_auth_methods_supported": methods} if methods else {}
    sent: list[str | None] = []

    def answer(request) -> None:
        sent.append(request.headers["Authorization"])
        json_answer({"access_token": "a", "token_type": "Bearer", "id_token": forger.token()})(request)

    forger.answers["/token"] = answer
    assert provider_of(forger).identify(ATTEMPT, {"code": "c", "iss": forger.issuer}).subject == "hong"
    assert (sent[0] is None) == (methods == ["client_secret_post"])


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (json_answer({"error": "invalid_grant"}, 400), ProviderRefused),
        (json_answer({"access_token": "a"}), ProviderRefused),
        (json_answer({"id_token": {"sub": "hong"}}), ProviderRefused),
        (json_answer("no json"), ProviderRefused),
        (json_answer({}, 307, Location="/elsewhere"), ProviderRefused),
        (json_answer("busy", 429), ProviderUnavailable),
        (json_answer({}, 500), ProviderUnavailable),
        (endless_body, ProviderUnavailable),
    ],
    ids=["error", "no token", "odd token", "no JSON", "redirect", "busy", "failure", "endless"],
)
def test_an_answer_to_the_code_that_is_no_token_is_refused(forger, answer, error):
    forger.answers["/token"] = answer
    with pytest.raises(error):
        provider_of(forger).identify(ATTEMPT, {"code": "c"})
    assert "POST /elsewhere" not in forger.asked
