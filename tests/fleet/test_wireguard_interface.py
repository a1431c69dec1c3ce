# SPDX-License-Identifier: MIT
"""``wireguard_interface`` on real hosts: two hubs, and two homes that talk through one of them."""

from __future__ import annotations

import json
import re
import time
import typing as t

import pytest
from live_peers import SHOW, begun_anew, python, read_peers
from tunnels import HUBS, POOLS, Tunnels

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from live_peers import Peers
    from tunnels import Answers

NEW = "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo="  # of RFC 7748
EXPOSURE = {"wireguard-wm0": 2.6, "wireguard-wm0-watch": 1.5}
SHELF = """
ip netns add shelf
ip link add home0 type veth peer name eth0 netns shelf
ip address add 192.168.77.1/24 dev home0
ip link set home0 up
ip -n shelf address add 192.168.77.2/24 dev eth0
ip -n shelf link set eth0 up
"""
# Numbered datagrams there and back, one every 2 ms; prints how many were lost.
ECHO = """
import socket
echo = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
echo.bind(("10.77.0.4", 5000))
while True:
    echo.sendto(*echo.recvfrom(2000))
"""
STREAM = """
import socket, sys, time
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sender.settimeout(0.001)
sent, back, until = 0, set(), time.monotonic() + float(sys.argv[1])
while time.monotonic() < until:
    sender.sendto(str(sent).encode(), ("10.77.0.4", 5000))
    sent += 1
    try:
        while True:
            back.add(sender.recv(2000))
    except OSError:
        pass
sender.settimeout(1)
try:
    while len(back) < sent:
        back.add(sender.recv(2000))
except OSError:
    pass
print(sent, len(back))
"""


@pytest.fixture(scope="module")
def tunnels(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tunnels]:
    world = Tunnels(tmp_path_factory.mktemp("tunnels"))
    world.up()
    yield world
    world.down()


@pytest.fixture(scope="module")
def installed(tunnels: Tunnels) -> Answers:
    tunnels.before = {host: traces(tunnels, host) for host in tunnels.hosts}
    return tunnels.install()


@pytest.fixture
def meshed(tunnels: Tunnels, installed: Answers) -> Tunnels:
    assert not any(answer["failed"] for answer in installed.values()), installed
    return tunnels


def traces(tunnels: Tunnels, host: str) -> list[str]:
    """All that an interface could leave behind, sorted."""
    said = tunnels.run(
        host,
        "find /etc /usr/local /var/lib/wonder-mesh /run/wireguard* /run/wonder-mesh* ! -name '*.cache' 2>/dev/null;"
        "ip -brief link; ip route; ip -6 route; nft list ruleset; cat /etc/hosts; systemctl list-units --all --plain"
        " --no-legend 'wireguard*'; sysctl net.ipv4.conf.eth0.forwarding net.ipv6.conf.all.forwarding",
    )
    return sorted(said.splitlines())


def counters(tunnels: Tunnels, host: str) -> Peers:
    return read_peers(tunnels.run(host, python(SHOW)))


def silent(tunnels: Tunnels, host: str, addresses: list[str]) -> list[str]:
    """Those of the addresses at which no SSH server takes a TCP connection within half a minute."""
    once = "timeout 2 bash -c 'exec 3<>/dev/tcp/{}/22' 2>/dev/null"
    each = "for i in $(seq 15); do {} && exit; sleep 0.5; done; echo {}"
    script = "".join(f"({each.format(once.format(address), address)}) &\n" for address in addresses)
    return tunnels.run(host, f"{script}wait", 120).split()


def reaches(tunnels: Tunnels, host: str, address: str) -> bool:
    return silent(tunnels, host, [address]) == []


def test_every_node_reaches_every_other(meshed: Tunnels) -> None:
    addresses = [address for node in meshed.mesh.nodes.values() for address in node.addresses]
    assert {host: each for host in meshed.hosts if (each := silent(meshed, host, addresses))} == {}


