"""The follower: which entry is due, met, missed or unchecked, by the events alone."""

from __future__ import annotations

import pytest
from harness.follow import Follower, State
from harness.model.record import PROGRAM, Event, What
from harness.model.scenario import Actor, ActorKind, LineEnd
from harness.notation import parse_exchange

from tests.conversation import actor_of, cast, events

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


def met(follower: Follower) -> bool:
    """Whether nothing is left to wait for, and nothing was missed on the way."""
    return follower.complete and not {line.state for line in follower.lines} & {M, U}


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
        assert met(follower)
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

    def test_of_several_the_one_that_was_meant_is_told(self) -> None:
        said = "mail< HELO me\nmail< mail from: a@b\nmail< NOOP\n"
        follower = follow("mail< MAIL FROM:<*>*\n", SMTP, said)
        assert finished(follower) == [M]
        assert instead(follower) == "MAIL FROM:a@b"

    def test_nothing_came(self) -> None:
        follower = follow("mail< DATA\n", SMTP, "mail! opened\n")
        assert finished(follower) == [M]
        assert instead(follower) is None

    def test_spelling_that_the_standard_allows_is_the_same(self) -> None:
        follower = follow("mail< MAIL FROM:<a@b>\n", SMTP, "mail< mail from: <a@b>\n")
        assert met(follower)

    def test_a_line_without_a_number_is_met_on_any_connection(self) -> None:
        follower = follow("mail< EHLO *\nmail< QUIT\n", SMTP, "mail.1< EHLO a\nmail.2< QUIT\n")
        assert met(follower)

    def test_a_line_with_a_number_is_met_on_that_connection_only(self) -> None:
        follower = follow("mail.2< QUIT\n", SMTP, "mail.1< QUIT\n")
        assert not follower.complete
        follower = follow("mail.2< QUIT\n", SMTP, "mail.1< QUIT\nmail.2< QUIT\n")
        assert met(follower)

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
        assert met(follow(self.RCPT, SMTP, script))

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
        before = "mail< DATA\nmail> 503 no\nmail< RCPT x\nmail< QUIT\n"
        assert finished(follow(exchange, SMTP, before)) == [D, D, D]
        after = "mail< RCPT x\nmail< DATA\nmail> 503 no\nmail< QUIT\n"
        follower = follow(exchange, SMTP, after)
        assert finished(follower) == [D, M, D]
        assert instead(follower) == "DATA"

    def test_optional_lines(self) -> None:
        exchange = "mail< EHLO *\nmail<? RSET\nmail< QUIT\n"
        assert finished(follow(exchange, SMTP, "mail< EHLO x\nmail< QUIT\n")) == [D, P, D]
        assert finished(follow(exchange, SMTP, "mail< EHLO x\nmail< RSET\nmail< QUIT\n")) == [
            D,
            D,
            D,
        ]


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
        assert met(follower)

    def test_two_messages_in_one_segment(self) -> None:
        follower = follow("server< ab\nserver< cd\n", ECHO, "server< abcd\n", NONE)
        assert met(follower)

    @pytest.mark.parametrize("end", ["\\n", "\\r\\n", ""])
    def test_a_line_end_behind_a_message_belongs_to_it(self, end: str) -> None:
        follower = follow(
            "server< ab\nserver< cd\n", ECHO, f"server< ab{end}\nserver< cd{end}\n", NONE
        )
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
        assert met(follow(exchange, LINES, "server< one\nserver< two\nserver< three\n"))

    def test_bindings_must_be_equal_afterwards(self) -> None:
        exchange = "server< id {x}\nserver< again {x}\n"
        assert met(follow(exchange, LINES, "server< id 7\nserver< again 7\n"))
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
        follower = follow(
            "server> hi\n", ECHO, "@0 server! broken the connection is closed\n", NONE
        )
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
        follower = follow(
            f"server! expect {expected}\n", LINES, f"server! opened\nserver! {came}\n"
        )
        assert finished(follower) == [state]

    def test_a_message_where_the_end_was_due(self) -> None:
        follower = follow("server! expect eof\n", LINES, "server< more\n")
        assert finished(follower) == [M]
        assert instead(follower) == "more"

    def test_silence_to_the_end(self) -> None:
        exchange = "mail! expect silence\nuser< *no*\n"
        actors = cast(mail=ActorKind.SMTP, user=ActorKind.TERMINAL)
        follower = follow(exchange, actors, "screen: no\\n\n")
        assert met(follower)
        assert finished(follower) == [D, D]
        follower = follow(exchange, actors, "mail! opened\nscreen: no\\n\n")
        assert finished(follower) == [M, D]

    def test_silence_is_due_only_from_its_place_on(self) -> None:
        exchange = "mail< QUIT\nmail! expect silence\n"
        assert finished(follow(exchange, SMTP, "mail! opened\nmail< QUIT\n")) == [D, D]

    def test_exit_status(self) -> None:
        assert met(follow("program! expect exit 0\n", SMTP, "program! exit 0\n"))
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
        assert met(follower)

    def test_what_came_of_an_answer_that_was_cut_short_is_told(self) -> None:
        answer = "browser< HTTP/1.1 200 OK\\r\\nContent-Length: 7\\r\\n\\r\\nhi\nbrowser! eof\n"
        follower = follow("browser> GET http://x/\nbrowser< 200\n", self.CLIENT, self.SENT + answer)
        assert finished(follower) == [D, M]
        assert (instead(follower) or "").startswith("(200 OK, broken: the content was cut short")


