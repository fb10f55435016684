"""Single rules, and what becomes of a packet that meets one: on paper, and in a kernel
(`tests/kernel/test_three_ways_rows.py`).
"""

NODE_IP = "10.10.11.20"
FILTER = "type filter hook input priority filter; policy accept;"
SETS = """
	set clients {
		type ipv4_addr
		size 65535
		flags dynamic,timeout
	}
	set nets {
		type ipv4_addr
		flags interval
		elements = { 192.0.2.0/24, 198.51.100.1-198.51.100.9 }
	}
	map ports {
		type inet_service : verdict
		elements = { 80 comment "town/web: http" : drop, 81 : goto other, 82 : accept }
	}
"""

NFT = [
    ("ct mark 0x00000000 drop", "DROP"),
    ("ct mark 0x00000001 drop", "ACCEPT"),
    ("ct mark != 0x00000001 drop", "DROP"),
    ("ct mark set 0x00000011 ct mark & 0x000000f0 == 0x00000010 drop", "DROP"),
    ("ct mark set 0x00000011 ct mark & 0x000000f0 != 0x00000010 drop", "ACCEPT"),
    ("ct mark set 0x00000005 ct mark vmap { 0x00000005 : drop }", "DROP"),
    (
        "ct mark set ct mark | 0x00000006 ct mark set ct mark & 0x00000002 ct mark 0x00000002 drop",
        "DROP",
    ),
    (
        "meta mark set 0x00000003 ct mark set meta mark & 0x00000002 meta mark set ct mark"
        " meta mark 0x00000002 drop",
        "DROP",
    ),
    ("tcp flags syn drop", "DROP"),
    ("tcp flags fin,syn drop", "DROP"),
    ("tcp flags ack drop", "ACCEPT"),
    ("tcp flags ! ack drop", "DROP"),
    ("tcp flags != syn drop", "ACCEPT"),
    ("tcp flags == fin drop", "ACCEPT"),
    ("tcp flags syn / fin,syn,rst,ack drop", "DROP"),
    ("tcp flags & (fin | syn | rst | ack) == syn drop", "DROP"),
    ("tcp flags & (syn | ack) == syn | ack drop", "ACCEPT"),
    ("tcp flags & (syn | ack) != syn | ack drop", "DROP"),
    ("add @clients { ip saddr limit rate over 10/minute } drop", "ACCEPT"),
    ("add @clients { ip saddr limit rate 10/minute } drop", "DROP"),
    ("tcp option maxseg size set 1400 meta priority set 1:2 drop", "DROP"),
    ("tcp dport { 80, 443 } drop", "DROP"),
    ("tcp dport 1-79 drop", "ACCEPT"),
    ("udp dport 80 drop", "ACCEPT"),
    ("udp dport != 80 drop", "ACCEPT"),
    ("th dport 80 drop", "DROP"),
    ("ip saddr != 192.0.2.0/24 drop", "ACCEPT"),
    ("ip saddr { 10.0.0.0/8, 192.0.2.0/25 } drop", "DROP"),
    ("ip saddr 192.0.2.0-192.0.2.9 drop", "DROP"),
    ("ip saddr @nets drop", "DROP"),
    ("ip daddr @nets drop", "ACCEPT"),
    ("ip6 saddr != fd00::/8 drop", "ACCEPT"),
    ('iifname "eth*" drop', "DROP"),
    ('iifname != "eth0" drop', "ACCEPT"),
    ('iif "lo" accept', "ACCEPT"),
    ("ct state established,related drop", "ACCEPT"),
    ("ct state { new, untracked } drop", "DROP"),
    ("meta l4proto 17 drop", "ACCEPT"),
    ("meta l4proto tcp counter packets 9 bytes 99 drop", "DROP"),
    ("meta nfproto ipv6 drop", "ACCEPT"),
    ("fib saddr type unicast drop", "DROP"),
    ("fib daddr type local ip daddr != 127.0.0.1 drop", "DROP"),
    ("meta mark & 0x00004000 != 0x00000000 drop", "ACCEPT"),
    ("meta mark set meta mark | 0x00004000 meta mark & 0x4000 == 0x4000 drop", "DROP"),
    ("meta mark set 3 meta mark set meta mark ^ 0x1 meta mark 2 drop", "DROP"),
    ("ip saddr . tcp dport { 192.0.2.0/24 . 80-90 } drop", "DROP"),
    ("ip saddr . meta l4proto . th dport vmap { 192.0.2.1 . tcp . 80 : drop }", "DROP"),
    ("tcp dport vmap @ports", "DROP"),
    ('log prefix "{ a, drop" drop comment "accept"', "DROP"),
    ("reject with icmp port-unreachable", "REJECT"),
    ('comment "drop"', "ACCEPT"),
    ("ip saddr @clients drop", "ACCEPT"),
]
"""Rules of nftables, and the verdict on a SYN from 192.0.2.1 by `eth0` to the node's port 80."""