def test_a_second_run_changes_nothing(meshed: Tunnels) -> None:
    answers = meshed.call(meshed.tables())
    assert {host: answer["diff"] for host, answer in answers.items() if answer["changed"]} == {}


def test_only_what_the_rules_name_comes_in(meshed: Tunnels) -> None:
    listening = meshed.start("nas", "timeout 10 python3 -m http.server 4000")
    time.sleep(2)
    ask = "timeout 3 bash -c 'exec 3<>/dev/tcp/{}/4000' 2>/dev/null && echo open || echo shut"
    assert meshed.run("nas", ask.format("10.77.0.4")).strip() == "open"
    assert meshed.run("mini", ask.format("10.77.0.4")).strip() == "shut"
    listening.communicate()


def test_rules_that_somebody_flushes_with_those_of_the_host_come_back(meshed: Tunnels) -> None:
    """Whatever is done to the host's own firewall; at the end it is as off as it was."""
    table = "nft --stateless list table inet wonder_mesh_wm0"
    before = meshed.run("nas", table)
    for verb in ("start", "reload", "restart", "stop"):
        back = f"for i in $(seq 50); do {table} >/dev/null 2>&1 && break; sleep 0.1; done"
        assert (verb, meshed.run("nas", f"systemctl {verb} nftables; {back}; {table}")) == (verb, before)
    assert not meshed.call({"nas": meshed.tables()["nas"]})["nas"]["changed"]


def test_the_units_are_exposed_as_little_as_the_others(meshed: Tunnels) -> None:
    for unit, most in EXPOSURE.items():
        said = meshed.run("hub-1", f"systemd-analyze security --no-pager {unit}")
        found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", said)
        assert found is not None
        assert float(found[1]) <= most


def test_secrets_are_in_no_readable_file_and_in_no_journal(meshed: Tunnels) -> None:
    place = "/etc/wonder-mesh/wireguard"
    key = meshed.run("nas", f"cat {place}/wm0.key").strip()
    shared = json.loads(meshed.run("nas", f"cat {place}/wm0.preshared.json"))
    journal = meshed.run("nas", "journalctl --no-pager; cat /proc/*/cmdline | tr '\\0' ' '")
    assert len(key) == len(shared["hub-1"]) == 44
    assert [secret for secret in (key, *shared.values()) if secret in journal] == []
    assert meshed.run("nas", f"find {place} /run/wireguard* -perm /077 -type f") == ""


def test_a_peer_that_is_added_costs_a_stream_nothing(meshed: Tunnels) -> None:
    before = counters(meshed, "mini")
    echo = meshed.start("nas", f"timeout 40 {python(ECHO)}")
    time.sleep(1)
    stream = meshed.start("mini", python(STREAM, "12"))
    time.sleep(2)
    tables = {host: each for host, each in meshed.tables().items() if host in ("mini", "hub-1")}
    for each in tables.values():
        row = {"name": "new", "public_key": NEW, "endpoint": None, "allowed_ips": ["10.77.9.9/32"]}
        row |= {"keepalive": 0, "preshared": False}
        each["table"] = {**each["table"], "peers": [*each["table"]["peers"], row]}
    answers = meshed.call(tables)
    sent, back = map(int, stream.communicate(timeout=60)[0].split())
    echo.communicate()
    after = counters(meshed, "mini")
    meshed.call({host: meshed.tables()[host] for host in tables})
    done = {host: (answer["changed"], answer["restarted"]) for host, answer in answers.items()}
    assert done == dict.fromkeys(tables, (True, False))
    assert sent > 1000
    assert back == sent
    assert begun_anew(before, after) == []


@pytest.fixture
def shelf(meshed: Tunnels) -> Iterator[str]:
    """A machine in the network of a home that knows nothing of the mesh, with two services; its address."""
    inside = "ip netns exec shelf"
    servers = [meshed.start("nas", f"{SHELF}exec timeout 90 {inside} python3 -m http.server 4001")]
    time.sleep(2)
    servers.append(meshed.start("nas", f"exec timeout 90 {inside} python3 -m http.server 4002"))
    time.sleep(2)
    yield "192.168.77.2"
    meshed.run("nas", "ip netns pids shelf | xargs --no-run-if-empty kill; ip netns delete shelf")
    for each in servers:
        each.communicate()


