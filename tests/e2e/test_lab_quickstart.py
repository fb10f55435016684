"""The quickstart, as its README promises it: names, addresses, ways in, checks, changes."""

from __future__ import annotations

import json
import threading
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e.labs import TOPOLOGIES, Machine, eventually, greeting, machine

pytestmark = pytest.mark.root

QUICKSTART = TOPOLOGIES / "quickstart.yaml"
POD = "quickstart.default.client-pod"
NODE = "quickstart.worker001"
CLIENT = "quickstart.client"
DOMAIN = "default.svc.cluster.local"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """The quickstart up, one for all tests here: none takes away what another needs."""
    with machine(tmp_path_factory.mktemp("quickstart")) as here:
        here.netlab("up", QUICKSTART)
        yield here


def cluster_ip(lab: Machine, name: str) -> str:
    service = json.loads(lab.netlab("get", "svc", name, "-o", "json").stdout)
    return str(service["spec"]["clusterIP"])


def pods(lab: Machine, selector: str = "app=webserver") -> dict[str, str]:
    """Names and addresses of the pods that a label selects."""
    listed = json.loads(lab.netlab("get", "pods", "-l", selector, "-o", "json").stdout)
    return {pod["metadata"]["name"]: pod["status"].get("podIP", "") for pod in listed["items"]}


def test_pods_run_on_both_workers(lab: Machine) -> None:
    listed = json.loads(lab.netlab("get", "pods", "-o", "json").stdout)["items"]
    web = [pod for pod in listed if pod["metadata"]["name"].startswith("hostname-deployment-")]
    assert len(web) == 3
    assert {pod["spec"]["nodeName"] for pod in web} == {"worker001", "worker002"}
    assert all(pod["status"]["phase"] == "Running" for pod in listed)


@pytest.mark.parametrize("form", ["", ".default", ".default.svc", f".{DOMAIN}"])
def test_a_service_is_found_by_every_form_of_its_name(lab: Machine, form: str) -> None:
    name = f"hostname-svc-clusterip{form}"
    found = lab.netlab("exec", "client-pod", "--", "getent", "hosts", name).stdout.split()
    assert found[0] == cluster_ip(lab, "hostname-svc-clusterip")
    page = lab.netlab("exec", "client-pod", "--", "curl", "-s", f"{name}:8080").stdout
    assert greeting(page) in pods(lab)


def test_a_cluster_ip_leads_back_to_its_name(lab: Machine) -> None:
    ip = cluster_ip(lab, "hostname-svc-nodeport")
    reverse = ".".join(reversed(ip.split("."))) + ".in-addr.arpa"
    assert lab.resolve(POD, reverse, "PTR") == {f"hostname-svc-nodeport.{DOMAIN}."}


def test_a_name_that_is_not_there(lab: Machine) -> None:
    answer = lab.ask(POD, f"no-such-service.{DOMAIN}")
    assert answer.header.get_rcode() == 3
    assert answer.rr == []


def test_names_of_the_internet_are_forwarded(lab: Machine) -> None:
    page = lab.netlab("exec", "client-pod", "--", "curl", "-s", "www.example.com").stdout
    assert "www.example.com" in page


@pytest.mark.parametrize("place", [POD, NODE, "quickstart.master001"])
def test_all_pods_answer_behind_the_cluster_ip(lab: Machine, place: str) -> None:
    target = f"{cluster_ip(lab, 'hostname-svc-clusterip')}:8080"
    seen: set[str] = set()
    eventually(lambda: seen.add(greeting(lab.curl(place, target))) or seen == set(pods(lab)), 10)


@pytest.mark.parametrize("node", ["172.16.110.10", "172.16.110.20", "172.16.110.21"])
@pytest.mark.parametrize("place", [POD, NODE, CLIENT])
def test_every_node_answers_on_the_node_port(lab: Machine, place: str, node: str) -> None:
    assert greeting(lab.curl(place, f"{node}:30080")) in pods(lab)


@pytest.mark.parametrize("node", ["10.10.11.10", "10.10.11.20", "10.10.11.21"])
@pytest.mark.parametrize("place", [POD, NODE])
def test_within_the_cluster_also_by_internal_address(lab: Machine, place: str, node: str) -> None:
    assert greeting(lab.curl(place, f"{node}:30080")) in pods(lab)


