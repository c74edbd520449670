"""SMTP client: sends a mail, prints the dialogue, and says what became of it.

    python smtp_client.py --server HOST:PORT [--plain | --starttls | --tls] --from ADDR --to ADDR...
                          [--subject TEXT] [--text TEXT] [--user NAME] ...

Without --text the text is read from standard input. The password for --user comes from
the environment variable SMTP_PASSWORD, or is asked for. TLS certificates are verified
against the system's authorities (SSL_CERT_FILE names others).
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

from protocols.addresses import AddressError, Mailbox, check_address
from protocols.arguments import endpoint, name, seconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from protocols.smtp import Login, Outcome, Result
    from protocols.smtp_connection import Timeouts

PASSWORD_VARIABLE = "SMTP_PASSWORD"  # noqa: S105 - the variable's name, no password

_EPILOG = """\
On standard output: the dialogue as `C:` and `S:` lines, credentials masked, then one line
per recipient. Errors go to standard error.

exit status (sysexits.h): 0 accepted for every recipient; 2 wrong usage; 65 an address is
none, and nothing was sent; 67 a recipient was refused; 69 the server cannot be reached, or
refused the mail; 75 it may work later; 76 the server does not speak SMTP; 77 the login
failed; 130 interrupted. Accepted means that the server took responsibility for the mail, not
that it has been delivered.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit status."""
    options = _parser().parse_args(arguments)
    try:
        return _run(options)
    except KeyboardInterrupt:
        return _fail("interrupted", 130)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--server", required=True, type=endpoint, metavar="HOST:PORT")
    secured = parser.add_mutually_exclusive_group()
    secured.add_argument("--plain", action="store_true", help="no encryption (the default)")
    secured.add_argument(
        "--starttls", action="store_true", help="TLS by STARTTLS, or no mail at all (port 587)"
    )
    secured.add_argument("--tls", action="store_true", help="TLS from the first byte (port 465)")
    parser.add_argument("--tls-name", metavar="NAME", help="the certificate's name, if not HOST")
    parser.add_argument("--user", metavar="NAME", help="log in, if the server offers AUTH")
    parser.add_argument(
        "--auth-in-clear", action="store_true", help="allow the login on a connection without TLS"
    )
    parser.add_argument("--from", dest="sender", required=True, metavar="ADDR")
    parser.add_argument("--to", nargs="+", action="extend", required=True, metavar="ADDR")
    parser.add_argument("--subject", default="", metavar="TEXT")
    parser.add_argument("--text", metavar="TEXT", help="default: standard input")
    parser.add_argument(
        "--ehlo", type=name, metavar="NAME", help="our name; default: our address, as [..]"
    )
    parser.add_argument(
        "--timeout",
        type=seconds,
        metavar="SECONDS",
        help="the longest wait for any answer; default: those of RFC 5321 4.5.3.2",
    )
    return parser


def _run(options: argparse.Namespace) -> int:
    checked = _checked([options.sender, *options.to])
    if checked is None:
        return os.EX_DATAERR
    try:
        login = _login(options)
    except (EOFError, OSError, Warning):
        return _fail(f"no password: set {PASSWORD_VARIABLE}, or run it in a terminal", 77)
    text = options.text if options.text is not None else _standard_input()
    sender, *recipients = checked
    recipients = list(dict.fromkeys(recipients))
    result = _send(options, login, sender, recipients, text)
    given = dict(zip(checked[1:], options.to, strict=True))
    for outcome in result.outcomes:
        _say(f"{given[outcome.recipient]}: {describe(outcome)}")
    if result.failure is not None:
        _fail(str(result.failure), 0)
    return exit_status(result)


def _checked(addresses: list[str]) -> list[str] | None:
    checked: list[str] = []
    for address in addresses:
        try:
            checked.append(check_address(address))
        except AddressError as error:
            _say(f"{address}: invalid address: {error.reason}")
            _fail(f"invalid address {address!r}: {error.reason}; nothing was sent", 65)
    return checked if len(checked) == len(addresses) else None


def _login(options: argparse.Namespace) -> Login | None:
    if options.user is None:
        return None
    from protocols.smtp import Login  # noqa: PLC0415 - only once the addresses are good

    password = os.environ.get(PASSWORD_VARIABLE)
    if password is None:
        import getpass  # noqa: PLC0415 - rarely needed
        import warnings  # noqa: PLC0415 - the same

        warnings.simplefilter("error")  # it would go on with the password on the screen
        password = getpass.getpass(f"password of {options.user}: ")
    return Login(options.user, password, in_clear=options.auth_in_clear)


def _standard_input() -> str:
    return sys.stdin.buffer.read().decode("utf-8", "replace")


def _send(
    options: argparse.Namespace, login: Login | None, sender: str, recipients: list[str], text: str
) -> Result:
    # An address that is none is told in half the time without these.
    import asyncio  # noqa: PLC0415
    from datetime import datetime  # noqa: PLC0415

    from protocols.message import Draft, compose  # noqa: PLC0415
    from protocols.smtp import Envelope  # noqa: PLC0415
    from protocols.smtp_connection import Server, send_mail  # noqa: PLC0415

    mailboxes = tuple(Mailbox(address) for address in recipients)
    draft = Draft(Mailbox(sender), mailboxes, options.subject, text)
    server = Server(
        options.server,
        tls=options.tls,
        starttls=options.starttls,
        tls_name=options.tls_name,
        hello=options.ehlo,
        login=login,
        timeouts=_timeouts(options.timeout),
    )
    content = compose(draft, datetime.now().astimezone())
    return asyncio.run(send_mail(server, Envelope(sender, tuple(recipients)), content, _say))


def _timeouts(seconds: float | None) -> Timeouts:
    from protocols.smtp_connection import Timeouts  # noqa: PLC0415 - see _send

    return Timeouts() if seconds is None else Timeouts.all(seconds)


def describe(outcome: Outcome) -> str:
    """Say in a clause what became of the mail for one recipient."""
    if outcome.failure is None:
        return outcome.fate.value
    return f"{outcome.fate.value}: {outcome.failure}"


def exit_status(result: Result) -> int:
    """Choose the exit status (sysexits.h) that says most about what went wrong."""
    from protocols.smtp import Fate, Kind  # noqa: PLC0415 - see _send

    failures = [item.failure for item in result.outcomes if item.failure is not None]
    if not failures:
        return os.EX_OK
    if any(item.fate is Fate.UNCERTAIN for item in result.outcomes):
        return os.EX_TEMPFAIL
    if result.failure is not None:
        return _status_of_all(result)
    permanent = any(failure.kind is Kind.PERMANENT for failure in failures)
    return os.EX_NOUSER if permanent else os.EX_TEMPFAIL


def _status_of_all(result: Result) -> int:
    from protocols.smtp import Kind  # noqa: PLC0415 - see _send

    failure = result.failure
    assert failure is not None  # noqa: S101 - for the type checker: the caller looked
    if failure.command.startswith("AUTH") and failure.kind is Kind.PERMANENT:
        return os.EX_NOPERM
    if failure.command.startswith("connect"):
        return os.EX_UNAVAILABLE
    return {
        Kind.PERMANENT: os.EX_UNAVAILABLE,
        Kind.TEMPORARY: os.EX_TEMPFAIL,
        Kind.CONNECTION: os.EX_TEMPFAIL,
        Kind.PROTOCOL: os.EX_PROTOCOL,
    }[failure.kind]


def _say(line: str) -> None:
    from protocols.log import visible  # noqa: PLC0415 - see _send

    try:
        print(visible(line), flush=True)
    except UnicodeEncodeError:  # a terminal that is not UTF-8
        print(visible(line).encode("ascii", "backslashreplace").decode(), flush=True)
    except OSError:
        # Nobody watches any more. The mail is sent all the same; nothing more is printed.
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 - for the rest of the run


def _fail(message: str, status: int) -> int:
    from protocols.log import visible  # noqa: PLC0415 - see _send

    print(f"smtp_client: {visible(message)}", file=sys.stderr, flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