class TestUnfinished:
    """What has no end is no message, but it is what came."""

    def test_a_line_without_its_end_at_the_end_of_the_connection(self) -> None:
        follower = follow(
            "server< hi\n", LINES, "server< hi\nserver! eof\n", {"server": LineEnd.LF}
        )
        assert finished(follower) == [M]
        assert instead(follower) == "hi\n"

    def test_a_line_without_its_end_at_the_end_of_the_play(self) -> None:
        follower = follow("server< hi\n", LINES, "server< hi\n", {"server": LineEnd.NONE})
        assert [line.state for line in follower.lines] == [W]
        assert finished(follower) == [M]
        assert instead(follower) == "hi"

    def test_a_mail_whose_dot_never_comes(self) -> None:
        script = "mail< DATA\nmail> 354 go\nmail< text\nmail< QUIT\n"
        follower = follow("mail< DATA\nmail< QUIT\n", SMTP, script)
        assert finished(follower) == [D, M]
        assert instead(follower) == "text\r\nQUIT\r\n"

    def test_it_stands_in_the_transcript(self) -> None:
        follower = follow("server< hi\n", LINES, "server< hi\n", {"server": LineEnd.NONE})
        follower.finish(9.0)
        assert [u.message.data for u in follower.transcript if u.message] == [b"hi"]


class TestScreens:
    USER = cast(user=ActorKind.TERMINAL)

    def test_a_line_in_pieces(self) -> None:
        script = "screen: Na\nscreen: me: Ann\nscreen: \\n\n"
        assert met(follow("user< Name: Ann\n", self.USER, script))

    def test_a_character_in_pieces(self) -> None:
        script = "screen: \\xe5\nscreen: \\x90\nscreen: \\x8d\\n\n"
        assert met(follow("user< 名\n", self.USER, script))

    def test_lines_stand_one_behind_the_other(self) -> None:
        exchange = "user< one\nuser< two\n"
        assert met(follow(exchange, self.USER, "screen: one\\r\\nand\\ntwo\\n\n"))
        assert finished(follow(exchange, self.USER, "screen: two\\none\\n\n")) == [D, M]

    def test_what_was_printed_before_a_line_was_due_counts(self) -> None:
        actors = cast(mail=ActorKind.SMTP, user=ActorKind.TERMINAL)
        exchange = "mail< QUIT\nuser< done\n"
        assert met(follow(exchange, actors, "screen: x\\ndone\\ny\\n\nmail< QUIT\n"))

    def test_a_line_that_gets_due_later_meets_what_was_read_in_vain(self) -> None:
        exchange = "one of:\n  user< b\n  user< c\nuser< a\n"
        assert finished(follow(exchange, self.USER, "screen: a\\nb\\n\nscreen: a\\n\n")) == [
            D,
            P,
            D,
        ]

    def test_a_megabyte_in_small_pieces_takes_no_time(self) -> None:
        follower = follow("user< *never*\n", self.USER, "")
        for _ in range(5_000):
            follower.receive(Event(0.1, What.SCREEN, PROGRAM, data=b"all work " * 20 + b"\n"))
        follower.receive(Event(0.2, What.SCREEN, PROGRAM, data=b"never\n"))
        assert met(follower)


class TestStreams:
    def test_a_character_in_pieces(self) -> None:
        script = "server< \\xe5\nserver< \\x90\nserver< \\x8d\n"
        assert finished(follow("server< 名\n", ECHO, script, NONE)) == [D]

    def test_half_a_character_is_heard_as_what_it_is(self) -> None:
        follower = follow("server< a\n", ECHO, "server< \\xe5\nserver< \\x90\n", NONE)
        assert instead(follower) == "\udce5"

    def test_the_reply_of_one_connection_waits_for_no_other(self) -> None:
        exchange = "server.2< two\nserver.1< one\n"
        assert met(follow(exchange, ECHO, "server.1< one\nserver.2< two\n", NONE))


