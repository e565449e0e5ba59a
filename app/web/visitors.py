"""Visitors: who asks, how often, and how much at the same time.

A token bucket for each address: as many requests as a minute has may come at once, and they are
given back evenly.
"""

from __future__ import annotations

import os
from collections import Counter, OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address, ip_network

from starlette.types import Scope

from .replies import Refusal

MOST = 10_000  # addresses that are remembered


class Buckets:
    """For each address, how many requests it has left and when that was so."""

    def __init__(self) -> None:
        self.left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, who: str, now: float, a_minute: int, weight: int = 1) -> float:
        """Take `weight` requests of an address; seconds until it has them, 0 if it had."""
        left, since = self.left.pop(who, (float(a_minute), now))
        left = min(float(a_minute), left + (now - since) * a_minute / 60)
        enough = left >= weight
        self.left[who] = (left - weight if enough else left, now)
        if len(self.left) > MOST:
            self.left.popitem(last=False)
        return 0.0 if enough else (weight - left) * 60 / a_minute


class UnderWay:
    """The requests, or bytes, that each address and all together have under way."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.total = 0

    def add(self, who: str, count: int = 1) -> None:
        """Count `count` more of an address; negative when they are done."""
        self.total += count
        self.counts[who] += count
        if not self.counts[who]:
            del self.counts[who]

    @contextmanager
    def one(self, who: str, most: int) -> Iterator[None]:
        """One request of an address, which may have `most` at the same time; 0: any number."""
        if self.counts[who] >= most > 0:
            raise Refusal(
                f"at most {most} requests at the same time: close a page, or wait for an answer",
                429,
                wait=1,
            )
        self.add(who)
        try:
            yield
        finally:
            self.add(who, -1)


def address(scope: Scope) -> str:
    """Who asks: an IPv4 address, or the network that one household has of IPv6.

    What a proxy says is believed on a Space, and where FEATVIS_TRUST_PROXY tells how many proxies
    are before this server: then the address that the first of them saw, counted from the right.
    """
    who = (scope.get("client") or ("",))[0]
    said = dict(scope["headers"]).get(b"x-forwarded-for", b"").decode("latin-1").split(",")
    trusted = os.environ.get("FEATVIS_TRUST_PROXY", "")
    if trusted.isdecimal() and 0 < int(trusted) <= len(said):
        who = said[-int(trusted)].strip() or who
    elif os.environ.get("SPACE_ID") and not trusted:
        who = said[0].strip() or who
    try:
        known = ip_address(who)
    except ValueError:
        return who[:50]
    known = getattr(known, "ipv4_mapped", None) or known
    return str(known) if known.version == 4 else str(ip_network(f"{known}/64", strict=False))
