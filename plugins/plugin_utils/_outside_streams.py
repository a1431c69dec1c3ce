# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""The part of the proof that is seen from the internet: services that are no HTTP.

That a connection stays open says only that a gateway took it. It is kept when, besides, a gateway reached the port of a
replica in the same call.
"""

from __future__ import annotations

import typing as t

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from ansible_collections.wonder.mesh.plugins.plugin_utils._measured import OUTSIDE, Measured
from ansible_collections.wonder.mesh.plugins.plugin_utils._outside_access import shut_out
from ansible_collections.wonder.mesh.plugins.plugin_utils._plan import WEB_PORT, places

if t.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ansible_collections.wonder.mesh.plugins.plugin_utils._plan import Place
    from ansible_collections.wonder.mesh.plugins.plugin_utils._report import Report
    from ansible_collections.wonder.mesh.plugins.plugin_utils._types import Model, Service


def judge_streams(
    model: Model, service: Service, stranger: Measured, nodes: Mapping[str, Measured], report: Report
) -> None:
    """One entry for each place where the service is tried."""
    for place in places(model, service):
        entry = new_entry(service, place, stranger)
        report.add("services", entry)
        if not stranger.missing:
            _judge(model, service, place, entry, stranger, nodes, report)


def new_entry(service: Service, place: Place, stranger: Measured) -> dict[str, t.Any]:
    """What the result has of a service at a place, before anything is known."""
    return {
        "name": service["name"], "url": place.url, **({"gateway": place.gateway} if place.gateway else {}),
        "from": stranger.host, "status": None, "subject": None, "ok": None,
    }  # fmt: skip


def said(place: Place) -> str:
    """The place for people."""
    return f"{place.url} at {place.gateway}" if place.gateway else place.url


def replicas(service: Service, nodes: Mapping[str, Measured]) -> str:
    """Which of them listen, as far as their nodes said."""
    states = {True: "listens", False: "does not listen", None: "was not measured"}
    found = [(each["node"], each["port"]) for each in service["replicas"]]
    return "; ".join(
        f"{node}:{port} {states[nodes[node].answers.get(port) if node in nodes else None]}" for node, port in found
    )


def _judge(
    model: Model,
    service: Service,
    place: Place,
    entry: dict[str, t.Any],
    stranger: Measured,
    nodes: Mapping[str, Measured],
    report: Report,
) -> None:
    url, who = said(place), stranger.host
    if service["protocol"] == "udp" and not service["health"]:
        report.not_measured(f"{url} from {who}: {service['name']} has no health, a text that it answers")
        return
    is_open, certificate, error = stranger.streams.get((place.url, place.address), (False, "", "it was not tried"))
    entry["subject"] = _subject(certificate)
    gateways = [place.gateway] if place.gateway else model["gateways"]
    networks, out = ", ".join(service["access"]["allow"]), shut_out(model, service, who)
    reached = any(stranger.ports.get((each, WEB_PORT, "tcp"), (False, ""))[0] for each in gateways)
    if out and (is_open or reached):
        entry["ok"] = not is_open
        if is_open:
            report.problem(f"{url} serves {who}, who is not among {networks}")
    elif out is None and not is_open and reached:
        report.not_measured(f"{url} from {who}: it may come from none of {networks}")
    elif not is_open:
        if all(nodes[replica["node"]].missing == OUTSIDE for replica in service["replicas"]):
            # Whether they were ever set up is not for a limited run to say.
            report.warning(f"{url} does not serve {who}: {error or 'no answer'}; all its nodes are {OUTSIDE}")
            return
        entry["ok"] = False
        report.problem(f"{url} does not serve {who}: {error or 'no answer'} ({replicas(service, nodes)})")
    elif service["protocol"] != "tcp" or _reached(gateways, service, nodes):
        entry["ok"] = True
    elif all(nodes[gateway].missing for gateway in gateways):
        report.not_measured(
            f"{url} from {who}: no gateway was measured, and only one knows whether it reaches the node"
        )
    else:
        entry["ok"] = False
        reason = f"a gateway takes the connection and reaches no node ({replicas(service, nodes)})"
        report.problem(f"{url} does not serve {who}: {reason}")


def _reached(gateways: Sequence[str], service: Service, nodes: Mapping[str, Measured]) -> bool:
    """Whether one of the gateways reached a replica, by the mesh or because it is one itself."""
    for gateway in gateways:
        for replica in service["replicas"]:
            node, port = replica["node"], replica["port"]
            if node == gateway and nodes[gateway].answers.get(port):
                return True
            if nodes[gateway].connections.get((node, port), ("", ""))[0] == "open":
                return True
    return False


def _subject(certificate: str) -> str | None:
    """The certificate's subject, as in CN=git.example.com; None without one."""
    if not certificate:
        return None
    try:
        return x509.load_pem_x509_certificate(certificate.encode()).subject.rfc4514_string()
    except (ValueError, UnsupportedAlgorithm):
        return "no certificate in PEM"
