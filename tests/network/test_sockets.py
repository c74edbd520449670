"""Both tables of sockets tell the same."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest
from harness.network import Place, Reading
from harness.network.sockets import DiagnosticsTable, ProcTable, inodes_of, open_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.network import Transport
    from harness.network.sockets import Table


@pytest.fixture(params=["sock_diag", "proc"])
def table(request: pytest.FixtureRequest) -> Iterator[Table]:
    found = open_table() if request.param == "sock_diag" else ProcTable()
    if request.param == "sock_diag" and not isinstance(found, DiagnosticsTable):
        pytest.skip("this kernel has no sock_diag")
    yield found
    found.close()


def bound(family: int, kind: int, host: str) -> socket.socket:
    sock = socket.socket(family, kind)
    sock.bind((host, 0))
    if kind == socket.SOCK_STREAM:
        sock.listen()
    return sock


CASES = [
    (socket.AF_INET, "127.0.0.1", {"127.0.0.1"}, "127.0.0.1"),
    (socket.AF_INET, "0.0.0.0", {"0.0.0.0"}, "127.0.0.1"),
    (socket.AF_INET6, "::1", {"::1"}, "::1"),
    (socket.AF_INET6, "::", {"::", "0.0.0.0"}, "::1"),
    (socket.AF_INET6, "::", {"::", "0.0.0.0"}, "127.0.0.1"),
    (socket.AF_INET6, "::ffff:127.0.0.1", {"127.0.0.1"}, "127.0.0.1"),
]


@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.parametrize(("family", "host", "told", "asked"), CASES)
def test_a_socket_is_found_by_place_and_by_inode(
    table: Table, transport: Transport, family: int, host: str, told: set[str], asked: str
) -> None:
    kind = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}[transport]
    with bound(family, kind, host) as sock:
        inode = os.fstat(sock.fileno()).st_ino
        port = sock.getsockname()[1]
        assert {place for i, place in table.bound(transport) if i == inode} == {
            Place(h, port) for h in told
        }
        assert table.holder(Place(asked, port), transport) == inode
        assert inode in inodes_of([os.getpid()])
    assert table.holder(Place(asked, port), transport) is None


def test_a_bound_tcp_socket_does_not_listen_yet(table: Table) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        assert table.holder(Place(*sock.getsockname()), "tcp") is None
        inode = os.fstat(sock.fileno()).st_ino
        assert inode not in dict(table.bound("tcp"))


def test_a_connection_does_not_listen(table: Table) -> None:
    with (
        bound(socket.AF_INET, socket.SOCK_STREAM, "127.0.0.1") as server,
        socket.create_connection(server.getsockname()) as client,
    ):
        inode = os.fstat(client.fileno()).st_ino
        assert inode not in dict(table.bound("tcp"))


def test_many_sockets_do_not_fit_into_one_answer(table: Table) -> None:
    socks = [bound(socket.AF_INET, socket.SOCK_STREAM, "127.0.0.1") for _ in range(600)]
    try:
        inodes = {os.fstat(sock.fileno()).st_ino for sock in socks}
        assert inodes <= {inode for inode, _ in table.bound("tcp")}
    finally:
        for sock in socks:
            sock.close()


def test_without_sock_diag_the_tables_of_proc_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise OSError

    monkeypatch.setattr(DiagnosticsTable, "bound", refused)
    assert isinstance(open_table(), ProcTable)


def test_a_process_that_is_gone_holds_no_sockets() -> None:
    assert inodes_of([2**22 + 1]) == set()


@pytest.mark.parametrize(
    ("family", "host", "dialled"),
    [
        (socket.AF_INET, "127.0.0.1", "127.0.0.1"),
        (socket.AF_INET6, "::1", "::1"),
        (socket.AF_INET6, "::", "127.0.0.1"),  # as Java's servers do
    ],
)
def test_how_far_a_program_is_with_reading(family: int, host: str, dialled: str) -> None:
    table = open_table()
    if not isinstance(table, DiagnosticsTable):
        pytest.skip("this kernel has no sock_diag")
    with bound(family, socket.SOCK_STREAM, host) as listener:
        ours = socket.create_connection((dialled, listener.getsockname()[1]))
        assert table.reading(ours) is Reading.DONE  # nothing was sent
        ours.sendall(b"four")
        assert table.reading(ours) is Reading.BEHIND  # it has not even been accepted
        program, _ = listener.accept()
        assert program.recv(3) == b"fou"
        assert table.reading(ours) is Reading.BEHIND
        assert program.recv(3) == b"r"
        assert table.reading(ours) is Reading.DONE
        program.close()
        assert table.reading(ours) is Reading.GONE
        ours.close()
    table.close()


def test_who_only_reads_proc_cannot_tell() -> None:
    with (
        bound(socket.AF_INET, socket.SOCK_STREAM, "127.0.0.1") as listener,
        socket.create_connection(listener.getsockname()) as ours,
    ):
        assert ProcTable().reading(ours) is Reading.UNKNOWN
