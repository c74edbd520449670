"""True restrictions of a machine, as containers and sandboxes have them, made without root.

`python -m tests.doctor.restrictions NAME COMMAND...` executes a command under one of them.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS, _FILTER = 22, 38, 2
_ALLOW, _REFUSE = 0x7FFF_0000, 0x0005_0000  # SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO
_CLONE_NEWUSER, _CLONE_NEWNET = 0x1000_0000, 0x4000_0000
_CLONE3 = 435
#: The numbers of clone(2) and unshare(2), by machine; flags are the first argument of both.
_NUMBERS = {"x86_64": (56, 272), "aarch64": (220, 97)}
SUPPORTED = platform.machine() in _NUMBERS

Instruction = tuple[int, int, int, int]


def _load(offset: int) -> Instruction:
    return 0x20, 0, 0, offset  # of struct seccomp_data: 0 the number, 16 the first argument


def _return(value: int) -> Instruction:
    return 0x06, 0, 0, value


def _refuse_call(number: int, code: int) -> Iterator[Instruction]:
    yield from (_load(0), (0x15, 0, 1, number), _return(_REFUSE | code))


def _refuse_flag(number: int, flag: int, code: int) -> Iterator[Instruction]:
    yield from (_load(0), (0x15, 0, 3, number), _load(16), (0x45, 0, 1, flag))
    yield _return(_REFUSE | code)


def _without_clone3() -> Iterator[Instruction]:
    """As containers whose profile is older than the call; libraries then use clone(2)."""
    yield from _refuse_call(_CLONE3, errno.ENOSYS)


def _container() -> Iterator[Instruction]:
    """As Docker's default profile: namespaces are for those with CAP_SYS_ADMIN."""
    yield from _without_clone3()
    for number in _NUMBERS[platform.machine()]:
        yield from _refuse_flag(number, _CLONE_NEWUSER, errno.EPERM)


def _sandbox() -> Iterator[Instruction]:
    """As a stricter one: it refuses clone3 as well, in whose arguments it cannot look."""
    yield from _refuse_call(_CLONE3, errno.EPERM)


def _no_second_network() -> Iterator[Instruction]:
    """A user namespace can be had, but not all that is needed in it."""
    yield from _refuse_flag(_NUMBERS[platform.machine()][1], _CLONE_NEWNET, errno.EPERM)


FILTERS: dict[str, Callable[[], Iterator[Instruction]]] = {
    "without clone3": _without_clone3,
    "container": _container,
    "sandbox": _sandbox,
    "no second network": _no_second_network,
}

#: What a shell does, as root of a user namespace with mounts of its own, before the command.
SCRIPTS = {
    "no namespaces": "echo 0 > /proc/sys/user/max_user_namespaces",
    "protected /proc/sys": (
        "mount --bind /proc/sys /proc/sys && mount -o remount,ro,bind /proc/sys"
    ),
    "masked /sys": "mount -t tmpfs -o ro none /sys/kernel",
    "masked /proc": (
        "for f in kcore keys timer_list; do"
        " [ ! -e /proc/$f ] || mount --bind /dev/null /proc/$f || exit 9; done &&"
        "mount -t tmpfs -o ro none /proc/bus"
    ),
}


def command_under(name: str, *command: str) -> list[str]:
    """The command line that executes a command under a restriction."""
    if name in SCRIPTS:
        world = ["unshare", "--user", "--map-root-user", "--mount"]
        return [*world, "sh", "-c", f'{SCRIPTS[name]} && exec "$@"', "sh", *command]
    return [sys.executable, "-B", "-m", "tests.doctor.restrictions", name, *command]


def _install(program: list[Instruction]) -> None:
    data = b"".join(struct.pack("=HBBI", *instruction) for instruction in program)
    kept = ctypes.create_string_buffer(data, len(data))
    head = ctypes.create_string_buffer(struct.pack("HP", len(program), ctypes.addressof(kept)))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(
        _PR_SET_SECCOMP, _FILTER, head, 0, 0
    ):
        raise OSError(ctypes.get_errno(), "this kernel filters no system calls")


if __name__ == "__main__":
    _install([*FILTERS[sys.argv[1]](), _return(_ALLOW)])
    os.execvp(sys.argv[2], sys.argv[2:])
