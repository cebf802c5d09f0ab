"""Real DNS: which name servers the parent of a zone names for it."""

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rdatatype
import dns.resolver

from boatyard.aws.errors import AwsBusy

_ONE = 2.0  # seconds for one question


def parents_servers(zone: str, seconds: float) -> list[str]:
    """Name servers of `zone` as its parent names them, [] when it names none. `AwsBusy` when nobody answers.

    The parent's servers answer what they know now; a recursive resolver would keep an answer that there is none.
    """
    name = dns.name.from_text(zone)
    resolver = dns.resolver.Resolver()
    resolver.lifetime = max(0.1, seconds / 2)
    try:
        above = dns.resolver.zone_for_name(name.parent(), resolver=resolver)
        for address in _addresses(resolver, above):
            answer = _referral(name, address)
            if answer is not None:
                return answer
        return _recursive(resolver, name)
    except (dns.exception.DNSException, OSError) as error:
        words = " ".join(str(error).split()).rstrip(".")
        raise AwsBusy(f"DNS could not be asked about {zone}: {words[:300]}.") from error


def _addresses(resolver: dns.resolver.Resolver, zone: dns.name.Name) -> list[str]:
    """Addresses of two of the zone's servers: enough to ask, and not too many to wait for."""
    servers = [record.target for record in resolver.resolve(zone, "NS")][:2]
    found = []
    for server in servers:
        try:
            found += [record.address for record in resolver.resolve(server, "A")][:1]
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            continue
    return found


def _referral(name: dns.name.Name, address: str) -> list[str] | None:
    """What one of the parent's servers says; None when it cannot be reached, as behind many firewalls."""
    question = dns.message.make_query(name, dns.rdatatype.NS)
    question.flags &= ~dns.flags.RD
    try:
        answer, _ = dns.query.udp_with_fallback(question, address, timeout=_ONE)
    except (dns.exception.DNSException, OSError):
        return None
    sections = [*answer.answer, *answer.authority]
    named = [
        record for found in sections if found.name == name and found.rdtype == dns.rdatatype.NS for record in found
    ]
    return sorted(record.target.to_text(omit_final_dot=True) for record in named)


def _recursive(resolver: dns.resolver.Resolver, name: dns.name.Name) -> list[str]:
    try:
        found = resolver.resolve(name, "NS")
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return []
    return sorted(record.target.to_text(omit_final_dot=True) for record in found)