class TestOrder:
    def test_a_line_that_is_said_waits_for_everything_above(self) -> None:
        actors = cast(mail=ActorKind.SMTP, server=ActorKind.TCP)
        exchange = "mail< QUIT\nserver> go\n"
        assert follow(exchange, actors, "mail< EHLO x\n").due == []
        assert [line.index for line in follow(exchange, actors, "mail< QUIT\n").due] == [1]

    def test_an_optional_line_is_not_waited_for(self) -> None:
        follower = follow("server<? hi\nserver> go\n", LINES, "server! opened\n")
        assert [line.index for line in follower.due] == [1]

    def test_a_miss_lets_the_others_go_on(self) -> None:
        actors = cast(
            one=actor_of("one", ActorKind.TCP, eol=LineEnd.CRLF),
            two=actor_of("two", ActorKind.TCP, eol=LineEnd.CRLF),
        )
        exchange = "one< a\none< b\ntwo< c\ntwo> d\n"
        follower = follow(exchange, actors, "one< x\ntwo< c\n")
        assert [line.state for line in follower.lines] == [M, U, D, W]
        assert [line.index for line in follower.due] == [3]

    def test_silence_that_a_timer_ended_may_be_followed_by_words(self) -> None:
        exchange = "server! expect silence 300ms\nserver< hi\n"
        script = "@0 server! acted\nserver< hi\n"
        assert finished(follow(exchange, LINES, script)) == [D, D]
        assert finished(follow(exchange, LINES, "server< hi\n@0 server! acted\n")) == [M, D]

    def test_the_end_of_any_connection_is_told_where_nothing_else_came(self) -> None:
        follower = follow("mail< QUIT\n", SMTP, "mail! opened\nmail< EHLO x\nmail! reset\n")
        assert finished(follower) == [M]
        assert instead(follower) == "EHLO x"
        follower = follow("mail< QUIT\n", SMTP, "mail! opened\nmail! reset\n")
        assert finished(follower) == [M]
        assert instead(follower) == "reset"

    def test_a_new_connection_may_still_bring_what_is_missing(self) -> None:
        script = "mail! opened\nmail! eof\nmail.2! opened\n"
        follower = follow("mail< QUIT\n", SMTP, script)
        assert follower.lines[0].state is W
        assert finished(follower) == [M]
        assert instead(follower) is None


class TestLives:
    """The program is killed, ends, and is started again."""

    @pytest.mark.parametrize(
        ("demand", "end", "state"),
        [
            ("0", "exit 0", D),
            ("0", "exit 1", M),
            ("3", "exit 3", D),
            ("nonzero", "exit 1", D),
            ("nonzero", "signal 15", D),
            ("nonzero", "exit 0", M),
            ("0", "signal 15", M),
        ],
    )
    def test_an_end_is_expected_with_its_status(self, demand: str, end: str, state: State) -> None:
        script = f"program! started\nprogram! {end}\n"
        follower = follow(f"program! expect exit {demand}\n", SMTP, script)
        assert [line.state for line in follower.lines] == [state]

    def test_an_end_is_that_of_the_life_in_which_it_is_expected(self) -> None:
        exchange = "program! restart\nprogram! expect exit 0\n"
        killed = "program! started\nprogram! told restart\nprogram! signal 9\n"
        again = killed + "program! started\n@0 program! acted\n"
        assert not follow(exchange, SMTP, again).complete
        assert met(follow(exchange, SMTP, again + "program! exit 0\n"))

    def test_a_prompt_of_the_last_life_is_no_beginning_of_a_line(self) -> None:
        exchange = "user< Welcome\nuser< Welcome\n"
        script = "program! started\nscreen: Welcome\\r\\n> \nprogram! started\nscreen: Welcome\n"
        assert met(follow(exchange, cast(user=ActorKind.TERMINAL), script))

    def test_what_was_done_with_the_program_stands_in_the_transcript(self) -> None:
        script = "program! started\nprogram! told kill\nprogram! signal 9\nprogram! started\n"
        acts = [u.act for u in follow("", SMTP, script).transcript if u.actor == PROGRAM]
        assert acts == ["killed", "started again"]


