# SPDX-License-Identifier: MIT
"""Values to put into an inventory: what could stand there and what never should, by variable and for any."""

from __future__ import annotations

import datetime
import typing as t

INJECTED = "x\nExecStartPre=/usr/bin/touch /run/injected"
# For any variable whatever: what YAML, Jinja, units, JSON, shells, DNS or a terminal could take for something else.
ANYTHING: tuple[t.Any, ...] = (
    None, "", " ", "\t", True, False, 0, 1, -1, 22, 65536, 10**30, -(10**30), 1.5, float("inf"), float("nan"),
    [], {}, [None], [[]], [{}], [0], {"a": {"b": []}}, {"": ""}, {1: 2}, "no", "yes", "null", "~", "1", "-1", "1e3",
    "0x1F", "1_000", "07733", "8000 ", " 8000", "8000\n", "٨٠٠٠", "８０００", "x" * 300, "x" * 70000, "ü",  # noqa: RUF001
    "пример.рф",
    "xn--e1afmkfd.wm.test", "\u202etxt.exe", "\u212aelvin", "a\u0301", "\U0001f600", "\x00", "\x1b[2J", "\x7f", "\x85",
    "a\u2028b", INJECTED, "x\n[Service]\nUser=root", "a\r\nHost: evil", "x\npolicy:\n  mode: file", '"', "'", "\\",
    "`id`",
    "$(id)", "${HOME}", "; drop table", "%h", "%n%i", "%%", "{env.HOME}", "{http.request.host}", "{file./etc/shadow}",
    "{{ 7 * 7 }}", "{{ nope }}", "{{ 1 / 0 }}", "{{", "}}", "{% if %}", "{#", "{{ lookup('env', 'HOME') }}",
    "{{ ansible_facts['mesh'].domain }}", "{{ [1, 2] }}", "{{ none }}", "{{ true }}", "../../etc/passwd", "/", "//",
    "/etc",
    "a b", "a,b", "a;b", "#a", "a: b", "- a", "-x", "--flag=1", "&a", "*a", "!x", "|", ">", "@", "hello.wm.test.",
    ".wm.test", "a..b", "*.wm.test", "wm.test", "-a.wm.test", "a_b.wm.test", "1.2.3.4",
    "256.1.1.1", "127.1", "0.0.0.0",  # noqa: S104
    "::1", "[::1]", "fe80::1%eth0", "::ffff:1.2.3.4", "10.0.0.0/8", "10.0.0.1/8", "0.0.0.0/0", "fd00::/8", "FD00::/8",
    "https://wm.test", "http://wm.test", "tag:node", "tag:nope", "autogroup:internet", "all", "localhost",
    datetime.date(2026, 11, 23), b"bytes", "mesh.wm.test", "vps", "box-1", "nobody@", "laptop",
)  # fmt: skip

