"""NodeLocal DNSCache: pods ask a cache on their own node, past connection tracking; and when it, or
its controller, is killed, names are found all the same."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from dnslib import RCODE
from e2e import manifests
from e2e.labs import KUBE_DNS, TOPOLOGIES, Machine, answering, eventually, machine

from netlab.kernel import paths

pytestmark = pytest.mark.root

LAB, CACHE = "node-local-dns", "169.254.25.10"
NODES = ("master001", "worker001", "worker002")
POD, NODE = f"{LAB}.default.debug", f"{LAB}.worker001"
RESOLVERS_PATIENCE = 5.0
"""Seconds that the C library waits for an answer before it asks the next server."""

WEB = "web.default.svc.cluster.local"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with machine(tmp_path_factory.mktemp("cached")) as here:
        here.netlab("up", TOPOLOGIES / "node-local-dns.yaml", timeout=120)
        yield here


def in_pod(here: Machine, *command: str) -> str:
    """What a command says in the pod, whose resolver reads its own resolv.conf."""
    return here.netlab("exec", "debug", "--", *command).stdout


def found(here: Machine, name: str = "web") -> str:
    """The address that the C library finds for a name there."""
    return in_pod(here, "getent", "hosts", name).split()[0]


def tracked(here: Machine, node: str = NODE, address: str = CACHE) -> list[str]:
    """The connections to the cache that a node tracks."""
    entries = here.run_in(node, "conntrack", "-L").stdout.splitlines()
    return [entry for entry in entries if f"={address} " in entry]


def rules(here: Machine, node: str = NODE) -> list[str]:
    saved = here.run_in(node, "iptables-save").stdout.splitlines()
    return [line for line in saved if "NodeLocal DNS Cache" in line]


def cache_pid(here: Machine, node: str = NODE) -> int:
    listening = here.run_in(node, "ss", "-Hlnup", f"src {CACHE}").stdout
    match = re.search(r"pid=(\d+)", listening)
    assert match, listening
    return int(match[1])


def controller(here: Machine) -> int:
    return int(paths.controller_pid(here.base / "run" / LAB).read_text())


def is_refused(here: Machine) -> bool:
    try:
        here.resolve(POD, WEB, server=CACHE)
    except ConnectionRefusedError:
        return True
    return False


def remove_caches(here: Machine) -> None:
    """Delete their DaemonSet, unless that is done, and wait until nothing is left of any."""
    here.netlab("delete", "daemonset", "-n", "kube-system", "nodelocaldns", "--ignore-not-found")
    pods = ("get", "pods", "-n", "kube-system", "-l", "k8s-app=nodelocaldns", "-o", "name")
    eventually(lambda: here.netlab(*pods).stdout.strip() == "", 20)
    for node in NODES:
        place = f"{LAB}.{node}"
        assert rules(here, place) == []
        assert "nodelocaldns" not in here.run_in(place, "ip", "link").stdout
        assert CACHE not in here.run_in(place, "ss", "-Hlntup").stdout


def test_a_pod_on_each_node_as_the_addon_has_it(here: Machine) -> None:
    """The control plane's node has one, too, and `kubectl` shows what the tutorial shows."""
    get = ("get", "-n", "kube-system", "-o", "json")
    pods = json.loads(here.netlab(*get, "pods", "-l", "k8s-app=nodelocaldns").stdout)["items"]
    assert sorted(pod["spec"]["nodeName"] for pod in pods) == sorted(NODES)
    assert all(pod["spec"]["hostNetwork"] for pod in pods)
    daemon_set = json.loads(here.netlab(*get, "daemonset", "nodelocaldns").stdout)
    (container,) = daemon_set["spec"]["template"]["spec"]["containers"]
    upstream = "kube-dns-upstream"
    conf = "/etc/Corefile"
    words = ["-localip", CACHE, "-conf", conf, "-upstreamsvc", upstream]
    assert container["args"] == words
    assert daemon_set["spec"]["template"]["spec"]["serviceAccountName"] == "nodelocaldns"
    metrics = json.loads(here.netlab(*get, "service", "node-local-dns").stdout)
    assert metrics["metadata"]["annotations"]["prometheus.io/port"] == "9253"
    found = here.netlab("get", "endpoints", "node-local-dns", "-n", "kube-system").stdout
    assert found.count(":9253") == 3
    service = json.loads(here.netlab(*get, "service", upstream).stdout)
    assert service["spec"]["clusterIP"] != KUBE_DNS
    for node in NODES:
        shown = here.run_in(f"{LAB}.{node}", "ip", "addr", "show", "nodelocaldns").stdout
        assert f"{CACHE}/32" in shown


