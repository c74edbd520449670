"""A scenario file that is right, and the nouns that it becomes."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from pathlib import Path

import pytest
from harness.errors import AuthorError
from harness.load import load_roles, load_scenario
from harness.model.exchange import Arrow, Directive
from harness.model.faults import Choice, Faults
from harness.model.scenario import (
    Actor,
    ActorKind,
    Case,
    Count,
    ExitDemand,
    FieldDemand,
    Has,
    HeardDemand,
    InOrder,
    Lacks,
    Level,
    LineEnd,
    MailboxDemand,
    MailDemand,
    Number,
    Page,
    ReportFields,
    Scenario,
    TextDemand,
    TimeDemand,
    Tls,
)
from harness.model.template import Literal, Template
from harness.notation import parse_pattern

ROLES = load_roles()
SCENARIOS = Path(__file__).parents[2] / "scenarios"

Loader = Callable[..., Scenario]

CLIENT = """\
title: A client
cast:
  mail: {kind: smtp, at: 25, mailboxes: [bo@example.test]}
"""
HEARS = "exchange: |\n  mail< QUIT\n"


@pytest.fixture
def load(tmp_path: Path) -> Loader:
    def load(text: str, *, role: str = "smtp-client", slug: str = "slug") -> Scenario:
        path = tmp_path / "scenarios" / role / f"{slug}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return load_scenario(path, ROLES)

    return load


def pattern(text: str) -> Has:
    return Has(parse_pattern(text))


def test_a_short_file_gets_defaults(load: Loader) -> None:
    """The role is that of the folder; id, limits and lines follow."""
    scenario = load(CLIENT + HEARS)
    assert scenario.id == "smtp-client/slug"
    assert scenario.slug == "slug"
    assert (scenario.limits.play, scenario.limits.quiet, scenario.points) == (30.0, 4.0, 1)
    assert (scenario.catches, scenario.cases, scenario.demands) == (None, (), ())
    assert scenario.lines == {"title": 1, "cast": 2, "exchange": 4}
    assert scenario.file.endswith("scenarios/smtp-client/slug.yaml")


def test_the_words_at_the_top(load: Loader) -> None:
    """All optional keys at once."""
    scenario = load(
        "title: A client\nrole: smtp-client\ncovers: [W5, A9]\ntags: [smoke]\n"
        "uses: [starttls]\nneeds: [names]\npoints: 2.5\ntimeout: 1min\npatience: 500ms\n"
        "catches: no-quit\nexpect: {exit: 0}\n"
    )
    assert scenario.covers == ("W5", "A9")
    assert (scenario.tags, scenario.uses, scenario.needs) == (("smoke",), ("starttls",), ("names",))
    assert (scenario.points, scenario.limits.play, scenario.limits.quiet) == (2.5, 60.0, 0.5)
    assert scenario.catches == "no-quit"


@pytest.mark.parametrize("folder", ["scenarios", "other"])
def test_the_role_must_be_that_of_the_folder(tmp_path: Path, folder: str) -> None:
    """Wherever the folder has the name of a role."""
    path = tmp_path / folder / "smtp-client" / "slug.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(CLIENT + "role: smtp-server\n" + HEARS)
    with pytest.raises(AuthorError, match="in the folder of `smtp-client`"):
        load_scenario(path, ROLES)


def test_a_folder_below_scenarios_must_be_a_role(load: Loader) -> None:
    """A folder with a slip in its name is told, with what may be meant."""
    with pytest.raises(AuthorError, match="no role `smtp-clint`; did you mean `smtp-client`"):
        load(CLIENT + HEARS, role="smtp-clint")


def test_elsewhere_the_role_is_written(tmp_path: Path) -> None:
    """A scenario can lie anywhere."""
    path = tmp_path / "mine.yaml"
    path.write_text("role: smtp-client\n" + CLIENT + HEARS)
    assert load_scenario(path, ROLES).id == "smtp-client/mine"


@pytest.mark.parametrize("slug", ["未知收件人", "größe_2", "A7", "2-clients", "x_"])
def test_files_are_named_in_any_language(load: Loader, slug: str) -> None:
    """Letters, digits, `-` and `_`."""
    assert load(CLIENT + HEARS, slug=slug).id == f"smtp-client/{slug}"


@pytest.mark.parametrize(
    ("slug", "better"),
    [
        ("未知 收件人", "未知-收件人"),
        ("-x", "x"),
        ("a.b (2)", "a-b-2"),
        ("!", "scenario"),
    ],
)
def test_other_names_are_told_what_to_become(load: Loader, slug: str, better: str) -> None:
    """Ids stand in command lines, where a blank divides."""
    with pytest.raises(AuthorError, match=f"rename this file to `{better}.yaml`"):
        load(CLIENT + HEARS, slug=slug)


# -- the cast -------------------------------------------------------------------------


def test_every_field_of_an_actor(load: Loader) -> None:
    """Names of the file, types of the model."""
    scenario = load(
        """\
