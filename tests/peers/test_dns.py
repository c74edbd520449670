"""Names: what is answered to which question, and how questions come and are recorded."""

from __future__ import annotations

import asyncio
import ipaddress
from typing import Self

import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import pytest
from harness.errors import MachineError
from harness.framing import DnsFraming
from harness.model.record import What
from harness.model.scenario import Actor, ActorKind, Records
from harness.network import Loopback, Place
from harness.peers import Authority, Setting, make_peer
from harness.peers.dns import DnsPeer
from harness.peers.names import EDNS_LIMIT, PLAIN_LIMIT, answer, table_of
from harness.record import Recorder
from hypothesis import given
from hypothesis import strategies as st

from tests.peers.stage import DEADLINE_S

SERVER = "198.18.0.53"
RECORDS: Records = {
    "163.com": {"MX": ("20 mx2.163.com", "10 mx.163.com."), "TXT": ('v=spf1 "a" \\ -all',)},
    "mx.163.com": {"A": ("198.51.100.7",), "AAAA": ("2001:db8::7",)},
    "mail.163.com": {"CNAME": ("MX.163.com",)},
    "lost.test": {"CNAME": ("nobody.test",)},
    "round.test": {"CNAME": ("about.test",)},
    "about.test": {"CNAME": ("round.test.",)},
    "no-mail.test": {"MX": ("0 .",)},
    "many.test": {"A": tuple(str(ipaddress.IPv4Address("10.0.0.1") + n) for n in range(60))},
    "203.0.113.9": {"PTR": ("printer.test",)},
}
ADDRESSES = {
    "smtp.qq.com": "198.18.1.7",
    "also.qq.com": "198.18.1.7",
    "mail.163.com": "198.18.1.8",
    "mx.163.com": "198.18.1.9",
    "six.test": "2001:db8::6",
}
TABLE = table_of(RECORDS, ADDRESSES, SERVER)


def query(kind: str, name: str, **how: object) -> dns.message.Message:
    return dns.message.make_query(name, kind, **how)  # type: ignore[arg-type]


def reply_to(query: dns.message.Message, *, tcp: bool = False) -> dns.message.Message:
    """The answer; that it is one to this query is checked."""
    answered = answer(query.to_wire(), TABLE, tcp=tcp)
    assert answered
    reply = dns.message.from_wire(answered.wire)
    assert query.is_response(reply)
    return reply


def told(kind: str, name: str) -> str:
    """The answer in the words of a transcript."""
    answered = answer(query(kind, name).to_wire(), TABLE)
    assert answered
    (message,) = DnsFraming().feed(answered.wire, said=True)
    return message.texts[0]


# -- what is known -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "name", "what"),
    [
        ("A", "smtp.qq.com", "A 198.18.1.7"),
        ("A", "SMTP.qq.Com", "A 198.18.1.7"),
        ("AAAA", "smtp.qq.com", "NODATA"),
        ("AAAA", "six.test", "AAAA 2001:db8::6"),
        ("A", "six.test", "NODATA"),
        ("MX", "163.com", "MX 20 mx2.163.com, MX 10 mx.163.com"),
        ("MX", "no-mail.test", "MX 0 ."),
        ("TXT", "163.com", r'TXT "v=spf1 \"a\" \\ -all"'),
        ("MX", "smtp.qq.com", "NODATA"),
        ("A", "163.com", "NODATA"),
        ("ANY", "mx.163.com", "A 198.51.100.7, AAAA 2001:db8::7"),
        ("PTR", "7.1.18.198.in-addr.arpa", "PTR smtp.qq.com"),
        ("PTR", "9.113.0.203.in-addr.arpa", "PTR printer.test"),
        ("PTR", ipaddress.ip_address("2001:db8::6").reverse_pointer, "PTR six.test"),
        ("PTR", "9.9.9.9.in-addr.arpa", "NXDOMAIN"),
        ("NS", ".", "NS ns.wirelab.test"),
        ("A", "ns.wirelab.test", f"A {SERVER}"),
        ("PTR", "53.0.18.198.in-addr.arpa", "PTR ns.wirelab.test"),
        ("A", "nobody.test", "NXDOMAIN"),
        ("MX", "smtp.sina.cn", "NXDOMAIN"),
        ("TYPE4711", "smtp.qq.com", "NODATA"),
    ],
)
def test_what_a_name_has(kind: str, name: str, what: str) -> None:
    assert told(kind, name) == what


