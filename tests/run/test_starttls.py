"""TLS in the middle of a connection: programs that do it right, and programs that do not."""

from __future__ import annotations

from textwrap import indent
from typing import TYPE_CHECKING

import pytest
from harness.model.record import What
from harness.report import transcript

from tests.run.theatre import Played, play_once

if TYPE_CHECKING:
    from tests.run.theatre import Theatre

#: A client by the library, and what it does between its two EHLO.
CLIENT = """
import smtplib, ssl, sys
host, port = sys.argv[1], int(sys.argv[2])
server = smtplib.SMTP(host, port, local_hostname="me", timeout=5)
server.ehlo()
{secure}
server.sendmail("ann@example.test", ["bo@example.test"], "Subject: TEST\\n\\nhello")
server.quit()
"""
RIGHT = CLIENT.format(secure="server.starttls(context=ssl.create_default_context())")
TRUSTS_ALL = CLIENT.format(secure="server.starttls(context=ssl._create_unverified_context())")
IN_CLEAR = CLIENT.format(secure="")

MAIL = "mail: {kind: smtp, at: 'mail.example.test:587', tls: starttls, mailboxes: [bo@example.test]"
DELIVERED = "expect: {exit: 0, mailbox: {bo@example.test: [{subject: TEST}]}}"
REFUSED = "patience: 1s\nexpect: {exit: nonzero, mailbox: {bo@example.test: []}}"
BAD = ["expired", "self-signed", "wrong-host"]
ENCRYPTS = """
mail< EHLO *
mail< STARTTLS
mail< EHLO *  # what was said in clear is forgotten (RFC 3207 4.2)
mail< MAIL *
mail< QUIT
"""


def mailed(
    theatre: Theatre, program: str, more: str, exchange: str = ENCRYPTS, keys: str = ""
) -> Played:
    cast = f"{MAIL}{keys}}}"
    return play_once(theatre.plan(exchange, program, role="smtp-client", cast=cast, more=more))


def test_a_client_that_encrypts_delivers_its_mail(theatre: Theatre) -> None:
    result = mailed(theatre, RIGHT, DELIVERED)

    assert (result.outcome, result.headlines) == ("passed", [])
    (handshake,) = result.record.of(What.ENCRYPTED)
    assert handshake.note in ("TLSv1.2", "TLSv1.3")
    assert b"STARTTLS" in result.heard("mail")
    assert b"Subject: TEST" in result.heard("mail")  # decrypted


def test_the_transcript_tells_from_where_on_it_was_encrypted(theatre: Theatre) -> None:
    cast = f"{MAIL}}}"
    plan = theatre.plan(ENCRYPTS, RIGHT, role="smtp-client", cast=cast, more=DELIVERED)
    told = [line.split("  #")[0] for line in transcript(plan, play_once(plan).record).splitlines()]

    (place,) = [n for n, line in enumerate(told) if line.startswith("# mail: encrypted, TLSv1.")]
    assert told.index("mail< STARTTLS") < told.index("mail> 220 2.0.0 Ready to start TLS") < place
    hellos = [n for n, line in enumerate(told) if line.startswith("mail< EHLO")]
    assert hellos[0] < place < hellos[1] < told.index("mail< QUIT")
    offers = [
        n for n, line in enumerate(told) if "STARTTLS" in line and line.startswith("mail> 250")
    ]
    assert len(offers) == 1  # it is not offered a second time


def test_a_client_that_goes_on_in_clear_is_caught(theatre: Theatre) -> None:
    result = mailed(theatre, IN_CLEAR, DELIVERED)

    assert result.outcome == "failed"
    assert result.tells("STARTTLS")


def test_a_password_is_not_asked_for_in_clear(theatre: Theatre) -> None:
    keys = ", users: {ann: s3cret}"
    secure = "server.starttls(context=ssl.create_default_context()); server.login('ann', 's3cret')"
    exchange = "mail< STARTTLS\nmail< AUTH *\nmail< QUIT"

    assert mailed(theatre, CLIENT.format(secure=secure), DELIVERED, exchange, keys).headlines == []
    bold = CLIENT.format(secure="print(server.docmd('AUTH PLAIN AGFubgBzM2NyZXQ='))")
    more = "expect: {exit: 0, screen: '*538*'}"
    assert mailed(theatre, bold, more, "mail< AUTH *", keys).headlines == []


@pytest.mark.parametrize("certificate", BAD)
def test_a_client_that_looks_at_the_certificate_refuses_a_bad_one(
    theatre: Theatre, certificate: str
) -> None:
    exchange = "mail< STARTTLS\nnever:\n  mail< MAIL *"
    result = mailed(theatre, RIGHT, REFUSED, exchange, f", certificate: {certificate}")
    headlines = [headline for headline in result.headlines if "crashed" not in headline]

    assert headlines == []  # a library raises an exception
    (broken,) = result.record.of(What.BROKEN)
    assert "alert" in broken.note


@pytest.mark.parametrize("certificate", BAD)
def test_a_client_that_does_not_is_caught(theatre: Theatre, certificate: str) -> None:
    exchange = "mail< STARTTLS\nnever:\n  mail< MAIL *"
    result = mailed(theatre, TRUSTS_ALL, REFUSED, exchange, f", certificate: {certificate}")

    assert result.outcome == "failed"
    assert result.tells("MAIL FROM", "must not")


