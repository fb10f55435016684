import pytest

from netlab.objects import nameservers


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("192.0.2.53", ("192.0.2.53", 53)),
        ("192.0.2.53:5353", ("192.0.2.53", 5353)),
        ("2001:db8::53", ("2001:db8::53", 53)),
        ("[2001:db8::53]:5353", ("2001:db8::53", 5353)),
        ("[192.0.2.53", None),
        ("192.0.2.53:", None),
        ("192.0.2.53:65536", None),
        ("192.0.2.53#53", None),
        ("dns.example.com", None),
        ("machine", None),
        ("", None),
    ],
)
def test_how_a_server_is_written(text, server):
    assert nameservers.parsed(text) == server


def test_the_machines_servers_stand_where_its_word_is():
    text = (
        "# nameserver 9.9.9.9\nsearch x\nnameserver 192.0.2.1\nnameserver fe80::1%eth0\nnameserver"
    )
    listed = ["192.0.2.53:54", nameservers.MACHINE]
    assert nameservers.servers(listed, lambda: text) == [
        ("192.0.2.53", 54),
        ("192.0.2.1", 53),
        ("fe80::1%eth0", 53),
    ]


def test_the_machine_is_not_looked_at_unasked():
    assert nameservers.servers(["192.0.2.53"], lambda: 1 / 0) == [("192.0.2.53", 53)]