ADMIN = {"admin": {"listen": "unix//run/caddy/admin.sock"}}
SERVICE = {"name": "spare", "host": "spare.wm.test", "port": 8001}
# What looks right for a variable, and mostly is: half of these are to be taken.
PLAUSIBLE: dict[str, tuple[t.Any, ...]] = {
    "mesh_domain": ("net.wm.test", "MESH.wm.test", "a.b.c.wm.test", "wm.test", "vps.wm.test", "mesh.wm.test"),
    "mesh_backend": ("headscale", "wireguard", "zerotier", "Headscale"),
    "mesh_probe_port": (7734, "7735", 443, 80, 8000, 8080, 9090, 41641, 1055, 65535, 1, 53),
    "mesh_public_address": ("203.0.113.10", "vps.wm.test", "box.wm.test", "2001:db8::1", "VPS.wm.test"),
    "mesh_home": ("flat", "shed", 7, "a b", "Über", "flat "),
    "mesh_nat": ("easy", "hard", "auto", "cgnat", "full-cone", "udp-blocked", "public", "Easy"),
    "mesh_services": ([], [SERVICE], [{**SERVICE, "port": "8001"}], [SERVICE, SERVICE], SERVICE),
    "mesh_grants": (
        [], [{"from": ["box-1"], "to": ["vps"], "ports": ["tcp:443"]}],
        [{"from": ["alice@"], "to": ["tag:node"], "ports": ["udp:53", "tcp:9000-9010"]}],
        [{"from": ["tag:node"], "to": ["tag:node"], "ports": ["tcp:*"]}],
        [{"from": ["box-1"], "to": ["vps"], "ports": ["tcp:0"]}], [{"from": [], "to": ["vps"], "ports": ["tcp:1"]}],
        [{"from": ["nobody"], "to": ["vps"], "ports": ["tcp:1"]}], [{"from": ["box-1"], "to": ["vps"]}],
    ),
    "mesh_groups": ({}, {"family": ["alice@"]}, {"family": []}, {"A b": ["alice@"]}, {"family": ["box-1"]}, ["alice@"]),
    "mesh_admins": (["box-1"], ["vps", "box-1"], ["alice@"], ["alice@example.com", "vps"], [], ["box-9"], "box-1"),
    "mesh_result_file": ("{tmp}/other.json", "{tmp}", "{tmp}/no/such/place.json", "~/../nowhere/x"),
    "mesh_verify_paths": ("warn", "strict", "Strict"),
    "mesh_dns_check": ("strict", "warn", "off"),
    "mesh_remove_data": (True, False, "true", "maybe", 1),
    "tailscaled_tun": (True, False, "true", 0),
    "tailscaled_port": (41642, "41643", 0, 443, 3478, 65535, 65536, 41641.0),
    "tailscaled_proxy_port": (1056, 1055, 80, 7733, 8000, "1080", 65536),
    "tailscaled_advertise_routes": (
        ["192.168.77.0/24"], ["fd00:7::/64", "10.7.0.0/16"], ["10.7.0.1/16"], ["0.0.0.0/0"], "10.7.0.0/16",
    ),
    "tailscaled_hostname": ("vps", "box-1", "other"),
    "tailscaled_tags": (["tag:node"], ["tag:node", "tag:node-box-1"], ["tag:admin"]),
    "tailscaled_login_server": ("https://vps.wm.test", "https://other.wm.test", "http://vps.wm.test"),
    "tailscaled_coordinator": ("vps", "box-1", "nobody"),
    "headscale_server_url": ("https://vps.wm.test", "https://vps.wm.test/", "http://vps.wm.test:8080"),
    "headscale_base_domain": ("mesh.wm.test", "vps.wm.test"),
    "headscale_prefix_v4": (
        "100.64.0.0/10", "100.64.0.0/24", "100.64.0.0/32", "100.64.0.0", "100.64.0.0/255.192.0.0", "100.64.0.1/10",
    ),
    "headscale_prefix_v6": ("fd7a:115c:a1e0::/48", "FD7A:115C:A1E0::/48", "fd7a:115c:a1e0::/64", "fd7a::1/64"),
    "headscale_derp": (True, "yes", "off"),
    "headscale_derp_ipv4": ("203.0.113.10", "", "203.0.113.010", "::1"),
    "derper_hostname": ("203.0.113.10", "relay.wm.test", "no name", "2001:db8::1"),
    "derper_port": (443, 8443, "8444", 22, 7733, 0),
    "derper_certificate": ({}, {"certificate": "x"}, [], {"certificate": "{tmp}/none.pem", "key": "{tmp}/none.key"}),
    "derper_accept_limit": (1, 0, -1, "fast"),
    "derper_state": ("started", "stopped"),
    "tailscaled_relay_port": (0, 40000, 41641, 70000),
    "tailscaled_ssh": (True, False, "yes"),
    "headscale_log_level": ("debug", "info", "warn", "error", "trace"),
    "headscale_policy": ({}, {"acls": 5}, {"grants": [{"src": ["tag:gone"], "dst": ["*"], "ip": ["*"]}]}),
    "headscale_oidc": (
        {}, {"issuer": "https://auth.wm.test", "client_id": "x", "allowed_users": ["a@wm.test"]},
        {"issuer": "x: y"}, [],
    ),
    "headscale_oidc_secret": ("", "secret", "a: b", 7),
    "headscale_oidc_secret_file": ("", "{tmp}/none", 7),
    "headscale_nodes": ([], [{}], [{"name": "vps"}], [{"name": "x y"}], [{"name": "vps", "tags": "tag:node"}]),
    "headscale_removed_nodes": ([], ["old-laptop"], ["box-1"], ["old laptop"], "old"),
    "caddy_acme_email": ("", "admin@example.com", "admin", "a@b\nc: d"),
    "caddy_acme_ca": ("", "https://ca.wm.test/dir", "http://ca.wm.test/dir", "https://u:p@ca.wm.test/"),
    "caddy_users": ({}, {"alice": "clear"}, {"alice": 5}, {"a b": "x"}, ["alice"], "alice"),
    "caddy_configuration": ({}, {**ADMIN, "apps": {"http": {"servers": {"x": {"oops": 1}}}}}, {**ADMIN, "apps": 5}, []),
    "caddy_version": ("", "2.11.7", "v2.11.7", "2.11", 2.11),
    "headscale_version": ("", "0.29.3", "0.28.0"),
    "tailscaled_version": ("", "1.102.5", "latest"),
    "probe_port": (7733, 7734, "7733"),
    "probe_addresses": ([], ["1.2.3.4:80"], ["::1", "::1"], "100.64.0.1"),
    "verify_paths": ("warn", "strict", "off"),
    "verify_relay_after": (5, 20, "9", 0, 1000, -1),
    "verify_result_file": ("{tmp}/third.json", "{tmp}/none/x.json", 7),
    "caddy_state": ("started", "stopped", "absent", "running"),
    "headscale_state": ("started", "stopped", "gone"),
    "tailscaled_state": ("started", "absent"),
    "probe_state": ("started", "stopped"),
}  # fmt: skip
FIELDS: dict[str, tuple[t.Any, ...]] = {
    "name": ("hello", "shop", "Hello", "a" * 63, "a" * 64, "a/b"),
    "port": (8001, 8002, "8001", 443, 80, 8080, 22, 1055, 7733, 0, 70000, "8001/tcp", 8001.0),
    "host": ("hello.wm.test", "shop.wm.test", "spare.wm.test", "SPARE.wm.test", "vps.wm.test", "x.mesh.wm.test"),
    "path": ("/", "/blog", "/blog/", "/Blog", "/a/../b", "/%2e", "blog", "//x", "/a b", "/" + "a" * 300),
    "health": ("/", "/healthz", "/x?y=1&z=%20", "/%zz", "//evil.wm.test/", "/a#b", "up"),
    "protocol": ("http", "HTTP", "tcp", "udp", "tls"),
    "public_port": (8001, 5432, 443, 22, "5432-5433", "9-8", 41641, [1]),
    "proxy_protocol": (True, "v2"),
    "allow": (["192.0.2.0/24"], ["2001:db8::7", "0.0.0.0/0"], ["192.0.2.1/24"], ["home"], [], "192.0.2.0/24", [["x"]]),
    "basic_auth": (["alice"], {"alice": "clear"}, ["a:b"], "alice", [7]),
    "forward_auth": ({}, {"url": "ftp://x/"}, {"url": "http://x.mesh.wm.test/x"}, {"url": "http://[x/"}, 1),
    "client_certificates": ("{tmp}/none.pem", "", 7, ["x"]),
    "max_body": ("1MB", "unlimited", "1 GiB", 0, "-1MB", "1TB"),
    "timeout": ("30s", "unlimited", "1h", 30, "1d", "s"),
    "weight": (1,),
}  # fmt: skip
ITEMS: dict[str, tuple[t.Any, ...]] = {
    "from": (["vps"], ["tag:gateway"], ["bob@"], ["tag:relay"], "vps"),
    "to": (["box-1"], ["tag:node"], ["bob@"], ["*"]),
    "ports": (["tcp:8001"], ["udp:1-65535"], ["tcp:9-1"], ["tcp:1-2-3"], [22], ["icmp:*"], ["tcp:٢٢"]),
    "port": (["tcp:1"],),
}
CONNECTION: dict[str, tuple[t.Any, ...]] = {
    "ansible_host": ("nowhere", "box-1", "vps", "203.0.113.99", "-oProxyCommand=touch /run/injected", "a b", 5),
    "ansible_port": (2222, "22", "ssh", 0),
    "ansible_user": ("nobody", "no such user", ""),
    "ansible_connection": ("nothing", "local\n"),
    "ansible_python_interpreter": ("/usr/bin/nothing", "/bin/false"),
    "ansible_ssh_private_key_file": ("/nowhere/key",),
    "ansible_become_method": ("nothing",),
    "ansible_become_user": ("nobody",),
}
HOSTNAMES: tuple[t.Any, ...] = (
    "box-9", "BOX-9", "box_9", "box.9", "9", "vps-1", "a" * 63, "a" * 64, "-box", "box-", "bo x", "bo\nx", "böx",
    "bo\u212a",
    "localhost", "controller", "all", "::1", "x\x1b[2J", "{{ 7 * 7 }}", "box[1:3]", "tag:node", "coordinator",
)  # fmt: skip
