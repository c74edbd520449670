"""Where actors stand and programs dial: `host:port`, or a host alone where there is no port."""

from __future__ import annotations

import re

_HOST = re.compile(r"[^\s/:@\[\]]+")
_IPV6 = re.compile(r"[0-9A-Fa-f.]*:[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*")
_BRACKETED = re.compile(r"\[[0-9A-Fa-f:.]+(?:%\w+)?\]")


def parse_address(text: str, *, default_host: str | None) -> str:
    """`host:port`, from that, `[v6]:port` or a bare port (at the default host).

    A `${value}` of a case may stand for the host or the port.

    Raises:
        ValueError: if it is no address; says what is wrong and what would be right.
    """
    if "://" in text:
        raise ValueError(f"`{text}` is a URL; write host:port")
    host, colon, port = text.rpartition(":")
    if not colon:
        if default_host is None or not (_is_hole(port) or port.isdigit()):
            raise ValueError(f"`{text}` has no port; write host:port")
        host = default_host
    elif ":" in host and not _BRACKETED.fullmatch(host):
        raise ValueError(f"`{text}` needs brackets around the host: [{host}]:{port}")
    elif not (_is_hole(host) or _HOST.fullmatch(host) or _BRACKETED.fullmatch(host)):
        raise ValueError(f"`{host}` is no host; write host:port")
    if not (_is_hole(port) or _is_port(port)):
        raise ValueError(f"`{port}` is no port; ports are 1 to 65535")
    return f"{host}:{port}"


def parse_host(text: str) -> str:
    """`host:0`, from a name, an IPv4 or an IPv6 address: ICMP knows no ports.

    Raises:
        ValueError: as `parse_address`.
    """
    host, _, port = text.rpartition(":")
    if _BRACKETED.fullmatch(text):
        return f"{text}:0"
    if _IPV6.fullmatch(text):
        return f"[{text}]:0"
    if _HOST.fullmatch(host) or _BRACKETED.fullmatch(host):
        raise ValueError(f"ICMP knows no ports; write `{host.strip('[]')}` without `:{port}`")
    if text.isdigit():
        raise ValueError(f"ICMP knows no ports; write a host in place of `{text}`")
    if not (_is_hole(text) or _HOST.fullmatch(text)):
        raise ValueError(f"`{text}` is no host")
    return f"{text}:0"


def _is_hole(text: str) -> bool:
    return "${" in text


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 5 and 1 <= int(text) <= 65535