def test_pods_ask_their_nodes_cache_first(here: Machine) -> None:
    servers = re.findall(r"nameserver (\S+)", in_pod(here, "cat", "/etc/resolv.conf"))
    assert servers == [CACHE, KUBE_DNS]
    said = in_pod(here, "nslookup", WEB)
    assert re.search(rf"Server:\s+{CACHE}\b", said), said
    address = json.loads(here.netlab("get", "svc", "web", "-o", "json").stdout)["spec"]["clusterIP"]
    assert address in said
    assert found(here) == address
    assert here.resolve(POD, "example.com", server=CACHE) == {"198.51.100.1"}
    dns = {"kube-dns.kube-system.svc.cluster.local."}
    assert here.resolve(POD, "10.0.96.10.in-addr.arpa", "PTR", server=CACHE) == dns
    tcp = in_pod(here, "dig", "+tcp", "+short", f"@{CACHE}", WEB)
    assert tcp.strip() == address


def test_a_question_can_be_traced(here: Machine) -> None:
    """Each node has the address, and what the cache asks on is a packet of its own."""
    pod = POD.rpartition(".")[2]
    told = here.netlab("trace", f"pod/{pod}", f"{CACHE}:53", "--udp").stdout.splitlines()
    assert f"delivered to {NODE.rpartition('.')[2]} ({CACHE}:53)" in told
    assert told[-1].startswith("kernel and simulator agree in all")


def test_it_says_that_it_is_well_at_its_address_alone(here: Machine) -> None:
    """As the probe of its DaemonSet asks; the responder that says so may be killed, too."""
    assert here.curl(NODE, f"{CACHE}:8080/health") == "OK"
    assert not [entry for entry in tracked(here) if "port=8080" in entry]
    with pytest.raises(ConnectionRefusedError):
        here.connect(NODE, "10.10.11.11", 8080)
    os.kill(answering(paths.responder_socket(here.base / "run" / LAB)), signal.SIGKILL)
    eventually(lambda: here.curl(NODE, f"{CACHE}:8080/health") == "OK")


def test_prometheus_finds_corednss_names_on_each_node(here: Machine) -> None:
    """What it counts is what was asked since."""

    def hits(node: str) -> int:
        page = here.curl(NODE, f"{node}:9253/metrics")
        return int(re.findall(r"^coredns_cache_hits_total{.*} (\d+)$", page, re.MULTILINE)[0])

    before = hits("10.10.11.11")
    assert hits("10.10.11.10") >= 0
    for _ in range(20):
        here.resolve(POD, WEB, server=CACHE)
    eventually(lambda: hits("10.10.11.11") >= before + 15, 15)
    page = here.curl(NODE, "10.10.11.11:9353/metrics")
    assert 'coredns_nodecache_setup_errors_total{errortype="iptables"} 0' in page


