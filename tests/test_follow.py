"""The follower: which entry is due, met, missed or unchecked, by the events alone."""

from __future__ import annotations

from tests.conversation import actor_of, cast, events
import pytest

from harness.follow import Follower, State
from harness.model.scenario import Actor, ActorKind, LineEnd
from harness.notation import parse_exchange

D, M, U, P, W = State.DONE, State.MISSED, State.UNCHECKED, State.PASSED_OVER, State.WAITING
NONE = {"server": LineEnd.NONE, "user": LineEnd.LF}
SMTP = cast(mail=ActorKind.SMTP)
ECHO = cast(server=ActorKind.TCP, user=ActorKind.TERMINAL)
LINES = cast(server=actor_of("server", ActorKind.TCP, eol=LineEnd.CRLF))


def follow(
    exchange: str, actors: dict[str, Actor], script: str, eols: dict[str, LineEnd] | None = None
) -> Follower:
    parsed, errors = parse_exchange(exchange)
    assert not errors
    follower = Follower(parsed, actors)
    for event in events(script, eols):
        follower.receive(event)
    return follower


def finished(follower: Follower) -> list[State]:
    follower.finish(9.0)
    return [line.state for line in follower.lines]


def instead(follower: Follower) -> str | None:
    missed = next(line for line in follower.lines if line.state is M)
    if missed.instead is None:
        return None
    return missed.instead.message.texts[0] if missed.instead.message else missed.instead.act


class TestActorsThatActByThemselves:
    def test_unlisted_commands_may_come_between(self) -> None:
        follower = follow(
            "mail< EHLO *\nmail< QUIT\n",
            SMTP,
            """
            mail! opened
            mail< EHLO me
            mail< NOOP
            mail< QUIT
            """,
        )
        assert follower.complete
        assert finished(follower) == [D, D]

    def test_strict_forbids_unlisted_commands(self) -> None:
        strict = cast(mail=actor_of("mail", ActorKind.SMTP, strict=True))
        follower = follow("mail< EHLO *\nmail< QUIT\n", strict, "mail< EHLO me\nmail< NOOP\n")
        assert finished(follower) == [D, M]
        assert instead(follower) == "NOOP"

    def test_what_came_in_place_of_a_missing_command_is_told(self) -> None:
        follower = follow("mail< DATA\nmail< QUIT\n", SMTP, "mail< NOOP\nmail< QUIT\n")
        assert finished(follower) == [M, U]
        assert instead(follower) == "NOOP"

    def test_nothing_came(self) -> None:
        follower = follow("mail< DATA\n", SMTP, "mail! opened\n")
        assert finished(follower) == [M]
        assert instead(follower) is None

    def test_spelling_that_the_standard_allows_is_the_same(self) -> None:
        follower = follow("mail< MAIL FROM:<a@b>\n", SMTP, "mail< mail from: <a@b>\n")
        assert follower.complete

    def test_a_line_without_a_number_is_met_on_any_connection(self) -> None:
        follower = follow("mail< EHLO *\nmail< QUIT\n", SMTP, "mail.1< EHLO a\nmail.2< QUIT\n")
        assert follower.complete

    def test_a_line_with_a_number_is_met_on_that_connection_only(self) -> None:
        follower = follow("mail.2< QUIT\n", SMTP, "mail.1< QUIT\n")
        assert not follower.complete
        follower = follow("mail.2< QUIT\n", SMTP, "mail.1< QUIT\nmail.2< QUIT\n")
        assert follower.complete

    def test_what_it_says_is_seen_and_not_performed(self) -> None:
        follower = follow("mail> 220 *\nmail< QUIT\n".replace("*", "hi"), SMTP, "mail> 220 hi\n")
        assert follower.due == []
        assert [line.state for line in follower.lines] == [D, W]

    def test_mail_content_is_no_command(self) -> None:
        follower = follow(
            "mail< DATA\nmail< QUIT\n",
            cast(mail=actor_of("mail", ActorKind.SMTP, strict=True)),
            """
            mail< DATA
            mail> 354 go on
            mail< Subject: QUIT
            mail< QUIT
            mail< .
            mail< QUIT
            """,
        )
        assert finished(follower) == [D, D]
        assert [u.message.listed for u in follower.transcript if u.message] == [
            True,
            True,
            False,
            True,
        ]


