"""Questions for names, and their answers: pure, from the octets of one to those of the other.

One table holds the whole name space, of which the root is the only zone (RFC 1034 4.2): each
answer is authoritative, and a stub resolver never has to go on anywhere else.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from harness.model.names import small

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.model.scenario import Records

#: Octets of an answer over UDP to whoever does not say that it takes more (RFC 1035 2.3.4).
PLAIN_LIMIT = 512
#: What we take and send over UDP at most: nothing that would be cut in fragments (RFC 9715).
EDNS_LIMIT = 1232

_TTL_S = 60
#: Else dnspython mixes the records of a name, and no two plays would be alike.
_IN_ORDER: dict[str, Any] = {"want_shuffle": False}
_ROOT = ""
_NAME_SERVER = "ns.wirelab.test"
_SOA = f"{_NAME_SERVER} hostmaster.wirelab.test 1 3600 600 86400 {_TTL_S}"
_HEADER = 12
_NEVER_ASKED = ("AXFR", "IXFR", "MAILA", "MAILB")  # RFC 5936, and what is obsolete

Table = dict[str, dict[str, tuple[str, ...]]]


def table_of(records: Records, addresses: Mapping[str, str], server: str) -> Table:
    """All that is known: what the scenario says, addresses by name, and their way back.

    What the scenario says of a name's addresses counts, and of an address the name that
    stands first.  `server` is our own address.
    """
    table: Table = {_ROOT: {"SOA": (_SOA,), "NS": (_NAME_SERVER,)}}
    for owner, types in records.items():
        table.setdefault(_forward(owner), {}).update(types)
    for name, address in {**addresses, _NAME_SERVER: server}.items():
        types = table.setdefault(name, {})
        if not types.keys() & {"A", "AAAA", "CNAME"}:
            types[_type_of(address)] = (address,)
    for name, types in [*table.items()]:
        for address in (*types.get("A", ()), *types.get("AAAA", ())):
            table.setdefault(_reverse(address), {}).setdefault("PTR", (name,))
    return table


def _forward(owner: str) -> str:
    """A name as it is; an address as the name that is asked for it (RFC 1035 3.5, RFC 3596 2.5)."""
    try:
        return _reverse(owner)
    except ValueError:
        return owner


def _reverse(address: str) -> str:
    return ipaddress.ip_address(address).reverse_pointer


def _type_of(address: str) -> str:
    return "AAAA" if ":" in address else "A"


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered to a question.

    `facts` are for the record: `name` as it was asked for and `type`, if there was a
    question, and `unknown`, the same name, if nobody has it.
    """

    wire: bytes
    facts: Mapping[str, str] = field(default_factory=dict)


def answer(query: bytes, table: Table, *, tcp: bool = False) -> Answer | None:
    """The answer to a message; None to what deserves none: no query at all (RFC 1035 4.1.1).

    Over UDP it is as long as the asking side takes, else it is cut, and says so (RFC 2181 9).

    Raises:
        dns.exception.DNSException: the table holds data that is none.
    """
    if len(query) < _HEADER or query[2] & 0x80:
        return None
    try:
        message = dns.message.from_wire(query)
    except Exception:  # noqa: BLE001 - whatever it trips over, these octets are the program's
        return Answer(_refusal(query))
    reply = dns.message.make_response(message, recursion_available=True, our_payload=EDNS_LIMIT)
    facts = {}
    if refused := _why_not(message):
        reply.set_rcode(refused)
    else:
        facts = _fill(reply, message.question[0], table)
    return Answer(_wire(reply, message, tcp=tcp), facts)


def _refusal(query: bytes) -> bytes:
    """FORMERR, with the number of the query, its opcode and its RD bit (RFC 1035 4.1.1)."""
    return query[:2] + bytes([0x80 | query[2] & 0x79, dns.rcode.FORMERR]) + bytes(_HEADER - 4)


def _fill(reply: dns.message.Message, question: dns.rrset.RRset, table: Table) -> dict[str, str]:
    """Put in what is known; the facts of it."""
    reply.flags |= dns.flags.AA
    name = question.name.to_text(omit_final_dot=True)
    kind = dns.rdatatype.to_text(question.rdtype)
    path = _path(table, small(name), kind)
    for owner in path:
        # spelt as it was asked for, which some resolvers insist on
        spelt = question.name if owner == path[0] else dns.name.from_text(owner)
        reply.answer += [_rrset(spelt, *row) for row in _rows(table, owner, kind)]
    if not any(kind in (found, "ANY") for found, _ in _rows(table, path[-1], kind)):
        # behind other names the code tells about the last one (RFC 6604 3)
        reply.set_rcode(dns.rcode.NOERROR if _exists(table, path[-1]) else dns.rcode.NXDOMAIN)
        # for whoever wants to remember that there is nothing (RFC 2308 2)
        reply.authority.append(_rrset(dns.name.root, "SOA", (_SOA,)))
    unknown = {} if path[0] in table else {"unknown": name}
    return {"name": name, "type": kind, **unknown}


def _why_not(query: dns.message.Message) -> dns.rcode.Rcode | None:
    if query.edns > 0:
        return dns.rcode.BADVERS  # RFC 6891 6.1.3
    if query.opcode() != dns.opcode.QUERY:
        return dns.rcode.NOTIMP
    if len(query.question) != 1:
        return dns.rcode.FORMERR  # RFC 9619
    (question,) = query.question
    ours = question.rdclass in (dns.rdataclass.IN, dns.rdataclass.ANY)
    never = dns.rdatatype.to_text(question.rdtype) in _NEVER_ASKED
    return dns.rcode.REFUSED if never or not ours else None


def _path(table: Table, name: str, kind: str) -> list[str]:
    """A name, and those to which its aliases lead (RFC 1034 4.3.2, step 3a)."""
    path = [name]
    while kind not in ("CNAME", "ANY") and (alias := table.get(path[-1], {}).get("CNAME")):
        if small(alias[0]) in path:
            break
        path.append(small(alias[0]))
    return path


def _rows(table: Table, name: str, kind: str) -> list[tuple[str, tuple[str, ...]]]:
    """Type and data of what a name has of a type; its alias always counts."""
    types = table.get(name, {})
    return [(found, types[found]) for found in types if kind in (found, "ANY") or found == "CNAME"]


def _exists(table: Table, name: str) -> bool:
    """Whether there is a name, be it for those below it only (RFC 8020 2)."""
    return name in table or any(other.endswith(f".{name}") for other in table)


def _rrset(owner: dns.name.Name, kind: str, data: tuple[str, ...]) -> dns.rrset.RRset:
    texts = [_quoted(text) for text in data] if kind == "TXT" else data
    return dns.rrset.from_text_list(
        owner, _TTL_S, "IN", kind, texts, origin=dns.name.root, relativize=False
    )


def _quoted(text: str) -> str:
    return '"{}"'.format(text.replace("\\", "\\\\").replace('"', '\\"'))


def _wire(reply: dns.message.Message, query: dns.message.Message, *, tcp: bool) -> bytes:
    if tcp:
        return reply.to_wire(max_size=0xFFFF, **_IN_ORDER)
    asked = max(query.payload, PLAIN_LIMIT) if query.edns >= 0 else PLAIN_LIMIT
    try:
        return reply.to_wire(max_size=min(asked, EDNS_LIMIT), **_IN_ORDER)
    except dns.exception.TooBig:
        reply.flags |= dns.flags.TC
        for section in (reply.answer, reply.authority, reply.additional):
            section.clear()
        return reply.to_wire(max_size=PLAIN_LIMIT)
