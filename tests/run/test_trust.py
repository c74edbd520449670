"""Whom programs trust: real clients find the run's authority, and refuse where they do not."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from harness import network as network_module
from harness.model.record import What
from harness.peers import Authority
from harness.peers.trust import with_own

from tests.run.theatre import Played, Theatre, play_once

if TYPE_CHECKING:
    from pathlib import Path

TROUBLE = network_module._trouble()
RUNGS = [
    "loopback",
    pytest.param("private", marks=pytest.mark.skipif(bool(TROUBLE), reason=TROUBLE)),
]
VARIABLES = (
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NODE_EXTRA_CA_CERTS",
    "CURL_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
    "JAVA_TOOL_OPTIONS",
)

PYTHON = """
import sys, urllib.request
print(urllib.request.urlopen(sys.argv[1]).read().decode())
"""
NODE = """
require("https").get(process.argv[2], answer => answer.pipe(process.stdout))
"""
JAVA = """
import java.net.URL;
class Get {
    public static void main(String[] arguments) throws Exception {
        try (var answer = new URL(arguments[0]).openStream()) {
            System.out.write(answer.readAllBytes());
            System.out.flush();
        }
    }
}
"""
FILES = {"get.py": PYTHON, "get.js": NODE, "Get.java": JAVA}
COMMANDS = {
    "python": [sys.executable, "get.py"],
    "curl": ["curl", "-sS"],
    "node": ["node", "--use-openssl-ca", "get.js"],
    "java": ["java", "-Xshare:auto", "-XX:TieredStopAtLevel=1", "Get.java"],
}
CLIENTS = [
    pytest.param(
        name,
        marks=pytest.mark.skipif(
            shutil.which(command[0]) is None, reason=f"{command[0]} is not installed"
        ),
    )
    for name, command in COMMANDS.items()
]


def get(
    theatre: Theatre, client: str, rung: str, env: str = "", without: tuple[str, ...] = ()
) -> Played:
    """A client fetches a page over TLS; without some of the variables that it is given."""
    hidden = [word for name in without for word in ("-u", name)]
    words = ["env", *hidden, *COMMANDS[client], "https://{host}:{port}/"]
    for name, text in FILES.items():
        (theatre.author / name).write_text(text, encoding="utf-8")
    plan = theatre.plan_of(
        "server< GET /",
        f"{words}\n    env: {{{env}}}",
        role="http-client",
        cast="server: {kind: http, at: 'shop.example.test:443', tls: implicit, pages: {/: Hello}}",
        more="patience: 30s\ntimeout: 50s\nexpect: {exit: 0, screen: '*Hello*'}",
        network=rung,
    )
    played = play_once(plan, network=rung)
    for name in FILES:
        (theatre.author / name).unlink()
    (theatre.author / "program.py").touch()
    return played


def refused(played: Played) -> bool:
    """The program has ended the handshake, since it does not know who vouches for the server."""
    (broken, *_) = played.record.of(What.BROKEN)
    assert "TLS handshake failed" in broken.note
    return played.outcome == "failed" and not played.record.of(What.HEARD)


@pytest.mark.parametrize("rung", RUNGS)
@pytest.mark.parametrize("client", CLIENTS)
def test_a_program_trusts_the_authority_by_its_variables(
    theatre: Theatre, client: str, rung: str
) -> None:
    played = get(theatre, client, rung)

    assert played.outcome == "passed", played.record


@pytest.mark.parametrize("client", CLIENTS)
def test_without_them_it_refuses_on_loopback(theatre: Theatre, client: str) -> None:
    assert refused(get(theatre, client, "loopback", without=VARIABLES))


@pytest.mark.skipif(bool(TROUBLE), reason=TROUBLE)
@pytest.mark.parametrize("client", CLIENTS)
def test_without_them_it_asks_its_system_which_trusts_it_on_the_private_network(
    theatre: Theatre, client: str
) -> None:
    played = get(theatre, client, "private", without=VARIABLES)

    assert played.outcome == "passed", played.record


@pytest.mark.parametrize("rung", RUNGS)
def test_what_the_implementation_says_of_trust_counts(theatre: Theatre, rung: str) -> None:
    assert refused(get(theatre, "python", rung, env="SSL_CERT_FILE: /dev/null"))


def test_options_of_a_jvm_are_added_to_its_own() -> None:
    trust = {"JAVA_TOOL_OPTIONS": "-Da=b", "SSL_CERT_FILE": "ours"}

    assert with_own(trust, {}) == trust
    assert with_own(trust, {"JAVA_TOOL_OPTIONS": "-Xmx1g", "A": "b"}) == {
        "JAVA_TOOL_OPTIONS": "-Da=b -Xmx1g",
        "SSL_CERT_FILE": "ours",
        "A": "b",
    }


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_openssl_finds_the_certificate_by_its_hash(tmp_path: Path) -> None:
    authority = Authority()
    try:
        command = ["openssl", "x509", "-subject_hash", "-noout", "-in", str(authority.bundle)]
        told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        assert authority.system_files[f"{told.strip()}.0"] == authority.bundle.read_bytes()
    finally:
        authority.close()


def test_every_form_holds_the_one_certificate() -> None:
    authority = Authority()
    try:
        certificate = x509.load_pem_x509_certificate(authority.bundle.read_bytes())
        assert authority.system_files["ca-certificates.crt"] == authority.bundle.read_bytes()
        assert certificate.public_bytes(Encoding.DER) in (authority.system_files["java/cacerts"])
    finally:
        authority.close()