class TestGroups:
    RCPT = "any order:\n  mail< RCPT TO:<a@x>\n  mail< RCPT TO:<b@x>\nmail< DATA\n"

    @pytest.mark.parametrize("names", ["ab", "ba"])
    def test_any_order(self, names: str) -> None:
        script = "".join(f"mail< RCPT TO:<{name}@x>\n" for name in names) + "mail< DATA\n"
        assert follow(self.RCPT, SMTP, script).complete

    def test_one_of_any_order_is_missing(self) -> None:
        follower = follow(self.RCPT, SMTP, "mail< RCPT TO:<b@x>\nmail< DATA\nmail< QUIT\n")
        assert finished(follower) == [M, D, U]
        assert instead(follower) == "DATA"

    def test_one_of(self) -> None:
        exchange = "one of:\n  mail< HELO *\n  mail< EHLO *\nmail< QUIT\n"
        assert finished(follow(exchange, SMTP, "mail< EHLO x\nmail< QUIT\n")) == [P, D, D]
        assert finished(follow(exchange, SMTP, "mail< QUIT\n"))[0] is M

    def test_never_holds_from_its_place_on(self) -> None:
        exchange = "mail< RCPT *\nnever:\n  mail< DATA\nmail< QUIT\n"
        assert finished(follow(exchange, SMTP, "mail< DATA\nmail< RCPT x\nmail< QUIT\n")) == [D, D, D]
        follower = follow(exchange, SMTP, "mail< RCPT x\nmail< DATA\nmail< QUIT\n")
        assert finished(follower) == [D, M, D]
        assert instead(follower) == "DATA"

    def test_optional_lines(self) -> None:
        exchange = "mail< EHLO *\nmail<? RSET\nmail< QUIT\n"
        assert finished(follow(exchange, SMTP, "mail< EHLO x\nmail< QUIT\n")) == [D, P, D]
        assert finished(follow(exchange, SMTP, "mail< EHLO x\nmail< RSET\nmail< QUIT\n")) == [D, D, D]


class TestScriptedActors:
    EXCHANGE = """\
server! accept
server> Welcome
user< *Welcome*
user> hello
server< hello
server> HELLO
user< *HELLO*
server! expect eof
"""

    def test_each_line_is_due_when_all_above_is_settled(self) -> None:
        steps = """
            server! opened
            @0 server! acted
            @1 server> Welcome
            screen: Welcome\\n
            @3 user> hello
            server< hello
            @5 server> HELLO
            screen: HELLO\\n
            server! eof
        """
        lines = steps.strip().splitlines()
        due = []
        for n in range(len(lines) + 1):
            follower = follow(self.EXCHANGE, ECHO, "\n".join(lines[:n]), NONE)
            due.append([line.index for line in follower.due])
        assert due == [[0], [0], [1], [], [3], [], [5], [], [], []]
        assert finished(follower) == [D] * 8

    def test_a_message_in_pieces(self) -> None:
        follower = follow("server< hello\n", ECHO, "server< hel\nserver< lo\n", NONE)
        assert follower.complete

    def test_two_messages_in_one_segment(self) -> None:
        follower = follow("server< ab\nserver< cd\n", ECHO, "server< abcd\n", NONE)
        assert follower.complete

    @pytest.mark.parametrize("end", ["\\n", "\\r\\n", ""])
    def test_a_line_end_behind_a_message_belongs_to_it(self, end: str) -> None:
        follower = follow("server< ab\nserver< cd\n", ECHO, f"server< ab{end}\nserver< cd{end}\n", NONE)
        assert finished(follower) == [D, D]

    def test_a_mismatch_is_told_at_once_and_the_connection_closed(self) -> None:
        follower = follow("server< hello\nserver> HELLO\n", ECHO, "server< bye\n", NONE)
        assert [line.state for line in follower.lines] == [M, U]
        assert follower.closings == [("server", 1)]
        assert instead(follower) == "bye"

    def test_goes_on_at_the_next_line_that_matches(self) -> None:
        exchange = "server< one\nserver< two\nserver< three\n"
        follower = follow(exchange, LINES, "server< one\nserver< three\n")
        assert finished(follower) == [D, M, D]
        assert instead(follower) == "three"

    def test_what_lies_between_is_one_miss(self) -> None:
        exchange = "server< one\nserver< two\nserver< three\nserver< four\n"
        assert finished(follow(exchange, LINES, "server< four\n")) == [M, U, U, D]

    def test_more_than_the_script_lists_is_a_miss(self) -> None:
        follower = follow("server< one\n", LINES, "server< one\nserver< two\n")
        assert finished(follower) == [M]
        assert instead(follower) == "two"

    def test_a_skip_lets_anything_pass(self) -> None:
        exchange = "server< one\n...\nserver< three\n"
        assert follow(exchange, LINES, "server< one\nserver< two\nserver< three\n").complete

    def test_bindings_must_be_equal_afterwards(self) -> None:
        exchange = "server< id {x}\nserver< again {x}\n"
        assert follow(exchange, LINES, "server< id 7\nserver< again 7\n").complete
        follower = follow(exchange, LINES, "server< id 7\nserver< again 8\n")
        assert finished(follower) == [D, M]
        assert follower.bound == {"x": "7"}

    def test_the_program_closes_too_early(self) -> None:
        follower = follow("server< one\nserver< two\n", LINES, "server< one\nserver! eof\n")
        assert [line.state for line in follower.lines] == [D, M]
        assert instead(follower) == "eof"

    def test_a_prompt_without_a_line_end_is_read(self) -> None:
        follower = follow("user< Name:*\nuser> Ann\n", ECHO, "screen: Hello\\nName:\\s\n", NONE)
        assert [line.index for line in follower.due] == [1]

    def test_what_it_could_not_do_is_a_miss(self) -> None:
        follower = follow("server> hi\n", ECHO, "@0 server! broken the connection is closed\n", NONE)
        assert instead(follower) == "the connection is closed"