title: A cast
cast:
  mail:
    kind: smtp
    at: "smtp.qq.com:465"
    tls: implicit
    strict: true
    mailboxes: [ann@qq.com]
    users: {ann@qq.com: 0123}
    limit: 1000
    replies: {bo@qq.com: 450 4.2.1 busy}
  origin:
    kind: http
    at: "[2001:db8::1]:80"
    pages:
      /: hello
      /moved: {status: 301, type: text/plain, text: gone}
  browser: {kind: http, to: proxy}
  script: {kind: tcp, at: 2525, as: report, eol: lf}
  user: {kind: terminal}
  gone: {kind: closed, at: 26, as: mail}
exchange: |
  browser> GET /
  user> hello
expect: {exit: 0}
""",
        role="webmail-proxy",
    )
    mail, origin, browser, script, user, gone = scenario.cast.values()
    assert (mail.kind, mail.at, mail.plays) == (ActorKind.SMTP, "smtp.qq.com:465", "mail")
    assert (mail.tls, mail.strict, mail.limit, mail.line) == (Tls.IMPLICIT, True, 1000, 3)
    assert (mail.mailboxes, mail.users) == (("ann@qq.com",), {"ann@qq.com": "0123"})
    assert mail.replies == {"bo@qq.com": "450 4.2.1 busy"}
    assert (origin.at, origin.plays) == ("[2001:db8::1]:80", "origin")
    assert origin.pages == {"/": Page(text="hello"), "/moved": Page(301, "text/plain", "gone")}
    assert (browser.to, browser.at, browser.plays) == ("proxy", None, "proxy")
    assert (script.at, script.plays, script.eol) == (
        "server.example.test:2525",
        "report",
        LineEnd.LF,
    )
    assert (user.at, user.plays, user.eol) == (None, None, LineEnd.LF)
    assert (gone.kind, gone.plays) == (ActorKind.CLOSED, "mail")


def test_faults_and_answers_of_datagrams(load: Loader) -> None:
    """By the ordinal of the datagram."""
    scenario = load(
        "title: Loss\ncast:\n"
        "  pong: {kind: udp, at: 12000, answer: echo, lose: [2, 5], delay: {8: 1300ms}}\n"
        "expect: {heard: {pong: 10 datagrams}}\n",
        role="udp-ping-client",
    )
    pong = scenario.cast["pong"]
    assert (pong.answer, pong.eol) == ("echo", LineEnd.NONE)
    lost = Choice({2: None, 5: None})
    assert pong.faults == Faults(lose=lost, delay=Choice({8: 1.3}))
    assert not scenario.by_chance


def faults_of(load: Loader, text: str) -> Actor:
    cast = f"title: F\ncast:\n  pong: {{kind: udp, at: 7, answer: echo, {text}}}\n"
    return load(f"{cast}expect: {{exit: 0}}\n", role="udp-ping-client").cast["pong"]


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("lose: 30%", Faults(lose=Choice(rate=0.3))),
        ("reorder: 2.5%", Faults(reorder=Choice(rate=0.025))),
        ("foreign: [1]", Faults(foreign=Choice({1: None}))),
        ("corrupt: [4]", Faults(corrupt=Choice({4: None}))),
        ("corrupt: {4: 7}", Faults(corrupt=Choice({4: 7}))),
        ("truncate: {4: 0}", Faults(truncate=Choice({4: 0}))),
        ("repeat: 100%", Faults(repeat=Choice(rate=1.0))),
        ("delay: {2: 1s, 30%: 200ms}", Faults(delay=Choice({2: 1.0}, rate=0.3, value=0.2))),
    ],
)
def test_a_fault_hits_datagrams_by_ordinal_or_by_chance(
    load: Loader, text: str, faults: Faults
) -> None:
    """Of what it answers, and below `hear` of what it hears."""
    assert faults_of(load, text).faults == faults
    if "foreign" not in text:
        pong = faults_of(load, f"hear: {{{text}}}")
        assert (pong.faults_heard, pong.faults) == (faults, Faults())


@pytest.mark.parametrize(
    ("text", "by_chance"),
    [("lose: 30%", True), ("hear: {delay: {1%: 1s}}", True), ("lose: 100%, repeat: [1]", False)],
)
def test_whether_chance_has_a_part_in_it(load: Loader, text: str, by_chance: bool) -> None:
    """What always happens is no chance."""
    assert faults_of(load, text).by_chance is by_chance


def test_a_place_where_nobody_is_speaks_the_protocol_of_its_endpoint(load: Loader) -> None:
    """Where nobody answers datagrams, none are answered."""
    text = "title: F\ncast: {{nobody: {{kind: {}, at: 7}}}}\nexpect: {{exit: 0}}\n"
    for kind in ("closed", "filtered"):
        for role, over in (("udp-ping-client", "udp"), ("smtp-client", "tcp")):
            nobody = load(text.format(kind), role=role).cast["nobody"]
            assert (nobody.over, nobody.transport) == (over, over)


def test_losses_are_known_where_the_play_is_over(load: Loader) -> None:
    """As numbers, and in patterns."""
    scenario = load(
        "title: F\ncast: {pong: {kind: udp, at: 7, answer: echo, lose: 30%}}\n"
        'expect: {screen: [{number: {near: lost, is: ["${pong.lost}", 4]}}]}\n',
        role="udp-ping-client",
    )
    (demand,) = scenario.demands
    assert isinstance(demand, TextDemand)
    assert demand.check == Number("lost", ("${pong.lost}", 4.0))


@pytest.mark.parametrize(
    ("role", "eol"), [("echo-client", LineEnd.NONE), ("smtp-client", LineEnd.CRLF)]
)
def test_messages_of_a_scripted_peer_end_as_in_its_role(
    load: Loader, role: str, eol: LineEnd
) -> None:
    """None for the notes' programs, CRLF for the protocols of the Internet."""
    scenario = load("title: End\ncast: {peer: {kind: tcp, at: 7}}\nexpect: {exit: 0}\n", role=role)
    assert scenario.cast["peer"].eol is eol


