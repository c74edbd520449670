"""One play for every kind of finding; what is told of it stands in fixtures/verdicts/."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness.model.scenario import (
    Actor,
    ActorKind,
    Count,
    Demand,
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
    ReportFields,
    TextDemand,
    TimeDemand,
)
from harness.notation import parse_pattern

from tests.conversation import PROGRAM_ROLE, SERVER_ROLE, actor_of, cast, plan, record

if TYPE_CHECKING:
    from harness.model.plan import Plan
    from harness.model.record import Record

MAIL = cast(mail=actor_of("mail", ActorKind.SMTP, at="smtp.example.test:25"))
USER = cast(user=ActorKind.TERMINAL)
LINES = cast(
    server=actor_of("server", ActorKind.TCP, at="server.example.test:12000", eol=LineEnd.CRLF)
)
PONG = cast(pong=actor_of("pong", ActorKind.UDP, at="server.example.test:12000", answer="echo"))
BROWSER = cast(browser=actor_of("browser", ActorKind.HTTP, to="server"))
CLIENT = cast(client=actor_of("client", ActorKind.TCP, to="server", eol=LineEnd.LF))
STANDS = "mail! stands 127.0.0.1 40025\nprogram! curtain\nmail! opened\n"


@dataclass(frozen=True)
class Play:
    exchange: str
    actors: dict[str, Actor]
    script: str
    demands: tuple[Demand, ...] = ()
    server: bool = False
    bare: bool = False  # what the script says gets no line end

    def plan_and_record(self) -> tuple[Plan, Record]:
        ends = dict.fromkeys(self.actors, LineEnd.NONE)
        if not self.bare:
            scripted = (ActorKind.TCP, ActorKind.SMTP)
            ends |= {n: _end(actor) for n, actor in self.actors.items() if actor.kind in scripted}
        role = SERVER_ROLE if self.server else PROGRAM_ROLE
        return plan(self.actors, self.exchange, *self.demands, role=role), record(self.script, ends)


def _end(actor: Actor) -> LineEnd:
    return LineEnd.CRLF if actor.kind is ActorKind.SMTP else actor.eol


def text(check: object, observer: str = "screen", glob: str = "") -> TextDemand:
    return TextDemand(observer, check, glob, line=12)  # type: ignore[arg-type]


def has(pattern: str, observer: str = "screen", glob: str = "") -> TextDemand:
    return text(Has(parse_pattern(pattern)), observer, glob)


def mails(*wanted: MailDemand, address: str = "bo@163.com") -> tuple[MailboxDemand]:
    return (MailboxDemand(address, wanted, line=15),)


def mail(**parts: str) -> MailDemand:
    fields = (FieldDemand(name, Has(parse_pattern(asked))) for name, asked in parts.items())
    return MailDemand(tuple(fields), line=16)


REFUSED = (
    "mail< RCPT TO:<nobody@example.test>\nmail< QUIT  # RFC 5321 3.3: no mail without a recipient\n"
)
REPORT = (
    "From: postmaster@x\\r\\nSubject: Undelivered\\r\\nMIME-Version: 1.0\\r\\n"
    "Content-Type: multipart/report; report-type=delivery-status; boundary=b\\r\\n\\r\\n"
    "--b\\r\\n\\r\\nnot delivered\\r\\n--b\\r\\nContent-Type: message/delivery-status\\r\\n\\r\\n"
    "Reporting-MTA: dns; x\\r\\n\\r\\nFinal-Recipient: rfc822; bo@163.com\\r\\nAction: failed\\r\\n"
    "Status: 5.0.0\\r\\n\\r\\n--b--\\r\\n"
)
PLAIN = (
    "From: ann@qq.com\\r\\nSubject: =?utf-8?b?6K6h566X5py6?=\\r\\n"
    "Content-Type: text/plain; charset=utf-8\\r\\n\\r\\n你好 Bo\\r\\nsecond line\\r\\n"
)
TRACEBACK = (
    'errors: Traceback (most recent call last):\\n  File "/x/client.py", line 12, in <module>\\n'
    '    main()\\n  File "/usr/lib/python3.11/socket.py", line 833, in connect\\n    raise err\\n'
    "ConnectionRefusedError: [Errno 111] Connection refused\\n\n"
)
PORT_IN_USE = (
    'errors: Traceback (most recent call last):\\n  File "/x/server.py", line 7, in <module>\\n'
    "    listener.bind(('', 12000))\\nOSError: [Errno 98] Address already in use\\n\n"
)
JAVA = (
    'errors: Exception in thread "main" java.net.ConnectException: Connection refused\\n'
    "\\tat java.base/java.net.Socket.connect(Socket.java:641)\\n\\tat Mail.main(Mail.java:25)\\n\n"
)
RETRY = "*8002*{closed:(?i:closed|refused|geschlossen|关闭|拒绝)}*"
LOSS = "lost|loss|丢失|verloren"

PLAYS = {
    "another-line-instead": Play(
        REFUSED,
        cast(mail=actor_of("mail", ActorKind.SMTP, at="smtp.example.test:25", strict=True)),
        STANDS + "mail< RCPT TO:<nobody@example.test>\nmail> 550 5.1.1 No such user\nmail< DATA\n",
    ),
    "unlisted-line-instead": Play(
        REFUSED,
        MAIL,
        STANDS + "mail< RCPT TO:<nobody@example.test>\nmail> 550 5.1.1 No such user\nmail< DATA\n",
    ),
    "nothing-came": Play(
        "mail< EHLO *\nmail< MAIL FROM:<ann@qq.com>*\nmail< QUIT\n",
        MAIL,
        STANDS + "mail> 220 ready\nmail< EHLO me\nmail> 250-mail\nmail> 250 SIZE 100\n",
    ),
    "no-connection": Play("mail< EHLO *\nmail< QUIT\n", MAIL, "program! curtain\n"),
    "closed-too-early": Play(
        "mail< EHLO *\nmail< QUIT  # a session ends by QUIT (RFC 5321 4.1.1.10)\n",
        MAIL,
        STANDS + "mail< EHLO me\nmail> 250 ok\nmail! eof\n",
    ),
    "reset-too-early": Play(
        "server< one\nserver< two\n", LINES, "server! opened\nserver< one\nserver! reset\n"
    ),
    "more-than-the-script": Play(
        "server< one\n", LINES, "server! opened\nserver< one\nserver< two\n"
    ),
    "never-group": Play(
        "mail< RCPT *\nnever:\n  mail< DATA  # nobody is left to send it to\nmail< QUIT\n",
        MAIL,
        STANDS + "mail< RCPT TO:<a@b>\nmail> 550 no\nmail< DATA\nmail> 503 no\nmail< QUIT\n",
    ),
    "silence-broken-by-a-connection": Play(
        "mail! expect silence  # this is no mailbox (RFC 5321 4.1.2)\n",
        MAIL,
        STANDS,
    ),
    "silence-broken-by-bytes": Play(
        "server! accept\nserver! expect silence 300ms  # the greeting comes first\n",
        LINES,
        "server! opened\n@0 server! acted\nserver< hello\n",
    ),
    "end-expected-message-came": Play(
        "server< bye\nserver! expect eof\n",
        LINES,
        "server! opened\nserver< bye\nserver< and more\n",
    ),
    "end-expected-reset-came": Play(
        "server< bye\nserver! expect eof\n", LINES, "server! opened\nserver< bye\nserver! reset\n"
    ),
    "end-expected-nothing-came": Play(
        "server< bye\nserver! expect eof\n", LINES, "server! opened\nserver< bye\n"
    ),
    "reset-expected": Play("server! expect reset\n", LINES, "server! opened\nserver! eof\n"),
    "line-without-end": Play(
        "server< hello\n",
        LINES,
        "server! opened\nserver< hello\\n\nserver! eof\n",
        bare=True,
    ),
    "mail-without-end": Play(
        "mail< DATA\nmail< QUIT\n",
        MAIL,
        STANDS + "mail< DATA\nmail> 354 go on\nmail< Subject: x\nmail< \nmail< .\\s\n",
    ),
    "stream-mismatch": Play(
        "server! accept\nserver> Welcome\nserver< hello\n",
        cast(server=actor_of("server", ActorKind.TCP, at="server.example.test:12000")),
        "server! opened\n@0 server! acted\n@1 server> Welcome\nserver< Wel\nserver< come\n",
    ),
    "two-lines-missed": Play(
        "server< one\nserver< two\nserver< three\nserver< four\n",
        LINES,
        "server! opened\nserver< one\nserver< four\n",
    ),
    "terminal-line-missing": Play(
        "user< *Welcome*  # the greeting is shown to the user\n",
        USER,
        "screen: connecting\\r\\n\nscreen: failed: \\xe2\\x80\\xaegnp.exe\\x1b[2J\\r\\n\n",
    ),
    "http-other-status": Play(
        "browser> GET /\nbrowser< 200  # the file is there\n",
        BROWSER,
        "server! stands 127.0.0.1 8080\nserver! listening 127.0.0.1 8080\nbrowser! opened\n"
        "@0 browser> GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n\n"
        "browser< HTTP/1.0 404 Not Found\\r\\nContent-Length: 0\\r\\n\\r\\n\n",
        server=True,
    ),
    "http-cut-short": Play(
        "browser> GET /\nbrowser< 200\n",
        BROWSER,
        "server! listening 127.0.0.1 8080\nbrowser! opened\n"
        "@0 browser> GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n\n"
        "browser< HTTP/1.1 404 Not Found\\r\\n\nbrowser! eof\n",
        server=True,
    ),
    "actor-could-not": Play(
        "client! connect\nclient> hello\nclient< HELLO\n",
        CLIENT,
        "server! listening 127.0.0.1 7\n@0 client! acted\n"
        "@1 client! broken the connection is closed\n",
        server=True,
    ),
    "long-line": Play(
        "server< hello\n",
        LINES,
        "server! opened\nserver< \\x00\\x01" + "计算机网络" * 60 + "\\x7f\n",
    ),
    "no-python-at-all": Play(
        "",
        PONG,
        'errors:   File "/tmp/wirelab-x1/copy/group7/ping.py", line 2\\n    print((\\n'
        "         ^\\nSyntaxError: '(' was never closed\\n\nprogram! exit 1\n",
        (ExitDemand((0,), line=10), HeardDemand("pong", 10, "datagrams", line=11)),
    ),
    "wrong-line-then-crash": Play(
        "server< hello  # the line is sent as it was typed\nserver> HELLO\n",
        LINES,
        "server! opened\nserver< bye\nserver! left\n" + TRACEBACK + "program! exit 1\n",
        (ExitDemand((0,), line=11),),
    ),
    "bytes-on-the-screen": Play(
        "",
        {},
        "screen: b'220 ready\\\\r\\\\n' C:\\\\new\\n\nprogram! exit 3\n",
        (ExitDemand((0,), line=11),),
    ),
    "never-spoken": Play(
        "mail> 421 *\n".replace(" *", " later"), MAIL, STANDS + "mail> 220 ready\nmail! eof\n"
    ),
    "exit-status": Play("", {}, "program! exit 3\n", (ExitDemand((0,), line=11),)),
    "exit-status-zero": Play("", {}, "program! exit 0\n", (ExitDemand(("nonzero",), line=11),)),
    "exit-among-others": Play(
        "", {}, "program! exit 3\n", (ExitDemand((0, 2, "SIGPIPE"), line=11),)
    ),
    "exit-by-the-wrong-signal": Play(
        "",
        {},
        "server! listening 127.0.0.1 7\nprogram! stopped the play is over\nprogram! signal 15\n",
        (ExitDemand((0,), line=11),),
        server=True,
    ),
    "exit-by-force": Play(
        "",
        {},
        "server! listening 127.0.0.1 7\nprogram! stopped the play is over\nprogram! signal 9\n",
        (ExitDemand((0,), line=11), TimeDemand("after stop", most=0.05, line=12)),
        server=True,
    ),
    "ended-too-late": Play(
        "",
        MAIL,
        STANDS + "mail< QUIT\nscreen: bye\\n\nprogram! exit 0\n",
        (
            TimeDemand("until exit", most=0.5, line=11),
            TimeDemand("after last message", most=0.1, line=12),
        ),
    ),
    "ended-too-early": Play(
        "",
        PONG,
        "pong< ping\nprogram! exit 0\n",
        (TimeDemand("after last message", least=1.0, line=11),),
    ),
    "left-behind": Play(
        "",
        {},
        "program! exit 0\nprogram! leftover sleep 1000\nprogram! leftover sleep 2000\n",
        (text(Lacks(parse_pattern("*")), "leftovers"),),
    ),
    "killed-by-a-signal": Play("", {}, "screen: sending ...\\n\nprogram! signal 11\n"),
    "traceback": Play(
        "mail< EHLO *\nmail< QUIT\n",
        MAIL,
        TRACEBACK + "program! exit 1\n",
        (ExitDemand((0,), line=11), *mails(MailDemand(line=15))),
    ),
    "traceback-java": Play("", {}, JAVA + "program! exit 1\n"),
    "traceback-in-a-thread": Play(
        "mail< QUIT\n", MAIL, STANDS + TRACEBACK + "program! exit 0\n", (ExitDemand((0,), line=11),)
    ),
    "never-ended": Play("", {}, "screen: 354?\\n\nprogram! stopped it did not end by itself\n"),
    "deaf-to-sigterm": Play(
        "",
        {},
        "server! listening 127.0.0.1 7\nprogram! stopped the play is over\nprogram! signal 9\n",
        server=True,
    ),
    "flooded": Play(
        "",
        {},
        "screen: y\\ny\\ny\\n\nprogram! flooded terminal\n"
        "program! stopped it wrote more than 1000 bytes to its terminal\nprogram! signal 15\n",
    ),
    "crowded": Play(
        "",
        {},
        "screen: :(){ :|:& };:\\n\nprogram! crowded 2049 of them\nprogram! exit 0\n",
    ),
    "never-listened": Play(
        "",
        CLIENT,
        "screen: ready\\n\nprogram! gave-up never listened on 127.0.0.1:8080\n",
        server=True,
    ),
    "listened-over-tcp-only": Play(
        "client> hello\nclient< HELLO\n",
        CLIENT,
        "server! listening 127.0.0.1 8080\n"
        "program! gave-up never listened on 127.0.0.1:8080 over UDP elsewhere 127.0.0.1:8081\n",
        server=True,
    ),
    "another-line-of-lf": Play(
        "client> hello\nclient< HELLO\n",
        CLIENT,
        "server! listening 127.0.0.1 7\nclient! opened\n@0 client> hello\nclient< hello\n",
        server=True,
    ),
    "listened-elsewhere": Play(
        "",
        CLIENT,
        "program! gave-up never listened on 127.0.0.1:8080 elsewhere 0.0.0.0:80\n",
        server=True,
    ),
    "could-not-be-started": Play("", {}, "program! broken there is no command javac\n"),
    "ended-before-it-listened": Play("", CLIENT, TRACEBACK + "program! exit 1\n", server=True),
    "ended-in-the-middle": Play(
        "client> hello\nclient< HELLO\n",
        CLIENT,
        "server! listening 127.0.0.1 7\nclient! opened\n@0 client> hello\n"
        "program! exit 0\nclient! eof\n",
        server=True,
    ),
    "leftover": Play(
        "", {}, "program! leftover sleep 1000\nprogram! exit 1\n", (ExitDemand((0,), line=11),)
    ),
    "screen-has": Play(
        "", {}, "screen: 8001 open\\n8002 filtered\\n\n", (has(RETRY), has("*bytes*"))
    ),
    "screen-lacks-several": Play(
        "",
        cast(mail=actor_of("mail", ActorKind.SMTP, at="smtp.example.test:25")),
        STANDS + "screen: ann@qq.com\\n8002 filtered\\n\n",
        (
            has("*sent*"),
            has("*${mail.port}*"),
            has("*ann@qq.com*"),
            has("*{when:[0-9]{2}:[0-9]{2}}*"),
            has("*bytes*"),
            replace(has("*bye*"), level=Level.SHOULD),
        ),
    ),
    "several-mailboxes-are-empty": Play(
        "",
        MAIL,
        STANDS + "mail< QUIT\n",
        (*mails(MailDemand(line=15)), *mails(MailDemand(line=16), address="cy@qq.com")),
    ),
    "screen-shows-nothing": Play(
        "", {}, "program! exit 0\n", (has("*{time:[0-9]{1,2}:[0-9]{2}}*"),)
    ),
    "errors-not-empty": Play(
        "",
        {},
        "errors: \\nwarning: old protocol\\n\n",
        (text(Lacks(parse_pattern("*")), "errors"),),
    ),
    "errors-lacks": Play(
        "",
        {},
        "errors: warning\\nlogin s3cret\\nbye\\n\n",
        (text(Lacks(parse_pattern("s3cret")), "errors"),),
    ),
    "screen-in-order": Play(
        "",
        {},
        "screen: two\\none\\n\n",
        (text(InOrder((parse_pattern("one"), parse_pattern("two")))),),
    ),
    "screen-count": Play(
        "", {}, "screen: reply 1\\nreply 2\\n\n", (text(Count(parse_pattern("reply *"), 4)),)
    ),
    "screen-number": Play(
        "", PONG, "screen: 10 sent, 6 received, 60% loss\\n\n", (text(Number(LOSS, (4, 40))),)
    ),
    "screen-no-number": Play(
        "", PONG, "screen: some were lost\\n\n", (text(Number(LOSS, (4, 40))),)
    ),
    "file-missing": Play("", {}, "file mail/1.eml: x\n", (has("*x*", "files", "Log-*.txt"),)),
    "file-has": Play(
        "", {}, "file Log-1.txt: EHLO me\\nQUIT\\n\n", (has("*550 5.1.1*", "files", "Log-*"),)
    ),
    "heard-datagrams": Play(
        "", PONG, "pong< a\npong< b\n", (HeardDemand("pong", 10, "datagrams", line=11),)
    ),
    "heard-connections": Play("", MAIL, STANDS, (HeardDemand("mail", 2, "connections", line=11),)),
    "too-early": Play(
        "pong< *\nat least 900ms after:\n  pong< *  # one second is waited for a lost reply\n",
        PONG,
        "pong< Ping 1 12.5\npong< Ping 2 12.6\n",
    ),
    "too-late": Play(
        "server> Goodbye\nwithin 200ms:\n  server! expect eof\n",
        LINES,
        "server! opened\n@0 server> Goodbye\nscreen: a\nscreen: b\nserver! eof\n",
    ),
    "too-late-on-the-screen": Play(
        "within 200ms:\n  user< *done*\n",
        USER,
        "screen: 1 of 2\\n\nscreen: 2 of 2\\n\nscreen: all is done\\n\n",
    ),
    "before-its-time": Play(
        "client> ready?\nat least 0ms after, within 1s:\n  client< yes\n",
        CLIENT,
        "client! opened\nclient< yes\n@0 client> ready?\n",
    ),
    "program-ended-too-late": Play(
        "mail< QUIT\nwithin 200ms:\n  program! expect exit 0\n",
        MAIL,
        STANDS + "mail< QUIT\nscreen: a\nscreen: b\nprogram! exit 0\n",
    ),
    "no-time-is-told-behind-a-miss": Play(
        "mail< DATA\nmail< RSET\nat least 900ms after:\n  mail< QUIT\n",
        cast(mail=actor_of("mail", ActorKind.SMTP, strict=True)),
        STANDS + "mail< RSET\nmail< QUIT\n",
    ),
    "never-came-back": Play(
        "program! restart\nclient.2> hello\nclient.2< HELLO\n",
        CLIENT,
        "program! started\nprogram! listening h 1\nclient! opened\nprogram! told restart\n"
        "client! eof\nprogram! signal 9\nprogram! started\n" + PORT_IN_USE + "program! exit 1\n"
        "@0 program! broken did not listen again when it was restarted: it ended\n",
        server=True,
    ),
    "end-expected-other-status": Play(
        "program! stop\nprogram! expect exit 0\n",
        CLIENT,
        "program! started\nprogram! listening h 1\nprogram! told stop\nprogram! signal 15\n"
        "@0 program! acted\n",
        server=True,
    ),
    "end-expected-runs-on": Play("program! expect exit nonzero\n", MAIL, STANDS),
    "ended-before-it-was-killed": Play(
        "client> hello\nprogram! kill\n",
        CLIENT,
        "program! started\nprogram! listening h 1\nclient! opened\n@0 client> hello\n"
        "program! exit 0\n@1 program! broken had ended already when `program! kill` came\n",
        server=True,
    ),
    "mailbox-empty": Play("", MAIL, STANDS, mails(MailDemand(line=15))),
    "mailbox-too-many": Play("", MAIL, f"mailbox bo@163.com: {PLAIN}\n" * 2, mails()),
    "mail-differs": Play(
        "",
        MAIL,
        f"mailbox bo@163.com: {PLAIN}\n",
        mails(mail(subject="计算机网络", **{"from": "*bo@*"}, text="*再见*")),
    ),
    "no-report": Play(
        "",
        MAIL,
        f"mailbox ann@qq.com: {PLAIN}\n",
        mails(MailDemand(report=ReportFields(("nobody@qq.com",))), address="ann@qq.com"),
    ),
    "report-differs": Play(
        "",
        MAIL,
        f"mailbox ann@qq.com: {REPORT}\n",
        mails(
            MailDemand(report=ReportFields(("nobody@qq.com",), parse_pattern("5.1.1"))),
            address="ann@qq.com",
        ),
    ),
    "tls-handshake": Play(
        "mail< QUIT\n",
        MAIL,
        "mail! opened\nmail! broken the TLS handshake failed: the program does not trust us\n"
        "mail! reset\n",
    ),
    "name-of-nobody": Play(
        "mail< EHLO *\n",
        MAIL,
        "mail! stands smtp.example.test 25\nprogram! curtain\n"
        "dns! unknown A smtp.sina.cn\ndns! unknown AAAA smtp.sina.cn\n"
        "dns! unknown PTR 2.255.19.198.in-addr.arpa\n"
        "screen: Name or service not known\\n\nprogram! exit 1\n",
        (ExitDemand((0,), line=11),),
    ),
    "missed-line-before-its-consequences": Play(
        "mail< DATA\nmail< QUIT\n",
        MAIL,
        STANDS + "mail< QUIT\nmail! eof\nprogram! exit 1\n",
        (
            ExitDemand((0,), line=11),
            *mails(MailDemand(line=15)),
            TextDemand("screen", Has(parse_pattern("*sent*")), level=Level.SHOULD, line=12),
        ),
    ),
}
