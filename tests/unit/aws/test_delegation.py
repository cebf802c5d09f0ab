"""Asking DNS for a zone's delegation, against a small name server on this machine."""

import socketserver
import threading
from collections.abc import Iterator
from typing import Any

import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.resolver
import dns.rrset
import pytest

from boatyard.aws import delegation
from boatyard.aws.delegation import parents_servers
from boatyard.aws.errors import AwsBusy

# One server plays the resolver and the parent's own name server.
ANSWERS = {
    ("example.com.", "SOA"): "ns.example.com. root.example.com. 1 2 3 4 5",
    ("example.com.", "NS"): "ns.example.com.",
    ("ns.example.com.", "A"): "127.0.0.1",
}
DELEGATED = ["ns-1.awsdns-1.org.", "ns-2.awsdns-2.net."]


class _Handler(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        data, sock = self.request
        query = dns.message.from_wire(data)
        sock.sendto(_answer(query).to_wire(), self.client_address)


def _answer(query: dns.message.Message) -> dns.message.Message:
    asked = query.question[0]
    name, kind = asked.name.to_text(), dns.rdatatype.to_text(asked.rdtype)
    answer = dns.message.make_response(query)
    answer.flags |= dns.flags.RA
    if (name, kind) in ANSWERS:
        answer.answer.append(dns.rrset.from_text(name, 60, "IN", kind, ANSWERS[name, kind]))
    elif (name, kind) == ("k8s.example.com.", "NS"):
        section = answer.answer if query.flags & dns.flags.RD else answer.authority  # a referral, by the parent
        section.append(dns.rrset.from_text(name, 60, "IN", "NS", *DELEGATED))
    else:
        answer.set_rcode(dns.rcode.NXDOMAIN)
    return answer


@pytest.fixture
def name_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    with socketserver.UDPServer(("127.0.0.1", 0), _Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = server.server_address[1]
        _resolve_by(monkeypatch, port)
        really = dns.query.udp_with_fallback
        monkeypatch.setattr(
            delegation.dns.query, "udp_with_fallback", lambda q, where, **more: really(q, where, port=port, **more)
        )
        yield port
        server.shutdown()


def _resolve_by(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    class Local(dns.resolver.Resolver):
        def __init__(self, *_: Any) -> None:
            super().__init__(configure=False)
            self.nameservers, self.port = ["127.0.0.1"], port

    monkeypatch.setattr(delegation.dns.resolver, "Resolver", Local)


def test_the_parents_referral_counts(name_server: int) -> None:
    assert parents_servers("k8s.example.com", 10) == ["ns-1.awsdns-1.org", "ns-2.awsdns-2.net"]


def test_no_records_is_an_answer_too(name_server: int) -> None:
    assert parents_servers("other.example.com", 10) == []


def test_where_the_parent_cannot_be_reached_the_resolver_is_asked(
    name_server: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: Any, **__: Any) -> None:
        raise OSError("network is unreachable")

    monkeypatch.setattr(delegation.dns.query, "udp_with_fallback", refused)
    assert parents_servers("k8s.example.com", 10) == ["ns-1.awsdns-1.org", "ns-2.awsdns-2.net"]
    assert parents_servers("other.example.com", 10) == []


def test_nobody_to_ask_is_temporary(monkeypatch: pytest.MonkeyPatch) -> None:
    with socketserver.UDPServer(("127.0.0.1", 0), _Handler) as silent:
        _resolve_by(monkeypatch, silent.server_address[1])
        with pytest.raises(AwsBusy, match="DNS could not be asked about k8s"):
            parents_servers("k8s.example.com", 0.4)