def test_several_actors_may_play_one_endpoint(load: Loader) -> None:
    """A scanner dials them all."""
    scenario = load(
        "title: Ports\ncast:\n  a: {kind: tcp, at: 1}\n  b: {kind: closed, at: 2}\n"
        "  c: {kind: udp, at: 1}\nexpect: {exit: 0}\n",
        role="port-scanner",
    )
    assert {actor.plays for actor in scenario.cast.values()} == {"target"}


def test_a_key_that_is_a_number_is_an_unknown_key(load: Loader) -> None:
    """And no other matter of types."""
    with pytest.raises(AuthorError) as raised:
        load(CLIENT + "1: one\n" + HEARS)
    assert [problem.message.partition(";")[0] for problem in raised.value.problems] == [
        "unknown key `1`"
    ]


# -- cases and program ----------------------------------------------------------------


def test_each_step_makes_a_case_of_every_step(load: Loader) -> None:
    actor = "  mail: {kind: smtp, at: 25, instead: {each step: 421 4.3.2 closing}}\n"
    text = f"title: Steps\nvalues: {{a: b}}\ncast:\n{actor}expect: {{screen: '*${{a}}*'}}\n"
    scenario = load(text)
    steps = ("greeting", "hello", "MAIL", "RCPT", "DATA", "end-of-data")
    assert scenario.cases == tuple(Case(step, {"a": "b", "step": step}) for step in steps)
    assert scenario.cast["mail"].instead == {"${step}": "421 4.3.2 closing"}