@pytest.mark.parametrize(
    ("kind", "name", "what"),
    [
        ("A", "mail.163.com", "CNAME MX.163.com, A 198.51.100.7"),
        ("CNAME", "mail.163.com", "CNAME MX.163.com"),
        ("MX", "mail.163.com", "CNAME MX.163.com"),
        ("A", "lost.test", "CNAME nobody.test"),
        ("A", "round.test", "CNAME about.test, CNAME round.test"),
    ],
)
def test_another_name_leads_on(kind: str, name: str, what: str) -> None:
    assert told(kind, name) == what


def test_behind_other_names_the_code_is_that_of_the_last_one() -> None:
    """RFC 6604 3."""
    assert reply_to(query("A", "lost.test")).rcode() == dns.rcode.NXDOMAIN
    assert reply_to(query("MX", "mail.163.com")).rcode() == dns.rcode.NOERROR
    assert reply_to(query("A", "mail.163.com")).rcode() == dns.rcode.NOERROR


def test_what_a_scenario_says_of_a_name_counts_more_than_where_an_actor_stands() -> None:
    assert told("A", "mx.163.com") == "A 198.51.100.7"


def test_a_name_below_which_others_are_exists() -> None:
    """RFC 8020: nobody has it, and yet it is no NXDOMAIN."""
    assert told("A", "qq.com") == "NODATA"
    assert told("A", "xqq.com") == "NXDOMAIN"


@pytest.mark.parametrize("name", ["nobody.test", "qq.com", "smtp.qq.com"])
def test_who_is_told_that_there_is_nothing_may_remember_it(name: str) -> None:
    """RFC 2308 2: the SOA says for how long."""
    (soa,) = reply_to(query("MX", name)).authority
    assert (soa.name.to_text(), soa.rdtype) == (".", dns.rdatatype.SOA)


def test_the_spelling_of_the_question_comes_back() -> None:
    """Resolvers that mix the case on purpose take no other."""
    (rrset,) = reply_to(query("A", "sMtP.qQ.cOm")).answer
    assert rrset.name.to_text() == "sMtP.qQ.cOm."


def test_an_answer_says_that_nobody_else_need_be_asked() -> None:
    reply = reply_to(query("A", "smtp.qq.com"))
    assert reply.flags & (dns.flags.AA | dns.flags.RA | dns.flags.RD) == reply.flags & ~dns.flags.QR


@pytest.mark.parametrize(
    ("kind", "name", "facts"),
    [
        ("A", "SMTP.qq.com", {"name": "SMTP.qq.com", "type": "A"}),
        ("MX", "qq.com", {"name": "qq.com", "type": "MX", "unknown": "qq.com"}),
        ("A", "x.test", {"name": "x.test", "type": "A", "unknown": "x.test"}),
        ("A", "lost.test", {"name": "lost.test", "type": "A"}),
    ],
)
def test_the_record_gets_the_name_and_whether_somebody_has_it(
    kind: str, name: str, facts: dict[str, str]
) -> None:
    answered = answer(query(kind, name).to_wire(), TABLE)
    assert answered
    assert answered.facts == facts


# -- how long it may be ----------------------------------------------------------------------


@pytest.mark.parametrize("payload", [None, 512, 600])
def test_what_is_too_long_is_cut_and_says_so(payload: int | None) -> None:
    how = {} if payload is None else {"use_edns": 0, "payload": payload}
    answered = answer(query("A", "many.test", **how).to_wire(), TABLE)

    assert answered
    assert len(answered.wire) <= PLAIN_LIMIT
    reply = dns.message.from_wire(answered.wire)
    assert reply.flags & dns.flags.TC
    assert not reply.answer
    assert told("A", "many.test") == "(truncated)"