def test_a_network_at_home_is_reached_by_all_at_the_ports_that_rules_name(meshed: Tunnels, shelf: str) -> None:
    ask = f"for port in 4001 4002; do timeout 5 bash -c 'exec 3<>/dev/tcp/{shelf}/'$port 2>/dev/null; echo $?; done"
    meshed.describe(nas={"routes": (shelf.rpartition(".")[0] + ".0/24",)})
    wanted = meshed.tables()
    forward = [{"from": list(POOLS), "ports": ["tcp:4001"]}]
    wanted["nas"]["rules"] = {**wanted["nas"]["rules"], "forward": forward}
    try:
        assert not any(answer["failed"] for answer in meshed.call(wanted).values())
        assert {host: meshed.run(host, ask).split() for host in ("mini", "hub-1")} == {
            host: ["0", "124"] for host in ("mini", "hub-1")
        }
    finally:
        meshed.describe()
        meshed.call(meshed.tables())
    assert meshed.run("mini", ask).split() != ["0", "124"]


def test_when_a_hub_is_silent_the_next_one_carries_and_that_is_no_drift(meshed: Tunnels) -> None:
    meshed.run("hub-1", "systemctl stop wireguard-wm0")
    began = time.monotonic()
    assert reaches(meshed, "mini", "10.77.0.4")
    took = time.monotonic() - began
    answers = meshed.call({host: each for host, each in meshed.tables().items() if host not in HUBS})
    meshed.run("hub-1", "systemctl start wireguard-wm0")
    assert {host: answer["changed"] for host, answer in answers.items()} == {"mini": False, "nas": False}
    assert took <= 30


def test_a_way_to_a_hub_that_is_broken_on_one_side_only_is_gone_round(meshed: Tunnels) -> None:
    block = "table inet broken {{ chain output {{ type filter hook {} priority -300; ip {} {} drop\n }}\n}}"
    hub = meshed.run("hub-1", "ip -brief -4 address show dev eth0").split()[2].partition("/")[0]
    rules = (
        block.format("output", "daddr", hub) + "\n" + block.format("input", "saddr", hub).replace("output", "input", 1)
    )
    for host in ("mini", "nas"):  # until all is as if no hub had ever been silent
        meshed.run(host, "until ! grep -q hub- /run/wireguard-wm0/hubs.json; do sleep 0.5; done", 90)
    assert reaches(meshed, "mini", "10.77.0.4")
    meshed.run("mini", f"nft -f - <<'THE_END'\n{rules}\nTHE_END")
    time.sleep(1)
    try:
        assert reaches(meshed, "mini", "10.77.0.4")
        assert reaches(meshed, "nas", "10.77.0.3")
    finally:
        meshed.run("mini", "nft delete table inet broken")


def test_a_reboot_brings_the_interface_back(meshed: Tunnels) -> None:
    boot = meshed.run("mini", "cat /proc/sys/kernel/random/boot_id; stat -c %Y /proc/1").split()
    meshed.start("mini", "systemctl reboot").communicate(timeout=60)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        time.sleep(1)
        said = meshed.run("mini", "cat /proc/sys/kernel/random/boot_id; stat -c %Y /proc/1").split()
        if said and said != boot:
            break
    assert reaches(meshed, "mini", "10.77.0.4")
    answers = meshed.call({"mini": meshed.tables()["mini"]})
    assert (answers["mini"]["changed"], answers["mini"]["diff"]) == (False, [])


def test_nothing_is_left_behind(meshed: Tunnels) -> None:
    gone = {host: {"state": "absent", "remove_data": True} for host in meshed.hosts}
    assert all(answer["changed"] for answer in meshed.call(gone).values())
    left = {host: set(traces(meshed, host)) ^ set(meshed.before[host]) for host in meshed.hosts}
    assert {host: lines for host, lines in left.items() if lines} == {}
