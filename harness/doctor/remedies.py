"""The commands that mend a step, chosen by what the kernel answered and how it is set now."""

from __future__ import annotations

import errno
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    Read = Callable[[str], str]

_ENOUGH = 1024  # namespaces of each kind: forty plays, and others on the machine
_KINDS = ("user", "net", "mnt", "pid", "ipc", "uts")
_CONTAINER = (
    "if this is a container, its seccomp filter refuses the call; start it without:",
    "in Docker:  docker run --security-opt seccomp=unconfined \\",
    "            --security-opt apparmor=unconfined --security-opt systempaths=unconfined ...",
    "in Podman:  podman run --security-opt seccomp=unconfined --security-opt unmask=ALL ...",
)
_PROC = (
    "a container hides parts of /proc or lets nobody write there; have it show all of it:",
    "in Docker:  docker run --security-opt systempaths=unconfined ...",
    "in Podman:  podman run --security-opt unmask=ALL ...",
)
_APPARMOR = """\
sudo tee /etc/apparmor.d/wirelab <<'END'
abi <abi/4.0>,
include <tunables/global>
profile wirelab {python} flags=(unconfined) {{
  userns,
}}
END
sudo apparmor_parser --replace /etc/apparmor.d/wirelab"""


def _read(path: str) -> str:
    """What a small file says; nothing if there is none that we may read."""
    try:
        return Path(path).read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def of_recipe(step: str, code: int, read: Read = _read) -> tuple[str, ...]:
    """What mends a step of the recipe of a private network.

    Args:
        step: As `harness.network.room` calls it.
        code: The errno of the refusal.
        read: Reads a file of /proc; what is not there is empty.
    """
    if code == errno.ENOSPC:
        return _more_namespaces(read)
    if code in (errno.EOPNOTSUPP, errno.ENODEV) and "veth" in step:
        return ("sudo modprobe veth",)
    if code == errno.EAFNOSUPPORT and "frame" in step:
        return ("sudo modprobe af_packet",)
    if code in (errno.EPERM, errno.EACCES, errno.EROFS):
        return _permission(step, code, read)
    if code in (errno.EINVAL, errno.ENOSYS):
        return (
            "this kernel does not know the call, or a filter says so;",
            *_container(read, always=False),
            "else it takes a Linux kernel with user and network namespaces (5.11 or newer)",
        )
    return ("see that the kernel has user and network namespaces, veth and tmpfs",)


def _more_namespaces(read: Read) -> tuple[str, ...]:
    limits = {kind: read(f"/proc/sys/user/max_{kind}_namespaces") for kind in _KINDS}
    low = [kind for kind, value in limits.items() if value.isdecimal() and int(value) < _ENOUGH]
    settings = [f"user.max_{kind}_namespaces={_ENOUGH * 16}" for kind in low or ("user", "net")]
    return (f"sudo sysctl -w {' '.join(settings)}",)


def _permission(step: str, code: int, read: Read) -> tuple[str, ...]:
    """The switches that are off, as the kernel shows them; else all that is known to refuse."""
    if code == errno.EROFS or "/proc" in step:
        return _PROC
    found: list[str] = []
    if read("/proc/sys/kernel/unprivileged_userns_clone") == "0":
        found.append("sudo sysctl -w kernel.unprivileged_userns_clone=1")
    if read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") not in ("", "0"):
        found += _apparmor()
    return (*found, *_container(read, always=not found))


def _apparmor() -> list[str]:
    profile = _APPARMOR.format(python=os.path.realpath(sys.executable))
    return [
        "AppArmor keeps namespaces from programs that have no profile (Ubuntu 24.04); allow this",
        "Python:",
        *profile.splitlines(),
        "or, for all programs:  sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
    ]


def _container(read: Read, *, always: bool) -> tuple[str, ...]:
    """The options that let a container have namespaces, where a seccomp filter is at work."""
    filtered = "Seccomp:\t2" in read("/proc/self/status")
    return _CONTAINER if always or filtered else ()


# -- what all plays need ----------------------------------------------------------------------


def python(_error: OSError) -> tuple[str, ...]:
    """For an interpreter that is too old."""
    return ("sudo apt-get install python3.11 python3.11-venv, and install Wirelab with that one",)


def space(_error: OSError) -> tuple[str, ...]:
    """For a full or unwritable temporary folder."""
    return (
        f"make room:  du -sh {tempfile.gettempdir()}/* | sort -h | tail",
        "or choose another folder:  export TMPDIR=$HOME/tmp; mkdir -p $TMPDIR",
    )


def open_files(_error: OSError) -> tuple[str, ...]:
    """For a low limit of open files."""
    return ("ulimit -n 1024", "or play fewer scenarios at once:  wirelab run -j 2")


def processes(_error: OSError) -> tuple[str, ...]:
    """For a low limit of processes."""
    return (
        "ulimit -u 4096   (in a container: --pids-limit 4096)",
        "or play fewer scenarios at once:  wirelab run -j 2",
    )


def terminal(_error: OSError) -> tuple[str, ...]:
    """For a machine without pseudo-terminals."""
    return (
        "sudo mount -t devpts devpts /dev/pts -o gid=5,mode=620,ptmxmode=666",
        "or, if all are in use:  sudo sysctl -w kernel.pty.max=4096",
    )


def socket_table(_error: OSError) -> tuple[str, ...]:
    """For a kernel that does not tell who listens."""
    return ("sudo modprobe -a inet_diag tcp_diag udp_diag", "or mount /proc")


def loopback(_error: OSError) -> tuple[str, ...]:
    """For a machine on which nobody reaches 127.0.0.1."""
    return (
        "sudo ip link set lo up",
        "see that no firewall holds 127.0.0.1 back:  sudo nft list ruleset",
    )


def filtered_port(_error: OSError) -> tuple[str, ...]:
    """For a kernel that neither filters sockets for us nor is silent at a full backlog."""
    return ("play on the private network, which has filtered ports of its own (see above)",)


def private_play(_error: OSError) -> tuple[str, ...]:
    """For a network that was set up and does not do."""
    return (
        "see that Python can be run by every user:  namei -l " + os.path.realpath(sys.executable),
        "and play on loopback meanwhile:  wirelab run --network loopback",
    )