@pytest.mark.parametrize("certificate", BAD)
def test_a_bad_certificate_is_shown_from_the_first_byte_on_too(
    theatre: Theatre, certificate: str
) -> None:
    program = """
        import socket, ssl, sys
        with socket.create_connection((sys.argv[1], int(sys.argv[2]))) as sock:
            try:
                context.wrap_socket(sock, server_hostname=sys.argv[1]).send(b"hello")
            except ssl.SSLCertVerificationError as error:
                sys.exit(str(error))
    """
    cast = f"server: {{kind: tcp, at: 443, tls: implicit, eol: none, certificate: {certificate}}}"
    for context, right in (("create_default_context", True), ("_create_unverified_context", False)):
        source = program.replace("context.wrap", f"ssl.{context}().wrap")
        more = "expect: {exit: nonzero}" if right else "expect: {exit: 0}"
        plan = theatre.plan(
            "server< hello" if not right else "", source, role="echo-client", cast=cast, more=more
        )
        assert play_once(plan).headlines == []


# -- scripted actors ---------------------------------------------------------------------

SCRIPT = """
mail! accept
mail> 220 hello
mail< EHLO *
mail> 250-me\\r\\n250 STARTTLS
mail< STARTTLS
mail> 220 go
mail! starttls
mail< EHLO *
mail> 250 me
mail< MAIL *
mail> 550 enough
mail< RSET
mail> 250 ok
mail< QUIT
mail> 221 bye
mail! expect eof
"""
SCRIPTED = "mail: {kind: tcp, at: 'mail.example.test:587', tls: starttls"
GIVES_UP = RIGHT.replace('server.sendmail("', 'try:\n    server.sendmail("').replace(
    "server.quit()", "except smtplib.SMTPSenderRefused:\n    pass\nserver.quit()"
)


def scripted(theatre: Theatre, exchange: str, program: str, more: str, keys: str = "") -> Played:
    cast = f"{SCRIPTED}{keys}}}"
    return play_once(theatre.plan(exchange, program, role="smtp-client", cast=cast, more=more))


def test_a_scripted_server_encrypts_where_its_script_says(theatre: Theatre) -> None:
    result = scripted(theatre, SCRIPT, GIVES_UP, "expect: {exit: 0}")

    assert (result.outcome, result.headlines) == ("passed", [])
    assert len(result.record.of(What.ENCRYPTED)) == 1


def test_a_client_that_goes_on_in_clear_breaks_the_handshake(theatre: Theatre) -> None:
    bold = "server.docmd('STARTTLS')"
    result = scripted(
        theatre, SCRIPT, CLIENT.format(secure=bold), "patience: 1s\nexpect: {exit: 0}"
    )

    headline = (
        "mail could not do its part: the TLS handshake failed: what the program sent is no TLS."
    )
    assert headline in result.headlines


def test_words_in_clear_are_put_before_the_handshake(theatre: Theatre) -> None:
    """Who takes them for the reply to the second EHLO was told by somebody else (RFC 3207 6)."""
    injected = SCRIPT.replace("mail> 220 go", "mail> 220 go\\r\\n250 injected")
    bold = """
import socket, ssl, sys
sock = socket.create_connection((sys.argv[1], int(sys.argv[2])))
lines = sock.makefile("rb")
lines.readline(); sock.sendall(b"EHLO me\\r\\n"); lines.readline(); lines.readline()
sock.sendall(b"STARTTLS\\r\\n"); lines.readline()
tls = ssl.create_default_context().wrap_socket(sock, server_hostname=sys.argv[1])
tls.sendall(b"EHLO me\\r\\n")
print(lines.readline())
"""
    more = "expect: {screen: '*injected*'}"
    head, ehlo, _ = injected.rpartition("mail< EHLO *\n")
    result = scripted(theatre, head + ehlo, bold, more)

    assert result.headlines == []
    assert len(result.record.of(What.ENCRYPTED)) == 1


@pytest.mark.parametrize("certificate", BAD)
def test_a_scripted_server_goes_on_when_its_bad_certificate_is_refused(
    theatre: Theatre, certificate: str
) -> None:
    head, act, _ = SCRIPT.partition("mail! starttls\n")
    exchange = f"{head}{act}mail! expect eof\n"
    more = "patience: 1s\nexpect: {exit: nonzero}"
    refuses = indent(RIGHT.strip(), "    ").replace("    ", "try:\n    ", 1)
    refuses += "\nexcept ssl.SSLError:\n    sys.exit('refused')"
    keys = f", certificate: {certificate}"

    assert scripted(theatre, exchange, refuses, more, keys).headlines == []
    result = scripted(theatre, exchange, TRUSTS_ALL, more, keys)
    assert result.tells("ehlo", "where it was to close the connection")


def test_a_scripted_client_asks_a_server_for_tls(
    theatre: Theatre, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The server has a certificate of its own, which nobody can know."""
    import trustme

    pem = tmp_path_factory.mktemp("server") / "server.pem"
    leaf = trustme.CA().issue_cert("server.example.test")
    pem.write_bytes(leaf.private_key_pem.bytes() + leaf.cert_chain_pems[0].bytes())
    program = f"""
        import socket, ssl, sys
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain({str(pem)!r})
        listener = socket.create_server((sys.argv[1], int(sys.argv[2])))
        while True:
            client, _ = listener.accept()
            assert client.recv(100) == b"STARTTLS\\r\\n"
            client.sendall(b"220 go\\r\\n")
            tls = context.wrap_socket(client, server_side=True)
            tls.sendall(tls.recv(100).upper())
            tls.close()
    """
    exchange = """
        client> STARTTLS
        client< 220 *
        client! starttls
        client> hello
        client< HELLO
        client! expect eof
    """
    cast = "client: {kind: tcp, to: server, tls: starttls, eol: crlf}"
    plan = theatre.plan(
        exchange, program, role="echo-server", cast=cast, more="expect: {screen: {lacks: x}}"
    )
    result = play_once(plan)

    assert (result.outcome, result.headlines) == ("passed", [])
    assert len(result.record.of(What.ENCRYPTED)) == 1