def test_the_node_port_service_by_name(lab: Machine) -> None:
    target = "hostname-svc-nodeport:8080"
    page = lab.netlab("exec", "client-pod", "--", "curl", "-s", target).stdout
    assert greeting(page) in pods(lab)


def test_a_closed_node_port_refuses(lab: Machine) -> None:
    with pytest.raises(ConnectionRefusedError):
        lab.connect(CLIENT, "172.16.110.20", 30081)


def test_the_client_knows_nodes_by_their_external_addresses_alone(lab: Machine) -> None:
    """Whatever a packet to an inside address does, it reaches nobody inside."""
    web = next(iter(pods(lab).values()))
    inside = [("10.10.11.20", 30080), (web, 80), (cluster_ip(lab, "hostname-svc-clusterip"), 8080)]
    for address, port in inside:
        with pytest.raises(OSError, match=r"(?i)unreachable|timed out|refused"):
            lab.connect(CLIENT, address, port, timeout=0.3)


def test_a_pod_reaches_itself_through_its_service(lab: Machine) -> None:
    """Hairpin: of enough connections from a web pod, some come back to it, masqueraded."""
    name = next(iter(pods(lab)))
    target = f"{cluster_ip(lab, 'hostname-svc-clusterip')}:8080"
    place = f"quickstart.default.{name}"
    eventually(lambda: greeting(lab.curl(place, target)) == name)


def test_the_machine_knows_the_names_of_ip_netns(lab: Machine) -> None:
    links = {link.name: link for link in (lab.base / "netns").iterdir()}
    assert {"quickstart.client", "quickstart.worker001", POD} <= set(links)
    assert all(link.is_symlink() and link.exists() for link in links.values())


def test_up_again_changes_nothing(lab: Machine) -> None:
    before = lab.netlab("get", "pods,svc", "-A", "-o", "json").stdout
    again = lab.netlab("up", QUICKSTART).stdout
    assert again.count("unchanged") == 4, again
    assert lab.netlab("get", "pods,svc", "-A", "-o", "json").stdout == before


def test_other_nodes_under_the_same_name_are_refused(lab: Machine, tmp_path: Path) -> None:
    other = lab.lab_file(QUICKSTART.read_text().replace("10.244.0.0/16", "10.245.0.0/16"))
    refused = lab.netlab("up", other, code=2)
    assert "netlab down" in refused.stderr
    lab.netlab("exec", "client-pod", "--", "true")


# -- changes while it runs ----------------------------------------------------------------------

SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: %s}
spec:
  selector: {app: webserver}
  ports: [{port: 80}]
"""


def test_a_new_service_resolves_at_once(lab: Machine, record_property: object) -> None:
    """From the API's answer on: 50 ms on a quiet machine, and far from any period on a busy one."""
    taken = []
    for number in range(5):
        name = f"quick-{number}"
        file = lab.lab_file(SERVICE % name)
        with lab.start("apply", "-f", str(file)) as command:
            assert command.stdout is not None
            assert "created" in command.stdout.readline()
            answered = time.monotonic()
            while not lab.resolve(POD, f"{name}.{DOMAIN}"):
                assert time.monotonic() - answered < 10
                time.sleep(0.001)
            taken.append(time.monotonic() - answered)
        lab.netlab("delete", "svc", name)
    print("a new Service resolved after", ", ".join(f"{s * 1000:.1f} ms" for s in sorted(taken)))
    assert sorted(taken)[2] < 2


class Traffic:
    """Connections from a pod to a Service, one after another, until told to end."""

    def __init__(self, lab: Machine, address: str, port: int) -> None:
        self.errors: list[str] = []
        self.count = 0
        self._target = (lab, address, port)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Traffic:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        lab, address, port = self._target
        while not self._ended.wait(0.002):
            try:
                lab.connect(POD, address, port)
            except OSError as error:
                self.errors.append(str(error))
            self.count += 1