def test_it_goes_by_its_corefile(here: Machine) -> None:
    """What that forwards goes elsewhere; what it cannot do an Event tells; what is none changes
    nothing."""
    get = ("get", "configmap", "nodelocaldns", "-n", "kube-system", "-o")
    before = here.netlab(*get, "json").stdout
    text = json.loads(before)["data"]["Corefile"]

    def put(corefile: str) -> None:
        patch = json.dumps({"data": {"Corefile": corefile}})
        here.netlab("patch", "configmap", "nodelocaldns", "-n", "kube-system", "-p", patch)

    def told(words: str) -> bool:
        return words in here.netlab("get", "events", "-n", "kube-system").stdout

    put(
        text.replace("errors", "errors\n    whoami", 1).replace(
            "__PILLAR__UPSTREAM__SERVERS__", "192.0.2.1"
        )
    )
    eventually(lambda: told("Corefile:4: whoami is left out: the node's cache is a dnsmasq"))

    def is_lost() -> bool:
        try:
            return not here.resolve(POD, "www.example.org", server=CACHE)
        except TimeoutError:
            return True

    eventually(is_lost, 15)
    assert here.resolve(POD, WEB, server=CACHE)
    put(text.replace("errors", "eror", 1))
    eventually(lambda: told("Corefile:3 - Error during parsing: Unknown directive 'eror'"))
    assert here.resolve(POD, WEB, server=CACHE)
    put(text)
    eventually(lambda: here.resolve(POD, "example.com", server=CACHE), 15)


def test_it_goes_by_kube_dns_configmap(here: Machine) -> None:
    """Its other names are lost, but for those of a zone that another server has."""
    stubs = json.dumps({"example.com": ["172.16.110.1"]})
    data = {"upstreamNameservers": '["192.0.2.1"]', "stubDomains": stubs}
    metadata = {"name": "kube-dns", "namespace": "kube-system"}
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
    here.netlab("apply", "-f", here.lab_file(json.dumps(config), "kube-dns.json"))

    def finds(name: str) -> bool:
        try:
            return bool(here.resolve(POD, name, server=CACHE))
        except TimeoutError:
            return False

    eventually(lambda: not finds(f"{time.monotonic_ns()}.example.org"), 15)
    assert finds("www.example.com") and here.resolve(POD, WEB, server=CACHE)
    here.netlab("delete", "configmap", "kube-dns", "-n", "kube-system")
    eventually(lambda: finds("www.example.org"), 15)


def test_what_is_in_the_cache_is_not_asked_again(here: Machine) -> None:
    """With kube-dns out of the way, the cache goes on answering what it knows."""
    nosuch = f"nosuch.{WEB}"
    for name in (WEB, nosuch):
        here.resolve(POD, name, server=CACHE)
    drop = ("-p", "udp", "--dport", "53", "!", "-d", CACHE, "-j", "DROP")
    here.run_in(NODE, "iptables", "-t", "mangle", "-I", "OUTPUT", *drop)
    try:
        assert here.resolve(POD, WEB, server=CACHE)
        assert here.ask(POD, nosuch, server=CACHE).header.rcode == RCODE.NXDOMAIN
    finally:
        here.run_in(NODE, "iptables", "-t", "mangle", "-D", "OUTPUT", *drop)


def test_queries_leave_no_trace_in_conntrack(here: Machine) -> None:
    """And they would, were they not exempt: by UDP and TCP, from a pod and from the node itself."""

    def ask() -> None:
        here.resolve(POD, WEB, server=CACHE)
        here.resolve(NODE, WEB, server=CACHE)
        here.connect(POD, CACHE, 53)
        here.connect(NODE, CACHE, 53)

    ask()
    assert tracked(here) == []

    def leaves_one() -> bool:
        here.run_in(NODE, "iptables", "-t", "raw", "-F")  # until the rules are put back
        ask()
        return {entry.split()[0] for entry in tracked(here)} == {"udp", "tcp"}

    eventually(leaves_one)
    eventually(lambda: len(rules(here)) == 12)
    here.run_in(NODE, "conntrack", "-F")
    ask()
    assert tracked(here) == []


def test_its_rules_outlive_those_of_the_proxy(here: Machine) -> None:
    """Services come and go, somebody flushes tables: both sorts of rules stand again."""
    before = rules(here)
    assert len(before) == 12
    here.netlab("create", "service", "clusterip", "more", "--tcp=81:80")
    eventually(lambda: "default/more" in here.run_in(NODE, "iptables-save").stdout)
    assert rules(here) == before
    for table in ("filter", "raw", "nat"):
        here.run_in(NODE, "iptables", "-t", table, "-F")
    eventually(lambda: sorted(rules(here)) == sorted(before))
    eventually(lambda: "default/more" in here.run_in(NODE, "iptables-save").stdout)
    here.netlab("delete", "service", "more")
    assert found(here)


