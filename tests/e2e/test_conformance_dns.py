"""Names, as Kubernetes' own end-to-end tests ask for them: with dig and getent, from pods."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest
from e2e.conformance import Cluster, Space, cluster
from e2e.labs import eventually

from netlab.objects.meta import Object

pytestmark = pytest.mark.root

DOMAIN = "svc.cluster.local"
HTTP = {"name": "http", "port": 80, "protocol": "TCP"}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("dns")) as it:
        yield it


@pytest.fixture(scope="module")
def space(lab: Cluster) -> Space:
    """A namespace with a querier that has a hostname and a subdomain, in two Services."""
    space = lab.space("dns")
    labels = {"app": "headless", "dns-test": "true"}
    space.service("headless", [HTTP], clusterIP="None")
    space.service("regular", [HTTP], selector=labels)
    space.pod("querier", labels=labels, hostname="dns-querier", subdomain="headless")
    eventually(lambda: space.by_slices("headless") and space.by_slices("regular"))
    return space


DIG = """
dig_() {
  for try in $(seq 50); do test -n "$(dig "$@" +noall +answer +search)" && return; sleep 0.2; done
  echo "no answer: $*"; exit 1
}
hosts_() { getent hosts "$1" || { echo "no host: $1"; exit 1; }; }
"""


def resolves(space: Space, *names: str, kind: str = "A", pod: str = "querier") -> None:
    """Each name is answered over UDP and over TCP."""
    asked = [f"dig_ +{how} {name} {kind}; " for name in names for how in ("notcp", "tcp")]
    space.says(pod, DIG + "".join(asked))


def short(space: Space, query: str, pod: str = "querier") -> list[str]:
    """What dig answers, a record a line."""
    return space.says(pod, f"dig +short {query}").split()


def address(space: Space, pod: str = "querier") -> str:
    return str(space.get("Pod", pod)["status"]["podIP"])


def test_the_cluster(space: Space) -> None:
    resolves(space, f"kubernetes.default.{DOMAIN}", "kubernetes.default", "kubernetes.default.svc")
    own = f"{address(space).replace('.', '-')}.{space.name}.pod.cluster.local"
    resolves(space, own)
    assert short(space, own) == [address(space)]


def test_the_hosts_file(space: Space) -> None:
    full = f"dns-querier.headless.{space.name}.{DOMAIN}"
    said = space.says("querier", f"{DIG} hosts_ dns-querier; hosts_ {full}; hostname")
    assert said.split()[-1] == "dns-querier"
    assert said.count(address(space)) == 2


def test_services(space: Space) -> None:
    for service in ("headless", "regular"):
        whole = f"{service}.{space.name}.{DOMAIN}"
        names = (service, f"{service}.{space.name}", f"{service}.{space.name}.svc", whole)
        resolves(space, *names)
        resolves(space, f"_http._tcp.{service}.{space.name}.svc", kind="SRV")
        resolves(space, f"_http._tcp.{whole}", kind="SRV")
    cluster_ip = space.get("Service", "regular")["spec"]["clusterIP"]
    assert short(space, f"-x {cluster_ip}") == [f"regular.{space.name}.{DOMAIN}."]


def test_pods_with_a_hostname_and_a_subdomain(space: Space) -> None:
    full = f"dns-querier.headless.{space.name}.{DOMAIN}"
    resolves(space, full)
    assert short(space, full) == [address(space)]
    assert short(space, f"-x {address(space)}") == [f"{full}."]


def test_an_external_name_changes(space: Space) -> None:
    name = f"outside.{space.name}.{DOMAIN}"
    outside = {"type": "ExternalName", "externalName": "foo.example.com"}
    space.service("outside", [], selector=None, **outside)
    eventually(lambda: short(space, f"{name} CNAME") == ["foo.example.com."])
    space.change("Service", "outside", externalName="bar.example.com")
    eventually(lambda: short(space, f"{name} CNAME") == ["bar.example.com."])
    ports = [{"port": 80, "protocol": "TCP", "targetPort": 80}]
    svc = space.change("Service", "outside", type="ClusterIP", externalName="", ports=ports)
    eventually(lambda: short(space, f"{name} A") == [svc["spec"]["clusterIP"]])


def test_a_pods_own_servers_and_search_list(space: Space) -> None:
    config = {"nameservers": ["1.1.1.1"], "searches": ["resolv.conf.local"]}
    space.pod("alone", dnsPolicy="None", dnsConfig=config)
    said = space.says("alone", "cat /etc/resolv.conf")
    assert said.split("\n")[:2] == ["search resolv.conf.local", "nameserver 1.1.1.1"]


COREFILE = """
.:53 {
    hosts {
       1.1.1.1 notexistname.resolv.conf.local
       fallthrough
    }
    log
    errors
    health
    ready
    reload
}
"""


def dnsmasq(space: Space) -> None:
    command = ["/usr/sbin/dnsmasq", "-u", "root", "-k", "--log-facility", "-", "-q", "-R"]
    container = {
        "image": "registry.k8s.io/e2e-test-images/jessie-dnsutils:1.7",
        "command": [*command, "-A/notexistname.resolv.conf.local/1.1.1.1"],
        "args": [],
    }
    space.pod("dnsmasq", dnsPolicy="Default", container=container)


def coredns(space: Space) -> None:
    metadata, data = {"name": "corefile"}, {"Corefile": COREFILE}
    space.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})
    container = {
        "command": ["/coredns", "-conf", "/etc/coredns/Corefile"],
        "args": [],
        "volumeMounts": [{"name": "c", "mountPath": "/etc/coredns", "readOnly": True}],
        "readinessProbe": {"httpGet": {"port": 8181, "path": "/ready"}, "periodSeconds": 1},
    }
    volumes = [{"name": "c", "configMap": metadata}]
    space.pod("coredns", dnsPolicy="Default", container=container, volumes=volumes)


@pytest.mark.parametrize("server", [dnsmasq, coredns])
def test_a_server_of_the_pods_own_choice(space: Space, server: Callable[[Space], None]) -> None:
    """It is asked, and the search list and `ndots` say what for."""
    server(space)
    config = {
        "nameservers": [address(space, server.__name__)],
        "searches": ["resolv.conf.local"],
        "options": [{"name": "ndots", "value": "2"}],
    }
    client = f"client-of-{server.__name__}"
    space.pod(client, dnsPolicy="None", dnsConfig=config)
    options = [line for line in space.says(client, "cat /etc/resolv.conf").split("\n") if line]
    assert options[-1] == "options ndots:2"
    asked = "+search notexistname"
    eventually(lambda: short(space, asked, pod=client) == ["1.1.1.1"])


OUTER = """
.:53 {
    hosts {
        192.0.2.123 my.test
        2001:db8::29 my.test
        192.0.2.124 www.acme.test
        fallthrough
    }
}
"""


@pytest.fixture(scope="module")
def outer(space: Space) -> str:
    """The address of a name server in a pod, which knows what nobody else does."""
    metadata = {"name": "outer"}
    space.create(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"Corefile": OUTER}}
    )
    container = {
        "command": ["/coredns", "-conf", "/etc/coredns/Corefile"],
        "args": [],
        "volumeMounts": [{"name": "c", "mountPath": "/etc/coredns", "readOnly": True}],
    }
    volumes = [{"name": "c", "configMap": metadata}]
    space.pod("outer", dnsPolicy="Default", container=container, volumes=volumes)
    return address(space, "outer")


@pytest.fixture
def configured(lab: Cluster) -> Iterator[Callable[[str, dict[str, str]], None]]:
    """Sets data of a ConfigMap of kube-system; in the end it is again as it was, or is none."""
    before = dict[str, Object | None]()

    def found(name: str) -> Object | None:
        query = {"fieldSelector": f"metadata.name={name}"}
        return next(iter(lab.client.list("ConfigMap", "kube-system", query=query)), None)

    def configure(name: str, data: dict[str, str]) -> None:
        metadata = {"name": name, "namespace": "kube-system"}
        config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
        known = found(name)
        before.setdefault(name, known)
        (lab.client.update if known else lab.client.create)(config)

    yield configure
    for name, known in before.items():
        if known is None:
            lab.client.delete("ConfigMap", "kube-system", name)
        else:
            lab.client.update({**(found(name) or {}), "data": known["data"]})


KUBE_DNS, CORE_DNS = "kube-dns", "coredns"


def asking(form: str, server: str, *stubs: str) -> dict[str, str]:
    """The data that tells either to ask a server for all names, or for those of some zones."""
    if form == KUBE_DNS and stubs:
        return {"stubDomains": json.dumps({zone: [server] for zone in stubs})}
    if form == KUBE_DNS:
        return {"upstreamNameservers": json.dumps([server])}
    rest = "/etc/resolv.conf" if stubs else server
    zones = "".join(f"{zone}:53 {{\n  forward . {server}\n}}\n" for zone in stubs)
    kubernetes = "kubernetes cluster.local in-addr.arpa ip6.arpa {\n  pods insecure\n"
    kubernetes += "  fallthrough in-addr.arpa ip6.arpa\n  ttl 30\n}\n"
    return {"Corefile": f".:53 {{\nhealth\nready\n{kubernetes}forward . {rest}\n}}\n{zones}"}


@pytest.mark.parametrize("form", [KUBE_DNS, CORE_DNS])
def test_a_configmap_says_whom_to_ask(
    space: Space, outer: str, configured: Callable[[str, dict[str, str]], None], form: str
) -> None:
    """For addresses, names that ExternalNames lead to, and zones; the cluster's names stay."""
    alias = f"alias-{form}.{space.name}.{DOMAIN}"
    space.service(f"alias-{form}", [], selector=None, type="ExternalName", externalName="my.test")
    assert short(space, "-x 192.0.2.123") == []
    assert short(space, "-x 8.8.8.8") == short(space, "-x 2001:4860:4860::8888") == ["dns.google."]
    configured(form, asking(form, outer))
    eventually(lambda: short(space, "-x 192.0.2.123") == ["my.test."])
    assert short(space, "-x 2001:db8::29") == ["my.test."]
    assert short(space, "my.test") == short(space, "+tcp my.test") == ["192.0.2.123"]
    assert short(space, f"{alias} A") == ["my.test.", "192.0.2.123"]
    assert short(space, f"{alias} AAAA") == ["my.test.", "2001:db8::29"]
    own = space.get("Service", "regular")["spec"]["clusterIP"]
    assert short(space, f"regular.{space.name}.{DOMAIN}") == [own]
    configured(form, asking(form, outer, "acme.test"))
    eventually(lambda: short(space, "-x 192.0.2.123") == [])
    assert short(space, "www.acme.test") == ["192.0.2.124"]
    assert short(space, "example.com") == ["198.51.100.1"], "again of the internet"