def test_scaling_loses_no_connection(lab: Machine) -> None:
    with Traffic(lab, cluster_ip(lab, "hostname-svc-clusterip"), 8080) as traffic:
        for count in (6, 2, 3):
            lab.netlab("scale", "deploy/hostname-deployment", f"--replicas={count}")
            eventually(lambda count=count: len(pods(lab)) == count, 10)
    assert traffic.errors == []
    assert traffic.count > 50


def test_a_rollout_loses_no_connection(lab: Machine) -> None:
    before = pods(lab)
    changed = QUICKSTART.read_text().replace(
        "- containerPort: 80\n", "- containerPort: 80\n        env: [{name: V, value: '2'}]\n"
    )
    file = lab.lab_file(changed, "changed.yaml")
    with Traffic(lab, cluster_ip(lab, "hostname-svc-clusterip"), 8080) as traffic:
        out = lab.netlab("up", file).stdout
        eventually(lambda: len(pods(lab)) == 3 and not set(pods(lab)) & set(before), 10)
    assert "deployment.apps/hostname-deployment configured" in out
    assert traffic.errors == []
    assert traffic.count > 20


def test_a_changed_manifest_converges(lab: Machine) -> None:
    """`up` with a changed file applies the change and keeps the rest."""
    ip = cluster_ip(lab, "hostname-svc-nodeport")
    text = QUICKSTART.read_text()
    lab.netlab("up", lab.lab_file(text.replace("nodePort: 30080", "nodePort: 30090")))
    assert cluster_ip(lab, "hostname-svc-nodeport") == ip
    assert greeting(lab.curl(CLIENT, "172.16.110.20:30090")) in pods(lab)
    with pytest.raises(ConnectionRefusedError):
        lab.connect(CLIENT, "172.16.110.20", 30080)
    lab.netlab("up", QUICKSTART)
    assert greeting(lab.curl(CLIENT, "172.16.110.20:30080")) in pods(lab)


# -- checks -------------------------------------------------------------------------------------


def test_its_checks_pass(lab: Machine, tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    done = lab.netlab("check", "--junit", report)
    lines = done.stdout.splitlines()
    assert len(lines) == 8
    assert all(line.startswith("PASS ") for line in lines)
    suite = ET.parse(report).getroot()
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("8", "0", "0")


CHECK = """
apiVersion: netlab/v1
kind: PathCheck
metadata: {name: %s}
spec:
  from: {pod: %s}
  to: {service: hostname-svc-clusterip, port: 8080}
  expect: {%s}
"""


def test_a_check_that_fails(lab: Machine, tmp_path: Path) -> None:
    file = lab.lab_file(CHECK % ("wrong", "client-pod", "outcome: refused"), "check.yaml")
    report = tmp_path / "report.xml"
    done = lab.netlab("check", file, "--junit", report, code=1)
    assert done.stdout.startswith("FAIL wrong")
    assert ET.parse(report).getroot().find("testcase/failure") is not None
    verdicts = json.loads(lab.netlab("check", file, "-o", "json", code=1).stdout)["checks"]
    assert [entry["status"] for entry in verdicts] == ["fail"]


def test_a_check_that_cannot_run(lab: Machine, tmp_path: Path) -> None:
    file = lab.lab_file(CHECK % ("lost", "no-such-pod", "outcome: reachable"), "check.yaml")
    report = tmp_path / "report.xml"
    done = lab.netlab("check", file, "--junit", report, code=2)
    assert "no-such-pod" in done.stdout
    assert ET.parse(report).getroot().find("testcase/error") is not None


def test_a_check_notices_rules_that_are_gone(lab: Machine, tmp_path: Path) -> None:
    """The same check passes, fails while packets are dropped, and passes again."""
    file = lab.lab_file(CHECK % ("path", "client-pod", "outcome: reachable"), "check.yaml")
    lab.netlab("check", file)
    rule = ("FORWARD", "-s", "10.244.0.0/16", "-j", "DROP")
    lab.run_in(NODE, "iptables", "-I", *rule)
    lab.run_in("quickstart.worker002", "iptables", "-I", *rule)
    try:
        lab.netlab("check", file, code=1)
    finally:
        lab.run_in(NODE, "iptables", "-D", *rule)
        lab.run_in("quickstart.worker002", "iptables", "-D", *rule)
    lab.netlab("check", file)