def test_a_link_that_somebody_takes_away_comes_back(here: Machine) -> None:
    here.run_in(NODE, "ip", "link", "delete", "nodelocaldns")
    eventually(lambda: here.resolve(POD, WEB, server=CACHE))


def test_a_killed_cache_is_started_again(here: Machine) -> None:
    before = cache_pid(here)
    os.kill(before, signal.SIGKILL)
    assert found(here)
    eventually(lambda: cache_pid(here) != before)
    assert here.resolve(POD, WEB, server=CACHE)

    def counted() -> bool:
        pods = json.loads(here.netlab("get", "pods", "-n", "kube-system", "-o", "json").stdout)
        mine = [p for p in pods["items"] if p["spec"]["nodeName"] == "worker001"]
        return any(
            status["restartCount"] == 1
            and status["name"] == "node-cache"
            and status["lastState"]["terminated"]["exitCode"] == 137
            for pod in mine
            for status in pod["status"]["containerStatuses"]
        )

    eventually(counted)


def test_without_a_controller_too(here: Machine) -> None:
    """The cache goes on; killed as well, it refuses, and kube-dns is asked at once."""
    before = cache_pid(here)
    resolv_conf = here.lab_file(in_pod(here, "cat", "/etc/resolv.conf"), "resolv.conf")
    os.kill(controller(here), signal.SIGKILL)
    assert here.resolve(POD, WEB, server=CACHE)
    os.kill(before, signal.SIGKILL)
    eventually(lambda: is_refused(here))
    as_in_pod = f"mount --bind {resolv_conf} /etc/resolv.conf && exec getent hosts web"
    asked = time.monotonic()
    assert here.run_in(POD, "unshare", "-m", "sh", "-c", as_in_pod).stdout.endswith(f"{WEB}\n")
    assert time.monotonic() - asked < RESOLVERS_PATIENCE
    other = cache_pid(here, f"{LAB}.worker002")
    here.netlab("up", TOPOLOGIES / "node-local-dns.yaml", timeout=120)
    assert here.resolve(POD, WEB, server=CACHE)
    assert cache_pid(here, f"{LAB}.worker002") == other  # adopted
    assert found(here)


def test_nodes_that_come_have_one_too(here: Machine) -> None:
    """One that joins, and one that was switched off: it has a new namespace with nothing in it."""
    here.netlab("node", "add", "worker009")
    here.netlab("node", "stop", "worker002")
    here.netlab("node", "start", "worker002")
    for node in (f"{LAB}.worker009", f"{LAB}.worker002"):
        eventually(lambda node=node: here.resolve(node, WEB, server=CACHE), 15)
        eventually(lambda node=node: len(rules(here, node)) == 12)
        here.run_in(node, "conntrack", "-F")
        here.resolve(node, WEB, server=CACHE)
        assert tracked(here, node) == []
    here.netlab("node", "remove", "worker009")


def test_with_its_pod_everything_of_it_goes(here: Machine) -> None:
    """A pod that is deleted has a successor; with the DaemonSet link, rules and cache are gone."""
    here.netlab("delete", "pods", "-n", "kube-system", "-l", "k8s-app=nodelocaldns")
    eventually(lambda: len(rules(here)) == 12 and here.resolve(POD, WEB, server=CACHE), 10)
    remove_caches(here)
    assert here.resolve(POD, WEB, server=KUBE_DNS)


def test_once_the_caches_are_gone_for_good_nobody_waits_for_them(here: Machine) -> None:
    """Their address refuses, however often it is asked, and kube-dns answers."""
    remove_caches(here)
    assert is_refused(here), here.run_in(NODE, "ss", "-Hlntup").stdout
    many = "for each in $(seq 20); do getent hosts web || exit 1; done"
    asked = time.monotonic()
    assert in_pod(here, "sh", "-c", many).count(WEB) == 20
    assert time.monotonic() - asked < RESOLVERS_PATIENCE
    for place in (POD, NODE):
        with pytest.raises(ConnectionRefusedError):
            here.connect(place, CACHE, 53)