def test_cases_have_values_names_and_reasons(load: Loader) -> None:
    """Values are text, as written."""
    scenario = load(
        "title: Cases\ncases:\n"
        "  - {address: 0080, ok: true, why: no domain}\n"
        "  - {name: version, address: 5.10, ok: no}\n"
        'cast:\n  mail: {kind: smtp, at: 25}\nprogram: {to: "${address}"}\n' + HEARS
    )
    assert scenario.cases == (
        Case("0080", {"address": "0080", "ok": "true"}, "no domain"),
        Case("version", {"address": "5.10", "ok": "no"}),
    )
    assert scenario.program == {"to": ("${address}",)}


def test_values_are_filled_in_wherever_they_stand(load: Loader) -> None:
    """In keys and places too; in the exchange they are text, whatever is in them."""
    scenario = load(
        'title: To ${who}\nvalues: {who: bo@example.test, place: "a.test:25", star: "*"}\n'
        'cast:\n  mail: {kind: smtp, at: "${place}", mailboxes: ["${who}"]}\n'
        'program: {to: "${who}"}\nexchange: |\n  mail< ${star}\n'
        'expect: {mailbox: {"${who}": []}}\n'
    )
    assert (scenario.title, scenario.program) == (
        "To bo@example.test",
        {"to": ("bo@example.test",)},
    )
    assert (scenario.cast["mail"].at, scenario.cast["mail"].mailboxes) == (
        "a.test:25",
        ("bo@example.test",),
    )
    [entry] = scenario.exchange.entries()
    assert entry.text == Template.of(Literal("*"))
    assert scenario.demands == (MailboxDemand("bo@example.test", ()),)


def test_a_row_may_give_another_value(load: Loader) -> None:
    """What it leaves out is that of `values`; its name is its own first value."""
    scenario = load(
        'title: Cases\nvalues: {port: "25", who: ann}\ncases: [{who: bo}, {port: 26}, '
        "{name: as it is}]\n"
        'cast:\n  mail: {kind: smtp, at: "${port}"}\nprogram: {to: "${who}"}\n' + HEARS
    )
    assert scenario.cases == (
        Case("bo", {"port": "25", "who": "bo"}),
        Case("26", {"port": "26", "who": "ann"}),
        Case("as it is", {"port": "25", "who": "ann"}),
    )
    assert scenario.cast["mail"].at == "server.example.test:${port}"


def test_parameters_of_the_program_are_text_or_lists(load: Loader) -> None:
    """As the role has them."""
    scenario = load(CLIENT + "program: {to: [a@b.test, c@d.test], subject: 1.50}\n" + HEARS)
    assert scenario.program == {"to": ("a@b.test", "c@d.test"), "subject": "1.50"}


# -- the exchange ---------------------------------------------------------------------


@pytest.mark.parametrize("opening", ["|", "|-", "|+", "|2", "|2-", "|  # a comment", "&x |"])
def test_lines_of_the_exchange_are_those_of_the_file(load: Loader, opening: str) -> None:
    """However the block is opened, and with blank lines before it."""
    scenario = load(f"{CLIENT}exchange: {opening}\n\n  mail< EHLO *\n  mail< QUIT\n\n")
    assert [entry.line for entry in scenario.exchange.entries()] == [6, 7]


@pytest.mark.parametrize(
    ("block", "place"),
    [
        ("exchange: |\n  mail< \\q\n", "5:9"),
        ("exchange: |\n       mail< \\q\n", "5:14"),
        ("exchange: |2\n  # x\n\n  mail< \\q\n", "7:9"),
        ("exchange:\n  |\n    mail< \\q\n", "6:11"),
        ("exchange: &x |-\n  mail< QUIT\n  mail<QUIT\n", "6:8"),
    ],
)
def test_columns_of_the_exchange_are_those_of_the_file(
    load: Loader, block: str, place: str
) -> None:
    """YAML takes the indentation away; an editor counts it."""
    with pytest.raises(AuthorError) as raised:
        load(CLIENT + block)
    assert f":{place}: " in str(raised.value)


