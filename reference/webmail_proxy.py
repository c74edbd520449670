"""Webmail proxy: forwards HTTP, and delivers the mails that a webmail's user composes.

    python webmail_proxy.py [--listen HOST:PORT] [--mail-server HOST:PORT]
                            [--report-server HOST:PORT] [--limit BYTES] ...

A POST to http://mail.qq.com/cgi-bin/compose_send is taken over instead of being forwarded: the
mail in its form is saved, answered, and sent by SMTP. Recipients that the mail server refuses,
and mails over the limit, come back to the sender as an error report by way of the report
server (TLS). A webmail inside https passes through the tunnel unseen: it is not taken over.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import re
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from protocols.arguments import endpoint, name, seconds
from protocols.delivery import Delivery, Route
from protocols.endpoints import Endpoint
from protocols.http_proxy import Proxy
from protocols.log import Log, visible
from protocols.screen import show
from protocols.smtp import Login
from protocols.smtp_connection import Server, Timeouts
from protocols.webmail_agent import MailAgent

if TYPE_CHECKING:
    from collections.abc import Sequence

PASSWORD_VARIABLE = "MAIL_PASSWORD"  # noqa: S105 - the variable's name, no password

# What is under way when the program is told to end may take this long, in seconds.
GRACE = 10.0

_EPILOG = """\
The password for --user comes from the environment variable MAIL_PASSWORD. It is used with the
report server only, under TLS, if that offers AUTH. Certificates are verified against the
system's authorities (SSL_CERT_FILE names others).

exit status: 0 ended by SIGTERM or SIGINT; 2 wrong usage; 69 cannot listen; 73 the directory
cannot be written.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit status."""
    options = _parser().parse_args(arguments)
    if options.user and PASSWORD_VARIABLE not in os.environ:
        return _fail(f"--user needs the password in the variable {PASSWORD_VARIABLE}", 2)
    # What asyncio has to say about broken connections is in our own log, in our words.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    try:
        options.directory.mkdir(parents=True, exist_ok=True)
        log = Log.open(options.directory)
    except OSError as error:
        return _fail(f"cannot write to {options.directory}: {error.strerror}", os.EX_CANTCREAT)
    try:
        return asyncio.run(_serve(options, log))
    finally:
        log.close()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--listen", type=endpoint, default=Endpoint("127.0.0.1", 8800), metavar="HOST:PORT")
    add(
        "--mail-server",
        type=endpoint,
        default=Endpoint("smtp.qq.com", 25),
        metavar="HOST:PORT",
        help="where mails go, without TLS (default: %(default)s)",
    )
    add("--mail-server-name", default="", metavar="NAME", help="its name on the screen")
    add(
        "--report-server",
        type=endpoint,
        default=Endpoint("smtp.qq.com", 465),
        metavar="HOST:PORT",
        help="where error reports go, with TLS from the first byte (default: %(default)s)",
    )
    add("--report-tls-name", metavar="NAME", help="the certificate's name, if not HOST")
    add(
        "--limit",
        type=_limit,
        metavar="BYTES",
        help="the largest text allowed: bytes of the readable text of the form, in UTF-8 "
        "(empty: any)",
    )
    add("--user", metavar="NAME", help="log in at the report server")
    add(
        "--ehlo",
        type=name,
        metavar="NAME",
        help="our name for mail servers and in reports; default: our address, as [..]",
    )
    add("--directory", type=Path, default=Path(), help="for mails/ and Log-*.txt (default: here)")
    add("--timeout", type=seconds, metavar="SECONDS", help="the longest wait for an SMTP answer")
    add(
        "--retry",
        type=seconds,
        nargs="*",
        default=[5.0, 30.0, 120.0],
        metavar="SECONDS",
        help="pauses before further attempts after a temporary failure (default: 5 30 120)",
    )
    return parser


def _whole_number(text: str) -> int:
    if not text.isascii() or not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no number of bytes")
    return int(text)


def _limit(text: str) -> int | None:
    return _whole_number(text) if text else None


def _route(options: argparse.Namespace) -> Route:
    timeouts = Timeouts.all(options.timeout) if options.timeout else Timeouts()
    login = None
    if options.user:
        login = Login(options.user, os.environ.get(PASSWORD_VARIABLE, ""))
    mail = Server(options.mail_server, hello=options.ehlo, timeouts=timeouts)
    report = Server(
        options.report_server,
        tls=True,
        tls_name=options.report_tls_name,
        hello=options.ehlo,
        login=login,
        timeouts=timeouts,
    )
    return Route(
        mail=mail,
        report=report,
        own_name=options.ehlo or _host_name(),
        mail_name=options.mail_server_name,
        limit=options.limit,
        retries=tuple(options.retry),
    )


def _host_name() -> str:
    # A machine may be called anything; a header may not hold everything.
    name = socket.gethostname()
    return name if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.-]*", name) else "localhost"


async def _serve(options: argparse.Namespace, log: Log) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    delivery = Delivery(_route(options), log, show)
    agent = MailAgent(delivery, options.directory / "mails")
    proxy = Proxy(agent.hook, log.write)
    try:
        where = await proxy.start(options.listen)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
        return _fail(f"cannot listen on {options.listen}: {reason.lower()}", os.EX_UNAVAILABLE)
    show(f"listening on {where}")
    await stop.wait()
    show("stopping")
    deadline = loop.time() + GRACE
    await proxy.stop(GRACE / 2)
    await delivery.stop(max(1.0, deadline - loop.time()))
    return os.EX_OK


def _fail(message: str, status: int) -> int:
    print(f"webmail_proxy: {visible(message)}", file=sys.stderr, flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