def test_servers_that_everybody_knows_are_there(space: Space) -> None:
    """Upstream's test of a pod's way to the internet connects to port 53 of 8.8.8.8."""
    assert space.run("querier", "nc -vz -w 5 8.8.8.8 53").returncode == 0
    for server in ("8.8.8.8", "1.1.1.1", "198.51.100.1"):
        for over in ("+notcp", "+tcp"):
            assert short(space, f"@{server} {over} example.com") == ["198.51.100.1"], server


def test_names_of_ones_own_and_what_is_not_done(
    lab: Cluster, space: Space, configured: Callable[[str, dict[str, str]], None]
) -> None:
    file = ".:53 {\n%s\nhosts {\n10.99.0.1 my.office\nfallthrough\n}\nforward . /etc/resolv.conf\n}"
    configured(CORE_DNS, {"Corefile": file % "errors"})
    eventually(lambda: short(space, "my.office") == ["10.99.0.1"])
    assert short(space, "example.com") == ["198.51.100.1"]

    def told(words: str) -> bool:
        events = lab.client.list("Event", "kube-system")
        return any(event["message"].startswith(words) for event in events)

    configured(CORE_DNS, {"Corefile": file % "autopath @kubernetes"})
    eventually(lambda: told("Corefile:2: autopath is left out"))
    configured(CORE_DNS, {"Corefile": (file % "eror").replace("10.99.0.1", "10.99.0.2")})
    eventually(lambda: told("Corefile:2 - Error during parsing: Unknown directive 'eror'"))
    assert short(space, "my.office") == ["10.99.0.1"]
    configured(CORE_DNS, {"Corefile": ".:53 {\nforward . /etc/resolv.conf\n}"})
    eventually(lambda: short(space, "my.office") == [])