def test_a_form_lies_beside_the_scenario_or_in_fixtures(load: Loader, tmp_path: Path) -> None:
    """First beside it, then in the `fixtures/` beside `scenarios/`."""
    text = (
        "title: A form\ncast:\n  browser: {kind: http, to: proxy}\n"
        "exchange: |\n  browser> POST http://x.test/\n    @form forms/a.yaml\n  browser< 200\n"
    )
    with pytest.raises(AuthorError, match=r"there is no `forms/a\.yaml` in"):
        load(text, role="webmail-proxy")
    (tmp_path / "fixtures" / "forms").mkdir(parents=True)
    (tmp_path / "fixtures" / "forms" / "a.yaml").write_text("to: bo\n")
    (post, _) = load(text, role="webmail-proxy").exchange.entries()
    assert isinstance(post.body[0], Directive)


# -- what must be found ---------------------------------------------------------------


def test_a_text_stands_for_has(load: Loader) -> None:
    """And a list for several of them, each with its line."""
    scenario = load(
        CLIENT + 'expect:\n  screen: "*x*"\n  errors:\n    - a\n    - {number: {near: b, is: 4}}\n'
    )
    assert scenario.demands == (
        TextDemand("screen", pattern("*x*")),
        TextDemand("errors", pattern("a")),
        TextDemand("errors", Number("b", (4.0,))),
    )
    assert [demand.line for demand in scenario.demands] == [5, 7, 8]


def test_every_check_of_an_observer(load: Loader) -> None:
    """Has, lacks, in order and count have one shape for screen, errors and files."""
    scenario = load(
        CLIENT
        + """\
expect:
  files:
    "Log-*.txt":
      has: [a, {number: {near: "lost|loss", is: [4, 40]}}]
      lacks: s3cret
      in order: [c, "*d"]
      count: {"*e*": 3}
"""
    )
    checks = [demand.check for demand in scenario.demands if isinstance(demand, TextDemand)]
    assert checks == [
        pattern("a"),
        Number("lost|loss", (4.0, 40.0)),
        Lacks(parse_pattern("s3cret")),
        InOrder((parse_pattern("c"), parse_pattern("*d"))),
        Count(parse_pattern("*e*"), 3),
    ]
    assert {(d.observer, d.glob) for d in scenario.demands if isinstance(d, TextDemand)} == {
        ("files", "Log-*.txt")
    }


def test_nothing_at_all_can_be_demanded(load: Loader) -> None:
    """No line, whatever it may be."""
    scenario = load(CLIENT + 'expect:\n  errors: {lacks: "*"}\n')
    assert scenario.demands == (TextDemand("errors", Lacks(parse_pattern("*"))),)


@pytest.mark.parametrize(
    ("written", "ways"),
    [
        ("0", (0,)),
        ("3", (3,)),
        ("nonzero", ("nonzero",)),
        ("SIGTERM", ("SIGTERM",)),
        ("[0, 2, SIGPIPE]", (0, 2, "SIGPIPE")),
    ],
)
def test_exit(load: Loader, written: str, ways: tuple[int | str, ...]) -> None:
    """A status, any but 0, a signal, or a list of these."""
    assert load(CLIENT + f"expect: {{exit: {written}}}\n").demands == (ExitDemand(ways),)


@pytest.mark.parametrize(
    ("written", "least", "most"),
    [("at most 5s", 0, 5), ("at least 900ms", 0.9, inf), ("1.5s to 2min", 1.5, 120)],
)
def test_time(load: Loader, written: str, least: float, most: float) -> None:
    for span in ("until exit", "after last message"):
        demand = TimeDemand(span, least, most)
        assert load(CLIENT + f"expect: {{time: {{{span}: {written}}}}}\n").demands == (demand,)


