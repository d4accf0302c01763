"""Which algorithms and variables a configuration leaves, without a connection."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox_ops.errors import ConfigError
from sandbox_ops.ssh import algorithms, session_environment
from sandbox_ops.ssh.algorithms import WEAK, Algorithms
from sandbox_ops.ssh.resolved_host import AllowedByConfig, ResolvedHost

AVAILABLE = Algorithms(
    kex=("curve25519-sha256", "ecdh-sha2-nistp256"),
    host_keys=("ssh-ed25519", "rsa-sha2-512", "ssh-ed25519-cert-v01@openssh.com"),
    ciphers=("aes128-gcm@openssh.com", "aes128-ctr", "aes256-ctr", "aes128-cbc"),
    macs=("hmac-sha2-256", "hmac-md5", "hmac-sha1-96"),
    user_keys=("ssh-ed25519", "rsa-sha2-512"),
)


def host(**changes: object) -> ResolvedHost:
    return ResolvedHost(alias="gpu1", hostname="gpu1", port=22, user="me", **changes)  # type: ignore[arg-type]


def ciphers(text: str) -> tuple[str, ...]:
    wanted = AllowedByConfig(ciphers=tuple(filter(None, text.split(","))))
    return algorithms.allowed(host(algorithms=wanted), AVAILABLE).ciphers


STRONG = ("aes128-gcm@openssh.com", "aes128-ctr", "aes256-ctr")


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("", STRONG),
        ("aes256-ctr,aes128-ctr", ("aes256-ctr", "aes128-ctr")),
        ("chacha20-poly1305@openssh.com,aes256-ctr,aes128-ctr", STRONG[1:]),
        ("+aes128-cbc", STRONG),
        ("-aes128-*", ("aes256-ctr",)),
        ("^aes256-ctr", ("aes256-ctr", *STRONG[:2])),
        ("aes128-cbc,aes128-ctr", ("aes128-ctr",)),
    ],
)
def test_a_list_of_ssh_config_leaves_what_is_strong_and_here(
    text: str, left: tuple[str, ...]
) -> None:
    assert ciphers(text) == left


def test_a_list_that_leaves_nothing_is_an_error_that_names_what_there_is() -> None:
    with pytest.raises(ConfigError) as caught:
        ciphers("aes128-cbc")
    assert (
        "Ciphers of ssh_config for gpu1 allows only aes128-cbc" in caught.value.message
    )
    assert ", ".join(STRONG) in caught.value.hint


@given(st.text("+-^aesctrgmbcd0123456789,@.-*"))
def test_nothing_weak_is_left_whatever_the_list_says(text: str) -> None:
    try:
        left = ciphers(text)
    except ConfigError:
        return
    assert not [name for name in left if any(part in name for part in WEAK)]


def test_a_mismatch_names_both_sides_without_what_is_no_algorithm() -> None:
    offered = {
        "kex_algo_list": ["sntrup761x25519-sha512", "kex-strict-s-v00@openssh.com"],
        "server_key_algo_list": ["ssh-ed25519"],
        "client_encrypt_algo_list": ["aes128-ctr"],
        "server_encrypt_algo_list": ["aes128-ctr"],
        "client_mac_algo_list": ["hmac-sha2-256"],
        "server_mac_algo_list": ["hmac-sha2-256"],
    }
    (result,) = algorithms.mismatches(AVAILABLE, offered)
    assert str(result) == (
        "KexAlgorithms: it offers sntrup761x25519-sha512; here are "
        "curve25519-sha256, ecdh-sha2-nistp256"
    )


def test_known_types_are_asked_for_first_and_certificates_where_they_count() -> None:
    order = algorithms.host_key_order
    plain = ("ssh-ed25519", "rsa-sha2-512")
    certificate = "ssh-ed25519-cert-v01@openssh.com"
    names = (*plain, certificate)
    assert order(names, (), certificates=False) == names
    assert order(names, ("ssh-rsa",), certificates=False) == (
        "rsa-sha2-512", "ssh-ed25519", certificate,
    )  # fmt: skip
    assert order(names, (), certificates=True)[0] == certificate


@pytest.mark.parametrize(
    ("key_type", "accepted"),
    [
        ("ssh-ed25519", True),
        ("ssh-rsa", True),
        ("ecdsa-sha2-nistp256", False),
        ("ssh-rsa-cert-v01@openssh.com", False),
    ],
)
def test_a_key_is_accepted_by_the_ways_that_it_signs(
    key_type: str, accepted: bool
) -> None:
    assert algorithms.accepts_key(key_type, AVAILABLE.user_keys) is accepted


def test_variables_are_picked_by_pattern_and_case_and_set_env_wins() -> None:
    environ = {"LANG": "C", "LC_ALL": "C", "lang": "no", "OTHER": "no", "LC": "no"}
    resolved = host(send_env=("LANG LC_?LL", "X*"), set_env=(("LANG", "de"), ("A", "")))
    assert session_environment.variables(resolved, environ) == {
        "LANG": "de",
        "LC_ALL": "C",
        "A": "",
    }