REWRITING = """
.:53 {
    rewrite name suffix .our.office .%s.svc.cluster.local answer auto
    kubernetes cluster.local in-addr.arpa ip6.arpa
    forward . /etc/resolv.conf
}
example.org {
    file /etc/coredns/db.example.org
}
"""
ZONE = "@ 60 SOA ns admin 1 1h 15m 4w 5m\nwww CNAME web\nweb A 192.0.2.80\n"


def test_names_are_rewritten_and_zones_served(
    space: Space, configured: Callable[[str, dict[str, str]], None]
) -> None:
    configured(CORE_DNS, {"Corefile": REWRITING % space.name, "db.example.org": ZONE})
    own = space.get("Service", "regular")["spec"]["clusterIP"]
    eventually(lambda: short(space, "regular.our.office") == [own])
    assert short(space, "+tcp www.example.org") == ["web.example.org.", "192.0.2.80"]
    assert short(space, f"regular.{space.name}.{DOMAIN}") == [own]
    assert short(space, "example.com") == ["198.51.100.1"]
    configured(CORE_DNS, {"Corefile": ".:53 {\nforward . /etc/resolv.conf\n}"})
    eventually(lambda: short(space, "regular.our.office") == [])


def test_a_long_search_list(space: Space) -> None:
    """More than six domains, in more than 256 characters."""
    searches = [f"{'x' * 40}.{number}" for number in range(16)]
    space.pod("long", dnsConfig={"searches": searches})
    found = space.says("long", "grep ^search /etc/resolv.conf").split()[1:]
    assert found == [f"{space.name}.{DOMAIN}", DOMAIN, "cluster.local", *searches]
    resolves(space, "kubernetes.default", pod="long")