def test_wire(load: Loader) -> None:
    """What an actor heard, in every form, and what it said."""
    asked = "{mail: {has: QUIT, count: {RCPT *: 2}, said: {lacks: 5}}}"
    assert load(CLIENT + f"expect: {{wire: {asked}}}\n").demands == (
        TextDemand("wire", Has(parse_pattern("QUIT")), actor="mail"),
        TextDemand("wire", Count(parse_pattern("RCPT *"), 2), actor="mail"),
        TextDemand("wire", Lacks(parse_pattern("5")), actor="mail", said=True),
    )
    short = load(CLIENT + "expect: {wire: {mail: QUIT}}\n").demands
    assert short == (TextDemand("wire", Has(parse_pattern("QUIT")), actor="mail"),)


def test_leftovers(load: Loader) -> None:
    """None at all, or as lines."""
    demands = load(CLIENT + "expect: {leftovers: none}\n").demands
    assert demands == (TextDemand("leftovers", Lacks(parse_pattern("*"))),)
    demands = load(CLIENT + "expect: {leftovers: {lacks: socket}}\n").demands
    assert demands == (TextDemand("leftovers", Lacks(parse_pattern("socket"))),)


def test_heard_counts_what_the_kind_hears(load: Loader) -> None:
    """One or many, connections or messages."""
    scenario = load(CLIENT + "expect:\n  heard: {mail: 1 connection}\n")
    assert scenario.demands == (HeardDemand("mail", 1, "connections"),)


def test_mailboxes_hold_mails(load: Loader) -> None:
    """Every field of a mail and of a report; an empty list is an empty mailbox."""
    scenario = load(
        """\
title: Mailboxes
cast:
  mail: {kind: smtp, at: 25, mailboxes: [ann@qq.com, bo@qq.com]}
expect:
  mailbox:
    bo@qq.com: []
    ann@qq.com:
      - {subject: TEST, from: "*", to: ann, text: 计算机}
      - {report: {failed: [x@y.test], status: 5.1.1, action: delayed}}
"""
    )
    asked = {"subject": "TEST", "from": "*", "to": "ann", "text": "计算机"}
    fields = (FieldDemand(name, Has(parse_pattern(text))) for name, text in asked.items())
    mail = MailDemand(tuple(fields))
    report = ReportFields(("x@y.test",), parse_pattern("5.1.1"), "delayed")
    assert scenario.demands == (
        MailboxDemand("bo@qq.com", ()),
        MailboxDemand("ann@qq.com", (mail, MailDemand(report=report))),
    )
    mailbox = scenario.demands[1]
    assert isinstance(mailbox, MailboxDemand)
    assert [mail.line for mail in mailbox.mails] == [8, 9]


def test_levels(load: Loader) -> None:
    """What is under `should` or `may` fails nothing."""
    scenario = load(
        CLIENT + "expect:\n  exit: 0\n  should: {screen: a}\n  may: {heard: {mail: 1 message}}\n"
    )
    assert [demand.level for demand in scenario.demands] == [Level.MUST, Level.SHOULD, Level.MAY]


@pytest.mark.parametrize(
    "exchange",
    [
        "mail< QUIT",
        "mail! expect silence",
        "program! expect exit 0",
        "never:\n    mail< DATA",
        "one of:\n    mail< EHLO *\n    mail< HELO *",
    ],
)
def test_what_could_fail_is_a_scenario(load: Loader, exchange: str) -> None:
    """One demand anywhere is enough."""
    assert load(f"{CLIENT}exchange: |\n  {exchange}\n").exchange.items


# -- the card's six -------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted(SCENARIOS.glob("*/[!_]*.yaml")), ids=lambda path: path.stem)
def test_our_own_scenarios_load(path: Path) -> None:
    """And name what they cover and catch."""
    scenario = load_scenario(path, ROLES)
    assert scenario.covers
    assert scenario.catches
    assert scenario.demands or any(
        entry.arrow is Arrow.HEARS or (entry.act and entry.act.name.startswith("expect "))
        for entry in scenario.exchange.entries()
    )