def test_whoever_takes_more_gets_more() -> None:
    reply = reply_to(query("A", "many.test", use_edns=0, payload=4096))
    assert len(reply.answer[0]) == 60
    assert (reply.edns, reply.payload) == (0, EDNS_LIMIT)


def test_over_tcp_nothing_is_cut() -> None:
    assert len(reply_to(query("A", "many.test"), tcp=True).answer[0]) == 60


# -- what is no question -----------------------------------------------------------------------


def test_what_is_answered_to_other_messages() -> None:
    notify = query("A", "smtp.qq.com")
    notify.set_opcode(dns.opcode.STATUS)
    chaos = dns.message.make_query("version.bind", "TXT", rdclass=dns.rdataclass.CH)
    two = query("A", "smtp.qq.com")
    two.question.append(dns.rrset.RRset(two.question[0].name, dns.rdataclass.IN, dns.rdatatype.MX))
    later = query("A", "smtp.qq.com", use_edns=1)

    def code(message: dns.message.Message) -> str:
        answered = answer(message.to_wire(), TABLE)
        assert answered
        return dns.rcode.to_text(dns.message.from_wire(answered.wire).rcode())

    assert code(notify) == "NOTIMP"
    assert code(chaos) == "REFUSED"
    assert code(query("AXFR", "163.com")) == "REFUSED"
    assert code(two) == "FORMERR"
    assert code(later) == "BADVERS"


def test_a_message_that_cannot_be_read_is_refused_by_its_number() -> None:
    broken = query("A", "smtp.qq.com").to_wire()[:-3]
    answered = answer(broken, TABLE)
    assert answered
    assert answered.wire[:2] == broken[:2]
    assert dns.message.from_wire(answered.wire).rcode() == dns.rcode.FORMERR
    assert answered.facts == {}


def test_what_is_no_query_gets_no_answer() -> None:
    """Two name servers that answer each other's answers never end."""
    assert answer(b"", TABLE) is None
    assert answer(b"hello", TABLE) is None
    assert answer(reply_to(query("A", "smtp.qq.com")).to_wire(), TABLE) is None


@given(st.one_of(st.binary(max_size=60), st.binary(max_size=40).map(lambda b: b"ab\1\0\0\1" + b)))
def test_whatever_comes_is_answered_or_not_and_told(data: bytes) -> None:
    answered = answer(data, TABLE)
    if answered:
        assert answered.wire[:2] == data[:2]
    (message,) = DnsFraming().feed(data, said=False)
    assert message.texts[0]


# -- what an exchange hears --------------------------------------------------------------------


def test_a_question_is_heard_in_small_letters_and_as_it_came() -> None:
    (message,) = DnsFraming().feed(query("MX", "163.COM").to_wire(), said=False)
    assert message.texts == ("MX 163.com", "MX 163.COM")
    (message,) = DnsFraming().feed(query("NS", ".").to_wire(), said=False)
    assert message.texts == ("NS .",)


def test_what_is_no_message_is_told_as_such() -> None:
    (message,) = DnsFraming().feed(b"hello", said=False)
    assert message.texts == ("(no DNS message, 5 octets)",)
    (message,) = DnsFraming().feed(bytes(12), said=False)
    assert message.texts == ("(no question)",)


# -- on its stage ------------------------------------------------------------------------------


class Named(Loopback):
    """The loopback rung with a place to ask at, and one name."""

    resolver = Place(SERVER, 53)

    @property
    def names(self) -> dict[str, str]:
        return {"smtp.qq.com": "198.18.1.7"}


class Staged:
    """A peer that answers for names, and the program's way to it."""

    def __init__(self, records: Records | None = None) -> None:
        self.recorder = Recorder()
        self.network = Named()
        self.authority = Authority()
        setting = Setting(
            self.network, self.recorder, self.authority, "", print, names=records or {}
        )
        self.peer = make_peer(Actor("dns", ActorKind.DNS), setting)

    async def __aenter__(self) -> Self:
        await self.peer.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.peer.close()
        await self.network.close()
        self.authority.close()

    @property
    def place(self) -> Place:
        facts = self.recorder.record.of(What.STANDS)[0].facts
        return Place(str(facts["host"]), int(facts["port"]))

    @property
    def tcp_port(self) -> int:
        assert isinstance(self.peer, DnsPeer)
        port: int = self.peer._sockets[-1].getsockname()[1]
        return port