LASTING = """
.:53 {
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        ttl 7
    }
    cache 3 {
        disable success cluster.local
    }
    health :8090
    ready
    prometheus :9153
    rewrite name asked.here my.test
    forward . %s
}
my.test {
    forward . 192.0.2.1
}
"""


def test_answers_last_as_the_corefile_says_and_pages_tell_of_them(
    lab: Cluster, space: Space, outer: str, configured: Callable[[str, dict[str, str]], None]
) -> None:
    own = f"kubernetes.default.{DOMAIN}"
    server = next(iter(lab.client.list("Pod", "kube-system")))["status"]["podIP"]
    assert lasts(space, own) == 30, "as kubeadm has it"
    assert page(space, f"{server}:8080/health") == "OK"
    assert page(space, f"{server}:8181/ready") == "OK"
    counted = page(space, f"kube-dns.kube-system.{DOMAIN}:9153/metrics")
    assert 'coredns_dns_requests_total{server="dns://:53",zone=".",view="",proto="udp"' in counted
    configured(CORE_DNS, {"Corefile": LASTING % outer})
    eventually(lambda: lasts(space, own) == 7)
    assert lasts(space, "www.acme.test") in (1, 2, 3), "3600 seconds, says hosts"
    assert short(space, "asked.here") == ["192.0.2.123"], "of the block that it was rewritten in"
    eventually(lambda: page(space, f"{server}:8090/health") == "OK")
    assert page(space, f"{server}:8080/health") == ""
    configured(CORE_DNS, {"Corefile": ".:53 {\nkubernetes cluster.local {\nttl 4000\n}\n}"})
    eventually(
        lambda: any(
            "ttl must be in range [0, 3600]: 4000" in event["message"]
            for event in lab.client.list("Event", "kube-system")
        )
    )
    assert lasts(space, own) == 7, "what CoreDNS would not begin with changes nothing"


def lasts(space: Space, name: str) -> int:
    """For how many seconds the first answer may be believed."""
    return int(space.says("querier", f"dig +noall +answer {name}").split()[1])


def page(space: Space, url: str) -> str:
    return space.says("querier", f"curl -s -m 2 {url}; true")