class TestEndsAndSilence:
    @pytest.mark.parametrize(
        ("expected", "came", "state"),
        [
            ("eof", "eof", D),
            ("eof", "reset", M),
            ("reset", "reset", D),
            ("reset", "eof", M),
            ("close", "eof", D),
            ("close", "reset", D),
        ],
    )
    def test_fin_and_rst_are_told_apart_where_it_matters(
        self, expected: str, came: str, state: State
    ) -> None:
        follower = follow(f"server! expect {expected}\n", LINES, f"server! opened\nserver! {came}\n")
        assert finished(follower) == [state]

    def test_a_message_where_the_end_was_due(self) -> None:
        follower = follow("server! expect eof\n", LINES, "server< more\n")
        assert finished(follower) == [M]
        assert instead(follower) == "more"

    def test_silence_to_the_end(self) -> None:
        exchange = "mail! expect silence\nuser< *no*\n"
        actors = cast(mail=ActorKind.SMTP, user=ActorKind.TERMINAL)
        follower = follow(exchange, actors, "screen: no\\n\n")
        assert follower.complete
        assert finished(follower) == [D, D]
        follower = follow(exchange, actors, "mail! opened\nscreen: no\\n\n")
        assert finished(follower) == [M, D]

    def test_silence_is_due_only_from_its_place_on(self) -> None:
        exchange = "mail< QUIT\nmail! expect silence\n"
        assert finished(follow(exchange, SMTP, "mail! opened\nmail< QUIT\n")) == [D, D]

    def test_exit_status(self) -> None:
        assert follow("program! expect exit 0\n", SMTP, "program! exit 0\n").complete
        follower = follow("program! expect exit 0\n", SMTP, "program! exit 1\n")
        assert finished(follower) == [M]
        assert instead(follower) == "exit status 1"


class TestHttp:
    CLIENT = cast(browser=actor_of("browser", ActorKind.HTTP, to="proxy"))
    SENT = "@0 browser> GET http://x/ HTTP/1.1\\r\\nHost: x\\r\\n\n"

    @pytest.mark.parametrize(
        ("pattern", "met"),
        [("200", True), ("200 OK", True), ("2*", True), ("404", False), ("HTTP/1.1 200 *", True)],
    )
    def test_status(self, pattern: str, met: bool) -> None:
        answer = "browser< HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nhi\n"
        eols = {"browser": LineEnd.CRLF}
        script = self.SENT + answer.replace("\\r\\n\\r\\nhi", "\\r\\n")
        follower = follow(
            f"browser> GET http://x/\nbrowser< {pattern}\n",
            self.CLIENT,
            script.replace("Content-Length: 2", "Content-Length: 0"),
            eols,
        )
        assert (follower.lines[1].state is D) is met

    def test_fields_and_content(self) -> None:
        exchange = "browser> GET http://x/\nbrowser< 200\n    content-TYPE: text/*\n\n    b*e\n"
        answer = (
            "browser< HTTP/1.1 200 OK\\r\\nContent-Type: text/plain\\r\\n"
            "Content-Length: 7\\r\\n\\r\\na\\nbye\n"
        )
        follower = follow(exchange, self.CLIENT, self.SENT + answer)
        assert follower.complete
