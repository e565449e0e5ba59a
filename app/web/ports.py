"""Ports: the address that the server listens on, checked before anything is loaded."""

from __future__ import annotations

import errno
import os
import socket
from contextlib import closing, suppress

from featvis import WrongRequest

from ..machine import values

FIRST, COUNT = 7860, 100  # without --port: the first free one of these
HIGHEST = 65535
LOOPBACK = "127.0.0.1"


class Unavailable(Exception):
    """The server cannot listen where it was asked to, said in one sentence."""


def available(host: str, port: int | None) -> int:
    """The port to listen on: the one asked for, or else the first free one."""
    if port is not None:
        return _checked(host, _port(port, "--port"))
    first = _number("GRADIO_SERVER_PORT", FIRST)
    last = min(first + max(1, _number("GRADIO_NUM_PORTS", COUNT)), HIGHEST + 1)
    for candidate in range(_port(first, "GRADIO_SERVER_PORT"), last):
        try:
            return _checked(host, candidate)
        except Unavailable as error:
            if getattr(error.__cause__, "errno", None) != errno.EADDRINUSE:
                raise
    raise Unavailable(
        f"the ports {first} to {last - 1} of {host} are all in use; name a free one with --port"
    )


def reason(host: str, port: int, error: Exception) -> str:
    """Why nothing can listen there, and what to do, in one sentence."""
    code = getattr(error, "errno", None)
    if code == errno.EADDRINUSE:
        return (
            f"port {port} of {host} is in use; choose another one with --port, or leave --port "
            "out: then the next free one is taken"
        )
    if code in (errno.EACCES, errno.EPERM):
        return f"port {port} is not open to this user; choose one from 1024 to {HIGHEST}"
    if code == errno.EADDRNOTAVAIL or isinstance(error, socket.gaierror | UnicodeError):
        return (
            f"this machine has no address {host!r} to listen on; --host {LOOPBACK} is this "
            "machine alone, --host 0.0.0.0 all of its addresses"
        )
    return f"nothing can listen at port {port} of {host}: {getattr(error, 'strerror', error)}"


def _checked(host: str, port: int) -> int:
    """The port, which can be listened on now; a free one for 0."""
    port = port or _free(host)
    for address in dict.fromkeys((host, os.environ.get("GRADIO_SERVER_NAME") or LOOPBACK)):
        try:  # Gradio tries the second one, too
            _bind(address, port)
        except (OSError, UnicodeError) as error:
            raise Unavailable(reason(address, port, error)) from error
    return port


def _bind(host: str, port: int) -> int:
    """Bind every address of a host and let go of them; the port."""
    unknown: OSError | None = None
    for family, kind, protocol, _, address in _addresses(host, port):
        with closing(socket.socket(family, kind, protocol)) as probe:
            if os.name == "posix":  # elsewhere it would take the port of another program
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(address)
                return int(probe.getsockname()[1])
            except OSError as error:
                if error.errno != errno.EADDRNOTAVAIL:
                    raise
                unknown = error  # as of "localhost" on a machine without IPv6
    raise unknown or OSError(errno.EADDRNOTAVAIL, "no address")


def _addresses(host: str, port: int) -> list[tuple[int, int, int, str, tuple[object, ...]]]:
    name = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    infos = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return list(infos)  # type: ignore[arg-type]


def _free(host: str) -> int:
    with suppress(OSError, UnicodeError):  # said better by the check that follows
        return _bind(host, 0)
    return FIRST


def _number(variable: str, default: int) -> int:
    text = os.environ.get(variable, "").strip()
    return values.digits(variable, text, 0, HIGHEST) if text else default


def _port(number: int, name: str) -> int:
    if not 0 <= number <= HIGHEST:
        raise WrongRequest(f"{name} is a number from 0 (any free port) to {HIGHEST}, not {number}")
    return number