IPTABLES = [
    ("-p tcp -m multiport --dports 80,443 -j DROP", "DROP"),
    ("-p tcp -m tcp --dport 1:79 -j DROP", "ACCEPT"),
    ("! -s 192.0.2.0/24 -j DROP", "ACCEPT"),
    ("-i eth+ -j DROP", "DROP"),
    ("-m state --state ESTABLISHED -j DROP", "ACCEPT"),
    ("-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -j DROP", "DROP"),
    ("-p 17 -j DROP", "ACCEPT"),
    ("-m addrtype --src-type UNICAST -j DROP", "DROP"),
    ("-m mark --mark 0x1/0x1 -j DROP", "ACCEPT"),
    ('-m comment --comment "--strange -j ACCEPT" -j DROP', "DROP"),
]
"""The same of iptables."""

SOURCE, HERE = {4: "192.0.2.1", 6: "2001:db8::1"}, {4: "10.10.0.1", 6: "fd00::a"}
DNAT, NFT_DNAT = "-A PREROUTING -p tcp -j DNAT --to-destination", "prerouting: meta l4proto tcp"

ENDS = [
    (f"{DNAT} 10.0.0.1:81", f"{NFT_DNAT} dnat to 10.0.0.1:81", 4, ("10.0.0.1", 81)),
    (f"{DNAT} 10.0.0.1", f"{NFT_DNAT} dnat to 10.0.0.1", 4, ("10.0.0.1", 80)),
    (f"{DNAT} :81", f"{NFT_DNAT} dnat to :81", 4, (HERE[4], 81)),
    (f"{DNAT} [fd00::1]:81", f"{NFT_DNAT} dnat to [fd00::1]:81", 6, ("fd00::1", 81)),
    (f"{DNAT} fd00::1", f"{NFT_DNAT} dnat to fd00::1", 6, ("fd00::1", 80)),
    (f"{DNAT} [fd00::1]", f"{NFT_DNAT} dnat to [fd00::1]", 6, ("fd00::1", 80)),
    (
        "-A PREROUTING -p tcp -j REDIRECT --to-ports 81",
        f"{NFT_DNAT} redirect to :81",
        6,
        (HERE[6], 81),
    ),
    ("-A PREROUTING -p tcp -j REDIRECT", f"{NFT_DNAT} redirect", 4, (HERE[4], 80)),
]
"""A rule of either mode, and where it sends what is for the node's port 80."""

SOURCES = [
    ("10.0.0.1", "snat to 10.0.0.1", 4, "10.0.0.1"),
    ("10.0.0.1:1024-65535", "snat to 10.0.0.1:1024-65535", 4, "10.0.0.1"),
    ("[fd00::1]:1024-65535", "snat to [fd00::1]:1024-65535", 6, "fd00::1"),
    (":1024-65535", "snat to :1024-65535", 6, SOURCE[6]),
]
"""The same, and as whom it goes on."""
