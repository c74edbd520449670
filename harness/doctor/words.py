"""The recipe of a private network in words for somebody who has never seen a namespace."""

from __future__ import annotations

#: By the name that `harness.network.room` gives to the step.
RECIPE = {
    "make a user namespace": (
        "the kernel gives an ordinary user a small world of its own (namespaces)"
    ),
    "map the user of a user namespace": "in that world we may set things up as root would",
    "set up the kernel of the Internet's side": (
        "there the kernel passes packets on, as a router does (/proc/sys can be written)"
    ),
    "make a network namespace": "the program's host gets a network of its own",
    "set up the kernel of the host's side": "ports below 1024 are open to the program",
    "join two network namespaces by a veth pair": "a virtual cable joins the two (veth)",
    "give the host its addresses": "the host gets its addresses and its route",
    "make every address local": "every other address stands for an actor",
    "stand where names are asked for": "somebody answers when the program asks for a name",
    "set the host's name": "the host gets a name",
    "mount a /proc of its own": "the program sees its own processes only (a /proc of its own)",
    "mount an empty /run": "the program reaches no service of this machine (an empty /run)",
    "put /etc/hosts and its like in place": "names lead to the actors (/etc/hosts)",
    "mount empty folders for temporary files": (
        "what the program leaves in /tmp and its like is gone with it"
    ),
    "limit how many processes run at once": "no program fills this machine with processes",
    "hear every frame on the wire": "every frame on the wire is captured (AF_PACKET)",
    "give up capabilities": "the program gets no more rights than an ordinary user",
}