@pytest.mark.parametrize("mode", ["nft", "legacy", "nftables"])
def test_in_each_mode_and_both_families(tmp_path: Path, mode: str) -> None:
    """A cache at an address of each family, with the rules in the lab's own variant."""
    v4, v6 = "169.254.255.10", "fd00:90::10"
    given = {"proxyMode": "nftables"} if mode == "nftables" else {"iptables": mode}
    lab = manifests.lab(
        "both",
        podCIDR="10.244.0.0/16,fd00:10:244::/56",
        dns={"nodeLocal": {"address": f"{v4},{v6}"}},
        **given,
    )
    with machine(tmp_path) as here:
        here.netlab("up", here.lab_file(lab + manifests.box("box")), timeout=120)
        pod, node = "both.default.box", "both.worker001"
        name = "kubernetes.default.svc.cluster.local"

        def ask() -> None:
            for server in (v4, v6):
                asked = here.run_in(pod, "dig", "+short", f"@{server}", name).stdout
                assert asked == "10.96.0.1\n"
                here.connect(pod, server, 53)

        def seen() -> set[str]:
            kinds = [("ipv4", v4), ("ipv6", v6)]
            return {
                f"{family} {entry.split()[0]}"
                for family, address in kinds
                for entry in here.run_in(node, "conntrack", "-L", "-f", family).stdout.splitlines()
                if f"={address} " in entry
            }

        def without() -> bool:
            flush = ["nft", "delete", "table", "inet", "netlab-node-local-dns"]
            for program in (f"iptables-{mode}", f"ip6tables-{mode}"):
                if mode != "nftables":
                    here.run_in(node, program, "-t", "raw", "-F")
            if mode == "nftables":
                here.run_in(node, *flush, check=False)
            ask()
            return len(seen()) == 4

        ask()
        assert seen() == set()
        eventually(without)

        def again() -> bool:
            for family in ("ipv4", "ipv6"):
                here.run_in(node, "conntrack", "-F", "-f", family)
            ask()
            return seen() == set()

        eventually(again)


# As https://github.com/kubernetes/kubernetes/blob/master/cluster/addons/dns/nodelocaldns/ has it,
# its pillars put in: for kube-proxy's iptables mode, where it answers at kube-dns' own address too.
UPSTREAMS = """\
apiVersion: v1
kind: ServiceAccount
metadata: {name: node-local-dns, namespace: kube-system}
---
apiVersion: v1
kind: Service
metadata:
  name: node-local-dns
  namespace: kube-system
  annotations: {prometheus.io/port: "9253", prometheus.io/scrape: "true"}
  labels: {k8s-app: node-local-dns}
spec:
  clusterIP: None
  ports: [{name: metrics, port: 9253, targetPort: 9253}]
  selector: {k8s-app: node-local-dns}
---
apiVersion: v1
kind: Service
metadata:
  name: kube-dns-upstream
  namespace: kube-system
  labels: {k8s-app: kube-dns}
spec:
  ports:
  - {name: dns, port: 53, protocol: UDP, targetPort: 53}
  - {name: dns-tcp, port: 53, protocol: TCP, targetPort: 53}
  selector: {k8s-app: kube-dns}
---
apiVersion: apps/v1
kind: DaemonSet
metadata:
  name: node-local-dns
  namespace: kube-system
  labels: {k8s-app: node-local-dns}
spec:
  updateStrategy: {rollingUpdate: {maxUnavailable: 10%}}
  selector: {matchLabels: {k8s-app: node-local-dns}}
  template:
    metadata:
      labels: {k8s-app: node-local-dns}
      annotations: {prometheus.io/port: "9253", prometheus.io/scrape: "true"}
    spec:
      priorityClassName: system-node-critical
      serviceAccountName: node-local-dns
      hostNetwork: true
      dnsPolicy: Default
      tolerations:
      - {key: CriticalAddonsOnly, operator: Exists}
      - {effect: NoExecute, operator: Exists}
      - {effect: NoSchedule, operator: Exists}
      containers:
      - name: node-cache
        image: registry.k8s.io/dns/k8s-dns-node-cache:1.26.4
        args: ["-localip", "169.254.20.10,10.96.0.10", "-conf", "/etc/Corefile",
               "-upstreamsvc", "kube-dns-upstream"]
        ports:
        - {containerPort: 53, name: dns, protocol: UDP}
        - {containerPort: 53, name: dns-tcp, protocol: TCP}
        - {containerPort: 9253, name: metrics, protocol: TCP}
        livenessProbe:
          httpGet: {host: 169.254.20.10, path: /health, port: 8080}
          timeoutSeconds: 5
        volumeMounts: [{mountPath: /etc/coredns, name: config-volume}]
      volumes:
      - name: config-volume
        configMap: {name: node-local-dns, items: [{key: Corefile, path: Corefile.base}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: node-local-dns, namespace: kube-system}
data:
  Corefile: |
    cluster.local:53 in-addr.arpa:53 ip6.arpa:53 {
        errors
        cache {
                success 9984 30
                denial 9984 5
        }
        reload
        loop
        bind 169.254.20.10 10.96.0.10
        forward . __PILLAR__CLUSTER__DNS__ {
                force_tcp
        }
        prometheus :9253
        health 169.254.20.10:8080
        }
    .:53 {
        errors
        cache 30
        bind 169.254.20.10 10.96.0.10
        forward . __PILLAR__UPSTREAM__SERVERS__
        prometheus :9253
        }
"""