class TestClocks:
    """Events of the scripts come a tenth of a second apart, the first one at 0.1 s."""

    def untimely(self, exchange: str, actors: dict[str, Actor], script: str) -> list[int]:
        follower = follow(exchange, actors, script)
        follower.finish(9.0)
        assert {line.state for line in follower.lines} <= {D, P}
        return [line.index for line in follower.lines if line.untimely]

    @pytest.mark.parametrize(
        ("clock", "late"),
        [
            ("within 250ms:", [2]),
            ("within 350ms:", []),
            ("at least 50ms after:", []),
            ("at least 150ms after:", [1]),
            ("at least 150ms after, within 250ms:", [1, 2]),
            ("at least 50ms after, within 350ms:", []),
        ],
    )
    def test_it_counts_from_the_moment_when_all_above_was_settled(
        self, clock: str, late: list[int]
    ) -> None:
        exchange = f"mail< EHLO *\n{clock}\n  mail< MAIL *\n  mail< QUIT\n"
        script = "mail! opened\nmail< EHLO x\nmail< MAIL x\nmail< NOOP\nmail< QUIT\n"
        assert self.untimely(exchange, SMTP, script) == late

    def test_the_first_one_counts_from_the_start_of_the_play(self) -> None:
        script = "mail! opened\nmail< EHLO x\n"
        assert self.untimely("within 150ms:\n  mail< EHLO *\n", SMTP, script) == [0]
        assert self.untimely("within 250ms:\n  mail< EHLO *\n", SMTP, script) == []

    def test_what_comes_before_the_actor_has_spoken_comes_too_early(self) -> None:
        exchange = "server> go\nat least 0ms after:\n  server< a\n"
        assert self.untimely(exchange, LINES, "server< a\n@0 server> go\n") == [1]
        assert self.untimely(exchange, LINES, "@0 server> go\nserver< a\n") == []

    def test_groups_stand_below_a_clock_and_what_was_not_needed_is_never_late(self) -> None:
        exchange = "within 250ms:\n  one of:\n    mail< HELO *\n    mail< EHLO *\n  mail<? NOOP\n"
        assert self.untimely(exchange, SMTP, "mail! opened\nmail< EHLO x\n") == []
        assert self.untimely(exchange, SMTP, "mail< EHLO x\nmail< A\nmail< NOOP\n") == [2]

    def test_ends_of_connections_and_of_the_program_have_their_time(self) -> None:
        exchange = "within 250ms:\n  server! expect eof\n  program! expect exit 0\n"
        script = "server! opened\nserver! eof\nprogram! exit 0\n"
        assert self.untimely(exchange, LINES, script) == [1]

    def test_a_stream_is_timed_by_the_chunk_that_completed_what_was_heard(self) -> None:
        """What was still to be said may keep it from being held against its line."""
        actors = cast(server=actor_of("server", ActorKind.TCP))
        exchange = "within 250ms:\n  server< abc\nserver> go\nwithin 250ms:\n  server< def\n"
        script = "server< a\nserver< bcd\nserver< e\nserver< fg\nserver< h\n@1 server> go\n"
        follower = follow(exchange, actors, script, {"server": LineEnd.NONE})
        assert [line.at for line in follower.lines] == [0.2, 0.6, 0.4]

    def test_the_play_must_wait_as_long_as_a_clock_says(self) -> None:
        exchange = "mail< EHLO *\nat least 2s after, within 7s:\n  mail< QUIT\n"
        assert follow(exchange, SMTP, "mail! opened\n").open_until == 0
        assert follow(exchange, SMTP, "mail< EHLO x\n").open_until == pytest.approx(7.1)
        assert follow(exchange, SMTP, "mail< EHLO x\nmail< QUIT\n").open_until == 0
        exchange = "mail< EHLO *\nat least 2s after:\n  mail< QUIT\n"
        assert follow(exchange, SMTP, "mail< EHLO x\n").open_until == pytest.approx(2.1)


def test_the_user_sees_what_goes_to_standard_error_too() -> None:
    """Python's `input` writes its prompt there."""
    parsed, _ = parse_exchange("user< Name?*\nuser> Ann\n")
    follower = Follower(parsed, ECHO)
    follower.receive(Event(0.1, What.ERRORS, "program", data=b"Name? "))
    assert [line.index for line in follower.due] == [1]


def test_what_comes_after_a_limit_was_reached_is_too_late() -> None:
    """A server that hangs but exits 0 when it is told to has not ended by itself."""
    parsed, _ = parse_exchange("program! expect exit 0\n")
    follower = Follower(parsed, SMTP)
    follower.receive(Event(4.0, What.GAVE_UP, "program", note="nothing happened for 4 s"))
    follower.receive(Event(4.1, What.EXITED, "program", facts={"status": 0}))
    assert finished(follower) == [M]
