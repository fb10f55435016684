"""What a pod finds under /etc, and where its commands run."""

from __future__ import annotations

import os
import time

import pytest

from netlab.agents.pod_files import Places, ResolverNames, pod_hosts, pod_resolv_conf
from netlab.agents.podrun import refuse_long_name
from netlab.agents.tokens import Tokens
from netlab.agents.volumes import Volumes
from netlab.errors import NetlabError
from netlab.kernel.userns import IdRange

NAMES = ResolverNames(("10.96.0.10",), "cluster.local", ("203.0.113.1", "203.0.113.2"))
CLUSTER = """\
nameserver 10.96.0.10
search n.svc.cluster.local svc.cluster.local cluster.local
options ndots:5
"""
NODE = "nameserver 203.0.113.1\nnameserver 203.0.113.2\n"


def lines(text):
    return sorted(text.splitlines())


@pytest.mark.parametrize(
    ("spec", "wanted"),
    [
        ({}, CLUSTER),
        ({"dnsPolicy": "ClusterFirst"}, CLUSTER),
        ({"dnsPolicy": "ClusterFirst", "hostNetwork": True}, NODE),
        ({"dnsPolicy": "ClusterFirstWithHostNet", "hostNetwork": True}, CLUSTER),
        ({"dnsPolicy": "Default"}, NODE),
        (
            {"dnsPolicy": "None", "dnsConfig": {"nameservers": ["192.0.2.1"], "searches": ["x"]}},
            "nameserver 192.0.2.1\nsearch x\n",
        ),
        (
            {"dnsConfig": {"options": [{"name": "ndots", "value": "1"}]}},
            CLUSTER.replace("ndots:5", "ndots:1"),
        ),
    ],
)
def test_who_is_asked_for_names(pod_run, spec, wanted):
    assert lines(pod_resolv_conf(pod_run(**spec), NAMES)) == lines(wanted)


def test_host_aliases_are_lines_of_their_own(pod_run):
    aliases = [
        {"ip": "192.0.2.1", "hostnames": ["a", "a.example"]},
        {"ip": "192.0.2.2"},
        {"ip": "192.0.2.3", "hostnames": ["b"]},
    ]
    assert "HostAliases" not in pod_hosts(pod_run())
    said = pod_hosts(pod_run(hostAliases=aliases)).partition("10.0.0.2\tp\n")[2]
    lines = ["# Entries added by HostAliases.", "192.0.2.1\ta\ta.example", "192.0.2.2"]
    assert said == "\n" + "\n".join([*lines, "192.0.2.3\tb"]) + "\n"


@pytest.mark.parametrize(
    ("spec", "said", "line"),
    [
        ({}, "p", "10.0.0.2\tp"),
        ({"hostname": "db-0"}, "db-0", "10.0.0.2\tdb-0"),
        ({"subdomain": "db"}, "p", "10.0.0.2\tp.db.n.svc.lab.test\tp"),
        (
            {"hostname": "db-0", "subdomain": "db"},
            "db-0",
            "10.0.0.2\tdb-0.db.n.svc.lab.test\tdb-0",
        ),
        (
            {"subdomain": "db", "setHostnameAsFQDN": True},
            "p.db.n.svc.lab.test",
            "10.0.0.2\tp.db.n.svc.lab.test\tp",
        ),
        ({"setHostnameAsFQDN": True}, "p", "10.0.0.2\tp"),
        (
            {"hostNetwork": True, "nodeName": "w1", "hostname": "x", "subdomain": "db"},
            "w1",
            "10.0.0.2\tw1",
        ),
    ],
)
def test_the_pod_knows_its_names(pod_run, spec, said, line):
    run = pod_run(**spec)
    run.cluster_domain = "lab.test"
    assert run.hostname == said
    assert line in pod_hosts(run).splitlines()
    first = "# Kubernetes-managed hosts file"
    first += " (host network)." if spec.get("hostNetwork") else "."
    assert pod_hosts(run).splitlines()[0] == first


def test_a_name_that_the_kernel_does_not_take_is_refused(pod_run):
    run = pod_run(hostname="h" * 60, subdomain="db", setHostnameAsFQDN=True)
    with pytest.raises(NetlabError, match=r"FQDN h+\.db\.n.* is too long \(64 characters is the"):
        refuse_long_name(run)
    refuse_long_name(pod_run(hostname="h" * 60, subdomain="db"))


async def test_a_place_has_the_pod_s_name_files_and_volumes(pod_run, tmp_path):
    volumes = Volumes(tmp_path, lambda *_: None, IdRange(os.getuid()))
    mount = {"name": "v", "mountPath": "/v"}
    run = pod_run(
        {"name": "c", "volumeMounts": [mount]},
        hostname="own",
        hostAliases=[{"ip": "192.0.2.1", "hostnames": ["a"]}],
        volumes=[{"name": "v", "emptyDir": {}}],
    )
    place = await Places(NAMES, volumes, Tokens(None, volumes, time.time)).place(run)
    assert (place.uid, place.hostname, place.netns) == ("u", "own", run.netns)
    assert [each.target for each in place.volumes["c"]] == ["/v"]
    written = {path.name: path.read_text() for path in run.directory.iterdir() if path.is_file()}
    assert any("10.0.0.2\town" in text and "192.0.2.1\ta" in text for text in written.values())
    assert CLUSTER.splitlines()[0] in "".join(written.values())


async def test_a_container_has_its_image_s_shell(pod_run, tmp_path):
    volumes = Volumes(tmp_path, lambda *_: None, IdRange(os.getuid()))
    run = pod_run({"name": "c", "image": "busybox"}, {"name": "d", "image": "debian"})
    place = await Places(NAMES, volumes, Tokens(None, volumes, time.time)).place(run)
    assert sorted(place.links["c"]) == ["/bin/ash", "/bin/sh"]
    assert (place.links["d"], place.links[""]) == ({}, place.links["c"])