def test_upstreams_manifest_takes_kube_dns_address_over(tmp_path: Path) -> None:
    """In a lab that has no caches: pods ask what they asked before, and their node answers."""
    with machine(tmp_path) as here:
        here.netlab(
            "up", here.lab_file(manifests.lab("pasted") + manifests.box("box")), timeout=120
        )
        pod, node = "pasted.default.box", "pasted.worker001"
        ask = ("exec", "box", "--", "getent", "hosts", "kubernetes")
        here.netlab(*ask)
        assert tracked(here, node, KUBE_DNS)
        here.netlab("apply", "-f", here.lab_file(UPSTREAMS, "nodelocaldns.yaml"))
        here.netlab("rollout", "status", "daemonset/node-local-dns", "-n", "kube-system")
        for address in ("169.254.20.10", KUBE_DNS):
            assert here.resolve(pod, "kubernetes.default.svc.cluster.local", server=address)
        here.run_in(node, "conntrack", "-F")
        here.netlab(*ask)
        assert tracked(here, node, KUBE_DNS) == []
        assert here.resolve(pod, "example.com", server=KUBE_DNS)
        assert "coredns_cache_hits_total" in here.curl(node, "10.10.11.11:9253/metrics")
        assert here.curl(node, "169.254.20.10:8080/health") == "OK"
        behind = json.loads(
            here.netlab("get", "svc", "kube-dns-upstream", "-n", "kube-system", "-o", "json").stdout
        )["spec"]["clusterIP"]
        kinds = {entry.split()[0] for entry in tracked(here, node, behind)}
        assert kinds == {"tcp"}, "force_tcp"
        page = here.curl(node, "10.10.11.11:9253/metrics")
        assert f'coredns_forward_requests_total{{to="{behind}:53"}}' in page
        relay = here.run_in(node, "ss", "-Hlntup", "src 127.0.53.1").stdout
        os.kill(int(re.findall(r"pid=(\d+)", relay)[0]), signal.SIGKILL)

        def answers_what_is_new() -> bool:
            name = f"nosuch-{time.monotonic_ns()}.cluster.local"
            return here.ask(pod, name, server="169.254.20.10").header.rcode == RCODE.NXDOMAIN

        eventually(answers_what_is_new, 15)
        find = ("endpoints", "node-local-dns", "-n", "kube-system", "-o", "jsonpath={..addresses}")
        assert "10.10.11.11" in here.netlab("get", *find).stdout, "where Prometheus looks"
        without = UPSTREAMS.replace("force_tcp", "prefer_udp")
        here.netlab("apply", "-f", here.lab_file(without, "without.yaml"))

        def by_udp() -> bool:
            here.run_in(node, "conntrack", "-F")
            here.resolve(pod, f"{time.monotonic_ns()}.cluster.local", server="169.254.20.10")
            return {entry.split()[0] for entry in tracked(here, node, behind)} == {"udp"}

        eventually(by_udp, 20)
        assert "127.0.53." not in here.run_in(node, "ss", "-Hlntu").stdout
        here.netlab("apply", "-f", tmp_path / "nodelocaldns.yaml")
        eventually(lambda: "127.0.53.1:10530" in here.run_in(node, "ss", "-Hlntu").stdout, 10)
        here.netlab("delete", "-f", tmp_path / "nodelocaldns.yaml")
        eventually(lambda: "nodelocaldns" not in here.run_in(node, "ip", "link").stdout, 10)
        assert "127.0.53." not in here.run_in(node, "ss", "-Hlntu").stdout
        here.netlab(*ask)
        assert tracked(here, node, KUBE_DNS)


