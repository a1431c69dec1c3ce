# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""The part of the proof that is seen from the internet: public ports, services, and a control API that is not there."""

from __future__ import annotations

import typing as t

from ansible_collections.wonder.mesh.plugins.plugin_utils._measured import OUTSIDE, Measured
from ansible_collections.wonder.mesh.plugins.plugin_utils._outside_access import expected, served
from ansible_collections.wonder.mesh.plugins.plugin_utils._outside_streams import (
    judge_streams,
    new_entry,
    replicas,
    said,
)
from ansible_collections.wonder.mesh.plugins.plugin_utils._plan import (
    CONTROL_PATHS,
    CONTROL_PORTS,
    HEALTH_PATH,
    places,
    public_ports,
)

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from ansible_collections.wonder.mesh.plugins.plugin_utils._plan import Place
    from ansible_collections.wonder.mesh.plugins.plugin_utils._report import Report
    from ansible_collections.wonder.mesh.plugins.plugin_utils._types import Model, Service

HTTPS_PORT = 443


def judge_outside(model: Model, stranger: Measured, nodes: Mapping[str, Measured], report: Report) -> None:
    """What one stranger sees. Without its measurement the entries are there, with ok null."""
    _judge_ports(model, stranger, report)
    for service in model["services"]:
        if service["protocol"] == "http":
            for place in places(model, service):
                _judge_service(model, service, place, stranger, nodes, report)
        else:
            judge_streams(model, service, stranger, nodes, report)
    if model["coordinator"]:
        _judge_control(model, stranger, report)


def _judge_ports(model: Model, stranger: Measured, report: Report) -> None:
    for wanted in public_ports(model):
        name, address, port, protocol = wanted.values()
        entry: dict[str, t.Any] = {**wanted, "from": stranger.host, "ok": None}
        report.add("ports", entry)
        if stranger.missing:
            continue
        is_open, error = stranger.ports.get((name, port, protocol), (False, "it was not tried"))
        entry["ok"] = is_open
        if not is_open:
            kind = "UDP" if protocol == "stun" else "TCP"
            why = error or "no answer"
            fix = f"open {kind} {port} in the firewall before {name}, and check that its program runs"
            report.problem(f"{kind} {port} of {name} ({address}) does not answer {stranger.host}: {why}; {fix}")


def _judge_service(
    model: Model, service: Service, place: Place, stranger: Measured, nodes: Mapping[str, Measured], report: Report
) -> None:
    entry, url = new_entry(service, place, stranger), said(place)
    report.add("services", entry)
    if stranger.missing:
        return
    status, error = stranger.urls.get((place.url, place.address), (None, "it was not tried"))
    guarded = expected(model, service, stranger.host, status, error)
    if guarded:
        entry.update(status=status, ok=guarded.ok)
        if guarded.ok is False:
            report.problem(f"{url} answers {stranger.host} with {status}, {guarded.reason}")
        elif guarded.ok is None:
            report.not_measured(f"{url} from {stranger.host}: {guarded.reason}")
        return
    entry.update(status=status, ok=served(service, status))
    if not entry["ok"]:
        found = f"status {status}" if status is not None else error or "no answer"
        if all(nodes[replica["node"]].missing == OUTSIDE for replica in service["replicas"]):
            # Whether they were ever set up is not for a limited run to say.
            entry["ok"] = None
            report.warning(f"{url} does not serve {stranger.host}: {found}; all its nodes are {OUTSIDE}")
            return
        report.problem(f"{url} does not serve {stranger.host}: {found} ({replicas(service, nodes)})")


def _judge_control(model: Model, stranger: Measured, report: Report) -> None:
    """The API, its documentation and the metrics. They count as refused only if the control plane's health is seen."""
    coordinator = model["coordinator"]
    healthy = stranger.urls.get((f"{model['server_url']}{HEALTH_PATH}", ""), (None, ""))[0] == 200
    for path in CONTROL_PATHS:
        status, _ = stranger.urls.get((f"{model['server_url']}{path}", ""), (None, ""))
        answer = None if status is None else status == 404
        detail = f"answers with status {status}"
        _control(f"control plane {path}", HTTPS_PORT, answer, detail, healthy, coordinator, stranger, report)
    for port in CONTROL_PORTS:
        found = stranger.ports.get((coordinator, port, "tcp"))
        answer = None if found is None else not found[0]
        _control(f"control port {port}", port, answer, "is open", healthy, coordinator, stranger, report)


def _control(
    what: str,
    port: int,
    refused: bool | None,
    detail: str,
    healthy: bool,
    coordinator: str,
    stranger: Measured,
    report: Report,
) -> None:
    entry: dict[str, t.Any] = {"what": what, "from": stranger.host, "to": coordinator, "port": port, "ok": None}
    report.add("refusals", entry)
    if stranger.missing:
        return
    if refused is False:
        entry["ok"] = False
        report.problem(f"{what} of {coordinator} {detail} for {stranger.host}, and must not be reachable from outside")
    elif not healthy:
        report.not_measured(
            f"{what} from {stranger.host}: the control plane's {HEALTH_PATH} does not answer there either"
        )
        report.problem(f"{stranger.host} does not reach the control plane: {HEALTH_PATH} of {coordinator} is not 200")
    elif refused is None:
        report.not_measured(f"{what} from {stranger.host}: no answer")
        report.problem(f"{stranger.host} could not try {what} of {coordinator}")
    else:
        entry["ok"] = True
