"""HTTP client: asks a web server for a page, prints the response, and says if it is whole.

    python http_client.py HOST PORT FILE [--timeout SECONDS]
    python http_client.py URL [--timeout SECONDS]

On standard output: the status line, the header fields, an empty line, and the content as it
came.  Redirects are not followed, and https is not spoken.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from typing import TYPE_CHECKING

from protocols.endpoints import parse_endpoint
from protocols.http_client import FetchError, Target, fetch, origin_form, target_of_url
from protocols.log import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    import h11

_EPILOG = """\
exit status (sysexits.h): 0 a whole response, whatever its status code; 2 wrong usage; 69 the
server cannot be reached; 76 there is no whole HTTP response; 130 interrupted.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        target = _target(options.words)
    except ValueError as error:
        parser.error(str(error))
    try:
        return _run(target, options.timeout)
    except BrokenPipeError:  # nobody reads any more, as in `http_client.py ... | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return os.EX_OK
    except KeyboardInterrupt:
        return _fail("interrupted", 130)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        usage="http_client.py (HOST PORT FILE | URL) [--timeout SECONDS]",
        description=__doc__,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("words", nargs="+", metavar="HOST PORT FILE | URL")
    parser.add_argument(
        "--timeout", type=_seconds, default=10.0, help="longest wait for any answer; default: 10"
    )
    return parser


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds") from error
    if not 0 < seconds < 86400 or math.isnan(seconds):
        raise argparse.ArgumentTypeError(f"{text!r} must be more than 0 and less than a day")
    return seconds


def _target(words: list[str]) -> Target:
    if len(words) == 1:
        return target_of_url(words[0])
    if len(words) != 3:
        raise ValueError("HOST PORT FILE or a URL is needed")
    host, port, file = words
    bare = host.removeprefix("[").removesuffix("]")
    server = parse_endpoint(f"[{bare}]:{port}" if ":" in bare else f"{host}:{port}")
    return Target(server, origin_form(file))


def _run(target: Target, timeout: float) -> int:
    try:
        for part in fetch(target, timeout=timeout):
            _show(part if isinstance(part, bytes) else _head(part))
    except FetchError as error:
        return _fail(str(error), os.EX_PROTOCOL if error.reached else os.EX_UNAVAILABLE)
    return os.EX_OK


def _head(response: h11.Response) -> bytes:
    """As it came, but harmless on a screen."""
    version, reason = response.http_version.decode("ascii"), response.reason.decode("latin-1")
    lines = [f"HTTP/{version} {response.status_code} {reason}".rstrip()]
    lines += [
        f"{name.decode('ascii')}: {value.decode('latin-1')}"
        for name, value in response.headers.raw_items()
    ]
    return "".join(f"{visible(line)}\n" for line in [*lines, ""]).encode()


def _show(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def _fail(message: str, status: int) -> int:
    print(f"http_client: {visible(message)}", file=sys.stderr, flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