def test_up_waits_for_what_its_configuration_has_just_come_for(tmp_path: Path) -> None:
    """Upstream's manifest has the ConfigMap last. What is wrong in that is told at once."""
    with machine(tmp_path) as here:
        lab = manifests.lab("last") + "---\n" + UPSTREAMS
        wrong = here.lab_file(lab.replace("prometheus :9253", "prometheus :99253"))
        asked = time.monotonic()
        done = here.netlab("up", wrong, code=1, timeout=120)
        assert time.monotonic() - asked < 60
        assert "CreateContainerError: Corefile:13 - Error during parsing: address :99253:" in (
            done.stderr
        )
        here.netlab("down", "last")
        here.netlab("up", here.lab_file(lab), timeout=120)
        assert "coredns_build_info" in here.curl("last.worker001", "10.10.11.11:9253/metrics")


def test_a_changed_file_moves_the_caches_and_takes_them_away(tmp_path: Path) -> None:
    def lab(**node_local: object) -> str:
        return manifests.lab("moved", **({"dns": {"nodeLocal": node_local}} if node_local else {}))

    def at(here: Machine, address: str) -> bool:
        return bool(here.resolve("moved.worker001", "example.com", server=address))

    def servers(here: Machine, pod: str) -> list[str]:
        words = ("run", pod, "-i", "--rm", "--restart=Never", "--image=busybox", "--")
        said = here.netlab(*words, "cat", "/etc/resolv.conf").stdout
        return re.findall(r"nameserver (\S+)", said)

    other = "169.254.255.10"
    with machine(tmp_path) as here:
        here.netlab("up", here.lab_file(lab()), timeout=120)
        assert servers(here, "before") == [KUBE_DNS]
        here.netlab("up", here.lab_file(lab(address=CACHE)), timeout=120)
        eventually(lambda: at(here, CACHE))
        assert servers(here, "first") == [CACHE, KUBE_DNS]
        here.netlab("up", here.lab_file(lab(address=other)), timeout=120)
        eventually(lambda: at(here, other), 15)
        assert servers(here, "second") == [other, KUBE_DNS]
        here.netlab("up", here.lab_file(lab()), timeout=120)
        eventually(
            lambda: "nodelocaldns" not in here.run_in("moved.worker001", "ip", "link").stdout
        )
        assert servers(here, "after") == [KUBE_DNS]
        listed = here.netlab("get", "ds,cm,svc", "-n", "kube-system", "-o", "name").stdout
        assert "nodelocaldns" not in listed
        assert "kube-dns-upstream" not in listed
        assert "node-local-dns" not in listed
        accounts = here.netlab("get", "serviceaccounts", "-n", "kube-system", "-o", "name").stdout
        assert "nodelocaldns" not in accounts