class Asking(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.replies: asyncio.Queue[bytes] = asyncio.Queue()

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.replies.put_nowait(data)


def test_many_questions_at_once_over_udp() -> None:
    async def main() -> None:
        async with Staged() as staged, asyncio.timeout(DEADLINE_S):
            loop = asyncio.get_running_loop()
            transport, asking = await loop.create_datagram_endpoint(
                Asking, remote_addr=staged.place
            )
            sent = {q.id: q for q in (query("A", "smtp.qq.com", id=n) for n in range(200))}
            for asked in sent.values():
                transport.sendto(asked.to_wire())
            for _ in [*sent]:
                reply = dns.message.from_wire(await asking.replies.get())
                assert sent.pop(reply.id).is_response(reply)
            transport.close()
            heard, said = (staged.recorder.record.of(what) for what in (What.HEARD, What.SAID))
            assert len(heard) == len(said) == 200
            assert said[0].facts == {"name": "smtp.qq.com", "type": "A"}

    asyncio.run(main())


def test_questions_in_pieces_and_two_at_once_over_tcp() -> None:
    """RFC 7766 6.2.1: a connection is kept, and may carry several questions."""

    async def main() -> None:
        async with Staged() as staged, asyncio.timeout(DEADLINE_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", staged.tcp_port)
            asked = [query("A", "smtp.qq.com"), query("MX", "nobody.test")]
            octets = b"".join(len(w).to_bytes(2, "big") + w for w in (q.to_wire() for q in asked))
            for piece in (octets[:1], octets[1:9], octets[9:]):
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)
            for q in asked:
                length = int.from_bytes(await reader.readexactly(2), "big")
                assert q.is_response(dns.message.from_wire(await reader.readexactly(length)))
            writer.close()
            await writer.wait_closed()
            wires = [event.data for event in staged.recorder.record.of(What.HEARD)]
            assert wires == [q.to_wire() for q in asked]

    asyncio.run(main())


def test_a_connection_that_stays_open_is_closed_at_the_end() -> None:
    async def main() -> None:
        async with Staged() as staged, asyncio.timeout(DEADLINE_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", staged.tcp_port)
            await staged.peer.close()
            assert await reader.read() == b""
            writer.close()

    asyncio.run(main())


def test_what_cannot_be_answered_is_not_the_programs_fault() -> None:
    """A value of a case may turn out to be no address."""

    async def main() -> None:
        async with Staged({"bad.test": {"A": ("nowhere",)}}) as staged:
            assert isinstance(staged.peer, DnsPeer)
            asked = query("A", "bad.test").to_wire()
            assert staged.peer.hear(asked, ("127.0.0.1", 1), tcp=False) is None
            (broken,) = staged.recorder.record.of(What.BROKEN)
            assert broken.facts["ours"] == 1
            assert "dns failed: " in broken.note

    asyncio.run(main())


def test_a_program_that_asks_without_end_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.peers.dns.DATAGRAM_LIMIT", 2)

    async def main() -> None:
        async with Staged() as staged:
            assert isinstance(staged.peer, DnsPeer)
            asked = query("A", "smtp.qq.com").to_wire()
            replies = [staged.peer.hear(asked, ("127.0.0.1", 1), tcp=False) for _ in range(5)]
            assert [reply is not None for reply in replies] == [True, True, False, False, False]
            (broken,) = staged.recorder.record.of(What.BROKEN)
            assert broken.note == "the program asked more than 2 times"

    asyncio.run(main())


def test_on_a_rung_without_names_it_has_no_place() -> None:
    async def main() -> None:
        network, authority = Loopback(), Authority()
        setting = Setting(network, Recorder(), authority, "", print)
        peer = make_peer(Actor("dns", ActorKind.DNS), setting)
        with pytest.raises(MachineError, match="nobody asks for names on the rung loopback"):
            await peer.open()
        await peer.close()
        await network.close()
        authority.close()

    asyncio.run(main())
