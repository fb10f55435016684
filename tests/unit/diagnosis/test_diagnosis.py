"""Every cause for which a Service fails, and the line that says it."""

from __future__ import annotations

from typing import Any

import pytest

from netlab.agents.podstatus import ContainerState
from netlab.diagnosis.facts import Cause, Facts, ListeningSocket, Way
from netlab.diagnosis.remedies import remedy
from netlab.diagnosis.service import causes, no_such_port, partial
from netlab.diagnosis.traffic_policy import nearest_node_port

Object = dict[str, Any]

READY = {"type": "Ready", "status": "True"}
UNREADY = {"type": "Ready", "status": "False", "message": "containers with unready status: [c]"}
RUNNING = {"name": "c", "state": {"running": {}}}


def crashed(exit_code: int = 3, reason: str = "") -> Object:
    """A container that fails again and again, in the words of the lab's own kubelet."""
    state = ContainerState("c", "busybox")
    state.begin("2026-01-01T00:00:00Z", "0")
    state.end("2026-01-01T00:00:01Z", exit_code)
    state.reason = reason or state.reason
    state.wait("CrashLoopBackOff", "back-off 10s restarting failed container=c")
    return state.status()


CRASHED = crashed()
IP = "10.244.1.3"


def named(name: str, space: str = "default", **metadata: Any) -> Object:
    return {"name": name, "namespace": space, "uid": f"{space}/{name}", **metadata}


def service(name: str = "web", *, labels: Any = None, status: Any = None, **spec: Any) -> Object:
    spec = {"selector": {"app": "web"}, "ports": [{"port": 80}], "type": "ClusterIP", **spec}
    return {
        "kind": "Service",
        "metadata": named(name, labels=labels or {}),
        "spec": spec,
        "status": status or {},
    }


def pod(
    name: str = "web-1",
    space: str = "default",
    *,
    labels: Any = None,
    ready: bool = True,
    containers: Any = (RUNNING,),
    ports: Any = (),
    status: Any = None,
    spec: Any = None,
    **metadata: Any,
) -> Object:
    return {
        "kind": "Pod",
        "metadata": named(name, space, labels=labels or {"app": "web"}, **metadata),
        "spec": {
            "nodeName": "w1",
            "containers": [{"name": "c", "ports": list(ports)}],
            **(spec or {}),
        },
        "status": {
            "phase": "Running",
            "podIPs": [{"ip": IP}],
            "conditions": [READY if ready else UNREADY],
            "containerStatuses": list(containers),
            **(status or {}),
        },
    }


def node(name: str = "w1", *, ready: bool = True, **labels: str) -> Object:
    return {
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "spec": {"podCIDRs": ["10.244.1.0/24"]},
        "status": {"conditions": [READY if ready else UNREADY]},
    }


def slice_(
    *endpoints: Object, name: str = "web-x", family: str = "IPv4", ports: Any = None, **labels: str
) -> Object:
    labels = labels or {"kubernetes.io/service-name": "web"}
    return {
        "metadata": named(name, labels=labels),
        "addressType": family,
        "ports": [{"port": 80}] if ports is None else ports,
        "endpoints": list(endpoints),
    }


def endpoint(ip: str = IP, node: str = "w1", **conditions: bool) -> Object:
    return {"addresses": [ip], "nodeName": node, "conditions": conditions or {"ready": True}}


def event(of: Object, reason: str, message: str, at: str = "2026-01-01T00:00:00Z") -> Object:
    about = {"uid": of["metadata"]["uid"]}
    return {"reason": reason, "message": message, "involvedObject": about, "lastTimestamp": at}


def workload(name: str = "web", *, failure: str = "", **spec: Any) -> Object:
    conditions = [{"type": "ReplicaFailure", "status": "True", "message": failure}]
    return {
        "kind": "Deployment",
        "metadata": named(name),
        "spec": {"template": {"metadata": {"labels": {"app": "web"}}}, **spec},
        "status": {"conditions": conditions if failure else []},
    }


WBE = {"selector": {"app": "wbe"}}
UNWELL = pod(ready=False)
PROBED = pod(
    ready=False, spec={"containers": [{"name": "c", "readinessProbe": {"httpGet": {"port": 80}}}]}
)
GOOD = Facts(pods=[pod()], slices=[slice_(endpoint())], nodes=[node()])
NODE_PORT = {"type": "NodePort", "externalTrafficPolicy": "Local"}
BALANCED = {"type": "LoadBalancer"}
HAS_IP = {"loadBalancer": {"ingress": [{"ip": "172.16.110.200"}]}}
HTTP = [{"name": "http", "containerPort": 8080}]


def facts(*pods: Object, **more: Any) -> Facts:
    return Facts(pods=pods, **{"nodes": [node()], **more})


def heard(*listeners: ListeningSocket, **more: Any) -> Facts:
    return Facts(
        pods=[pod()],
        slices=[slice_(endpoint())],
        nodes=[node()],
        listeners=lambda _pod: listeners,
        **more,
    )


CASES: dict[str, tuple[Object, Facts, Way, list[str]]] = {}


def case(name: str, service_: Object, known: Facts, *lines: str, **way: Any) -> None:
    assert name not in CASES
    CASES[name] = (service_, known, Way(**way), list(lines))


# The selector
case(
    "mistyped value",
    service(**WBE),
    facts(pod()),
    "selector app=wbe matches no pod (nearest: app=web)",
)
case(
    "mistyped key",
    service(selector={"ap": "web"}),
    facts(pod()),
    "selector ap=web matches no pod (nearest: app=web)",
)
case(
    "another case",
    service(selector={"app": "Web"}),
    facts(pod()),
    "selector app=Web matches no pod (nearest: app=web)",
)
case(
    "another key for the value",
    service(selector={"run": "web"}),
    facts(pod()),
    "selector run=web matches no pod (nearest: app=web)",
)
case(
    "one pair of two is wrong",
    service(selector={"app": "web", "tier": "fornt"}),
    facts(
        pod("a", labels={"app": "web", "tier": "front"}),
        pod("b", labels={"app": "db", "tier": "back"}),
    ),
    "selector app=web,tier=fornt matches no pod (nearest: tier=front)",
)
case(
    "one pair of two is nobody's",
    service(selector={"app": "web", "tier": "front"}),
    facts(pod()),
    "selector app=web,tier=front matches no pod (nearest: pods without tier=front)",
)
case(
    "nothing comes near among many",
    service(selector={"app": "qqq"}),
    facts(*(pod(name, labels={"app": name}) for name in ("alpha", "beta", "gamma", "delta"))),
    "selector app=qqq matches no pod",
)
case(
    "in another namespace",
    service(),
    facts(pod("web-1", "shop")),
    "selector app=web matches no pod "
    "(namespace default has no pod; a pod with app=web is in namespace shop)",
)
case(
    "in other namespaces, and mistyped here",
    service(),
    facts(pod("a", "shop"), pod("a", "old"), pod("b", labels={"app": "wep"})),
    "selector app=web matches no pod "
    "(nearest: app=wep; pods with app=web are in namespaces old, shop)",
)
case(
    "scaled to nothing",
    service(),
    facts(workloads=[workload(replicas=0)]),
    "selector app=web matches no pod: Deployment web has 0 replicas",
)
case(
    "pods that are refused",
    service(),
    facts(workloads=[workload(replicas=2, failure="exceeded quota: two")]),
    "selector app=web matches no pod: Deployment web has made none: exceeded quota: two",
)
case(
    "pods that are yet to be made",
    service(),
    facts(workloads=[workload(replicas=2)]),
    "selector app=web matches no pod: Deployment web has made none yet",
)

# Pods that match
case(
    "readiness probe, HTTP",
    service(),
    facts(
        UNWELL,
        events=[
            event(UNWELL, "Unhealthy", "Readiness probe failed: HTTP probe failed with "
                  "statuscode: 404"),
            event(UNWELL, "Unhealthy", "Readiness probe failed: HTTP probe failed with "
                  "statuscode: 500", "2026-01-01T00:00:09Z"),
        ],
    ),
    "1 pod matches, not ready: readiness probe HTTP 500",
)  # fmt: skip
case(
    "readiness probe, TCP",
    service(),
    facts(
        UNWELL,
        events=[event(UNWELL, "Unhealthy", "Readiness probe failed: dial tcp 10.244.1.3:81: "
                      "connect: connection refused")],
    ),
    "1 pod matches, not ready: readiness probe failed: dial tcp :81: connect: connection refused",
)  # fmt: skip
case(
    "readiness probe, command without a word",
    service(),
    facts(UNWELL, events=[event(UNWELL, "Unhealthy", "Readiness probe failed: \n")]),
    "1 pod matches, not ready: readiness probe failed",
)
case(
    "startup probe",
    service(),
    facts(UNWELL, events=[event(UNWELL, "Unhealthy", "Startup probe failed: no\nway")]),
    "1 pod matches, not ready: startup probe failed: no way",
)
case(
    "readiness probe, yet to be asked",
    service(),
    facts(PROBED),
    "1 pod matches, not ready: readiness probe has not succeeded yet",
)
case(
    "crashes",
    service(),
    facts(pod(ready=False, containers=[CRASHED])),
    "1 pod matches, not ready: CrashLoopBackOff: exit code 3",
)
case(
    "one of two containers crashes",
    service(),
    facts(pod(ready=False, containers=[{**RUNNING, "name": "b"}, CRASHED])),
    "1 pod matches, not ready: container c CrashLoopBackOff: exit code 3",
)
case(
    "killed for its memory",
    service(),
    facts(
        pod(
            ready=False,
            containers=[crashed(137, "OOMKilled")],
        )
    ),
    "1 pod matches, not ready: CrashLoopBackOff: exit code 137 (OOMKilled)",
)
case(
    "lacks its configuration",
    service(),
    facts(
        pod(
            ready=False,
            containers=[
                {
                    "name": "c",
                    "state": {
                        "waiting": {
                            "reason": "CreateContainerConfigError",
                            "message": 'configmap "x" not found',
                        }
                    },
                }
            ],
        )
    ),
    '1 pod matches, not ready: CreateContainerConfigError: configmap "x" not found',
)
case(
    "ended",
    service(),
    facts(
        pod(
            ready=False,
            status={"phase": "Failed"},
            containers=[{"name": "c", "state": {"terminated": {"exitCode": 2, "reason": "Error"}}}],
        )
    ),
    "1 pod matches, ended: exit code 2",
)
case(
    "waits for an init container",
    service(),
    facts(
        pod(
            ready=False,
            status={
                "phase": "Pending",
                "initContainerStatuses": [
                    {"name": "wait", "ready": False, "state": {"running": {}}}
                ],
            },
            containers=[{"name": "c", "state": {"waiting": {"reason": "PodInitializing"}}}],
        )
    ),
    "1 pod matches, not ready: init container wait has not ended",
)
case(
    "not scheduled",
    service(),
    facts(
        pod(
            ready=False,
            spec={"nodeName": ""},
            containers=[],
            status={
                "podIPs": [],
                "phase": "Pending",
                "conditions": [
                    {
                        "type": "PodScheduled",
                        "status": "False",
                        "message": "0/3 nodes are available: 3 node(s) didn't match.",
                    }
                ],
            },
        )
    ),
    "1 pod matches, not scheduled: 0/3 nodes are available: 3 node(s) didn't match.",
)
case(
    "no volume",
    service(),
    facts(
        pod("p", ready=False, containers=[], status={"podIPs": []}),
        events=[event(pod("p"), "FailedMount", 'MountVolume: secret "x" not found')],
    ),
    '1 pod matches, not ready: MountVolume: secret "x" not found',
)
case(
    "terminating",
    service(),
    facts(pod(deletionTimestamp="now")),
    "1 pod matches, terminating",
)
case(
    "readiness gate",
    service(),
    facts(
        pod(
            ready=False,
            status={"conditions": [{**UNREADY, "message": 'readiness gate "g" unmet'}]},
        )
    ),
    '1 pod matches, not ready: readiness gate "g" unmet',
)
case(
    "its node is not ready",
    service(),
    facts(pod(ready=False), nodes=[node(ready=False)]),
    "1 pod matches, not ready: node w1 is not ready",
)
case(
    "several reasons",
    service(),
    facts(
        pod("a", ready=False, containers=[CRASHED]),
        pod("b", ready=False, containers=[CRASHED]),
        pod("c", deletionTimestamp="now"),
    ),
    "2 of 3 pods that match, not ready: CrashLoopBackOff: exit code 3",
    "1 of 3 pods that match, terminating",
)
case(
    "only terminating, and they serve on",
    service(),
    facts(
        pod(deletionTimestamp="now"),
        slices=[slice_(endpoint(ready=False, serving=True, terminating=True))],
    ),
)
case(
    "published though not ready",
    service(publishNotReadyAddresses=True),
    facts(UNWELL, slices=[slice_(endpoint())]),
)

# Ports
case(
    "mistyped port name",
    service(ports=[{"port": 80, "targetPort": "htpp"}]),
    facts(pod(ports=HTTP)),
    "no port named htpp on its pods (nearest: http)",
)
case(
    "port name of another protocol",
    service(ports=[{"port": 53, "targetPort": "dns", "protocol": "UDP"}]),
    facts(pod(ports=[{"name": "dns", "containerPort": 53, "protocol": "TCP"}])),
    "no port named dns on its pods (it is TCP there, and UDP in the Service)",
)
case(
    "port name, and no port has any",
    service(ports=[{"port": 80, "targetPort": "http"}]),
    facts(pod(ports=[{"containerPort": 8080}])),
    "no port named http on its pods (their ports have no names: 8080)",
)
case(
    "port name, and no port is declared",
    service(ports=[{"port": 80, "targetPort": "http"}]),
    facts(pod()),
    "no port named http on its pods (their containers declare no ports)",
)
case(
    "one port of two",
    service(ports=[
        {"name": "http", "port": 80, "targetPort": "http"},
        {"name": "metrics", "port": 90, "targetPort": "metrcs"},
    ]),
    facts(
        pod(ports=[*HTTP, {"name": "metrics", "containerPort": 9100}]),
        slices=[slice_(endpoint(), ports=[{"name": "http", "port": 8080}])],
    ),
    "port metrics: no port named metrcs on its pods (nearest: metrics)",
)  # fmt: skip
case(
    "no address of the family",
    service(ipFamilies=["IPv4", "IPv6"]),
    facts(pod(), slices=[slice_(endpoint())]),
    "no IPv6 address on its pods, and the Service wants one (they have 10.244.1.3)",
)
case(
    "the other family is not asked for",
    service(ipFamilies=["IPv4", "IPv6"]),
    facts(pod(), slices=[slice_(endpoint())]),
    family="IPv4",
)
case(
    "EndpointSlices are behind",
    service(),
    facts(pod()),
    "its EndpointSlices lack its 1 ready pod, as yet",
)
case(
    "nobody listens",
    service(ports=[{"port": 80, "targetPort": 8080}]),
    heard(
        ListeningSocket("TCP", 80),
        ListeningSocket("TCP", 9000, "127.0.0.1"),
        ListeningSocket("UDP", 53),
    ),
    "nothing listens on 8080 (but on 80) in pod web-1",
)
case("nobody listens on anything", service(), heard(), "nothing listens on 80 in pod web-1")
case(
    "listens on loopback alone",
    service(),
    heard(ListeningSocket("TCP", 80, "127.0.0.1")),
    "nothing listens on 80 (but on 127.0.0.1:80) in pod web-1",
)
case(
    "listens on the other protocol",
    service(ports=[{"port": 80, "protocol": "TCP"}]),
    heard(ListeningSocket("UDP", 80)),
    "nothing listens on 80/TCP (but on 80/UDP) in pod web-1",
)
case(
    "listens in one family of two",
    service(ipFamilies=["IPv4", "IPv6"]),
    Facts(
        pods=[pod(status={"podIPs": [{"ip": IP}, {"ip": "fd00::3"}]})],
        slices=[slice_(endpoint()), slice_(endpoint("fd00::3"), family="IPv6")],
        nodes=[node()],
        listeners=lambda _pod: [ListeningSocket("TCP", 80, "0.0.0.0")],
    ),
    "nothing listens on 80 (but on 0.0.0.0:80) in pod web-1",
)
case(
    "listens in the only family asked for",
    service(),
    Facts(
        pods=[pod(status={"podIPs": [{"ip": IP}, {"ip": "fd00::3"}]})],
        slices=[slice_(endpoint())],
        nodes=[node()],
        listeners=lambda _pod: [ListeningSocket("TCP", 80, "0.0.0.0")],
    ),
)
case("listens", service(), heard(ListeningSocket("TCP", 80, "0.0.0.0")))
case(
    "one of two pods does not listen",
    service(),
    Facts(
        pods=[pod("a"), pod("b")],
        slices=[slice_(endpoint())],
        nodes=[node()],
        listeners=lambda one: (
            [ListeningSocket("TCP", 80)] if one["metadata"]["name"] == "a" else []
        ),
    ),
    "nothing listens on 80 in 1 of 2 pods: b",
)  # fmt: skip

# EndpointSlices of one's own
OWN = {"selector": None}
case(
    "neither selector nor slice",
    service(**OWN),
    facts(),
    "no selector, and no EndpointSlice is labelled kubernetes.io/service-name=web",
)
case(
    "a slice without the label",
    service(**OWN),
    facts(slices=[slice_(name="web-1", app="web")]),
    "no selector, and EndpointSlice web-1 lacks the label kubernetes.io/service-name=web",
)
case(
    "a slice with another port name",
    service(**OWN, ports=[{"name": "http", "port": 80}]),
    facts(slices=[slice_(endpoint(), ports=[{"name": "web", "port": 80}])]),
    "no EndpointSlice has a port http/TCP (there are: web/TCP)",
)
case(
    "a slice without endpoints",
    service(**OWN),
    facts(slices=[slice_()]),
    "EndpointSlice web-x has no endpoints",
)
case(
    "a slice with none that is ready",
    service(**OWN),
    facts(slices=[slice_(endpoint(ready=False))]),
    "EndpointSlice web-x: no endpoint is ready",
)
case(
    "a slice of another family",
    service(**OWN, ipFamilies=["IPv6"]),
    facts(slices=[slice_(endpoint())]),
    "the Service wants IPv6, and its EndpointSlices have addressType IPv4",
)
PREFERS_BOTH = {"ipFamilies": ["IPv4", "IPv6"], "ipFamilyPolicy": "PreferDualStack"}
case("a family that is only preferred", service(**OWN, **PREFERS_BOTH), GOOD)
case(
    "a family that is only preferred, and asked for",
    service(**OWN, **PREFERS_BOTH),
    GOOD,
    "the Service wants IPv6, and its EndpointSlices have addressType IPv4",
    family="IPv6",
)
case(
    "a slice with the address of no pod",
    service(**OWN),
    facts(slices=[slice_(endpoint("10.244.1.99"))]),
    "10.244.1.99 (EndpointSlice web-x) is the address of no pod",
)
case(
    "a slice with an address outside", service(**OWN), facts(slices=[slice_(endpoint("192.0.2.1"))])
)

# Policies, nodePorts, load balancers
TWO = Facts(pods=[pod()], slices=[slice_(endpoint())], nodes=[node(), node("master001")])
LOCAL = "externalTrafficPolicy: Local, and no endpoint on master001 (endpoints are on w1)"
case("Local, and not on every node", service(**NODE_PORT), TWO, LOCAL)
case("Local, at a node without", service(**NODE_PORT), TWO, LOCAL, node="master001")
case("Local, at a node with", service(**NODE_PORT), TWO, node="w1")
case(
    "Local outside, and asked inside",
    service(**NODE_PORT),
    TWO,
    node="master001",
    entrance="clusterIP",
)
case(
    "Local inside",
    service(internalTrafficPolicy="Local"),
    TWO,
    "internalTrafficPolicy: Local, and no endpoint on master001 (endpoints are on w1)",
    node="master001",
    entrance="clusterIP",
)
case(
    "Local, behind a load balancer",
    service(**BALANCED, externalTrafficPolicy="Local", status=HAS_IP),
    TWO,
)
case("Cluster", service(type="NodePort", externalTrafficPolicy="Cluster"), TWO)
case(
    "no load balancer's address",
    service(**BALANCED),
    Facts(
        pods=[pod()],
        slices=[slice_(endpoint())],
        nodes=[node()],
        events=[
            event(
                service(),
                "AllocationFailed",
                'Failed to allocate IP for "default/web": no available IPs',
            )
        ],
    ),
    "no load balancer's address: no available IPs",
)
case(
    "no load balancer's pool",
    service(**BALANCED),
    Facts(pods=[pod()], slices=[slice_(endpoint())], nodes=[node()], has_pool=False),
    "no load balancer's address: the Lab's loadBalancer.pool is none",
)
case(
    "another's load balancer",
    service(**BALANCED, loadBalancerClass="example.com/x"),
    GOOD,
    "no load balancer's address: loadBalancerClass example.com/x is left to somebody else",
)
case(
    "nobody announces",
    service(**BALANCED, status=HAS_IP),
    Facts(
        pods=[pod()],
        slices=[slice_(endpoint())],
        nodes=[node(**{"node.kubernetes.io/exclude-from-external-load-balancers": ""})],
    ),
    "no node answers for 172.16.110.200: all are labelled "
    "node.kubernetes.io/exclude-from-external-load-balancers",
)
case(
    "nobody announces what nobody serves",
    service(**BALANCED, status=HAS_IP),
    Facts(pods=[pod()], slices=[slice_(endpoint(ready=False, serving=False))], nodes=[node()]),
    "its EndpointSlices lack its 1 ready pod, as yet",
    "no node answers for 172.16.110.200: no endpoint serves",
)
case(
    "not among the source ranges",
    service(**BALANCED, status=HAS_IP, loadBalancerSourceRanges=["10.0.0.0/8"]),
    GOOD,
    "loadBalancerSourceRanges 10.0.0.0/8 leave 172.16.110.100 out",
    entrance="loadBalancer",
    source="172.16.110.100",
)
case(
    "among the source ranges",
    service(**BALANCED, status=HAS_IP, loadBalancerSourceRanges=["172.16.0.0/12"]),
    GOOD,
    entrance="loadBalancer",
    source="172.16.110.100",
)
case(
    "not among the nodePortAddresses",
    service(type="NodePort"),
    Facts(
        pods=[pod()],
        slices=[slice_(endpoint())],
        nodes=[node()],
        node_port_addresses={"w1": ("10.10.11.20",)},
    ),
    "nodePortAddresses leave 172.16.110.20 out (nodePorts answer at 10.10.11.20)",
    node="w1",
    entrance="nodePort",
    destination="172.16.110.20",
)

# Other kinds
EXTERNAL = {"type": "ExternalName", "selector": None}
case("external name", service(**EXTERNAL, externalName="db.example.com"), facts())
case(
    "external name that is an address",
    service(**EXTERNAL, externalName="10.0.0.1"),
    facts(),
    "externalName 10.0.0.1 is an address, and DNS takes it for a name",
)
case(
    "external name of no Service",
    service(**EXTERNAL, externalName="db.shop.svc.cluster.local"),
    facts(services=[service("web")]),
    "externalName: there is no Service shop/db",
)
case(
    "another proxy's",
    service(labels={"service.kubernetes.io/service-proxy-name": "x"}),
    GOOD,
    "the label service.kubernetes.io/service-proxy-name leaves it to another proxy",
)
case(
    "headless without ports",
    service(clusterIP="None", ports=[], **WBE),
    GOOD,
    "selector app=wbe matches no pod (nearest: app=web)",
)
case("healthy", service(), GOOD)


@pytest.mark.parametrize("name", CASES)
def test_cause(name: str) -> None:
    service_, known, way, lines = CASES[name]
    assert [str(cause) for cause in causes(service_, known, way)] == lines


def test_a_cause_as_json() -> None:
    cause = causes(service(**NODE_PORT), TWO)[0]
    assert cause.json() == {
        "reason": "NoLocalEndpoint",
        "message": LOCAL,
        "nodes": ("master001",),
        "line": LOCAL,
        "remedy": 'netlab patch svc web -p \'{"spec":{"externalTrafficPolicy":"Cluster"}}\''
        "    # or a pod on each node",
    }
    assert Cause("X", "y", port="http").json()["line"] == "port http: y"
    assert str(Cause("X", "no\n  PASS\tall")) == "no PASS all"


def test_what_is_amiss_with_some_of_the_pods() -> None:
    web = service(ports=[{"port": 80, "targetPort": "http"}])
    known = facts(
        pod("a", ports=HTTP), pod("b"), pod("c", ready=False, containers=[CRASHED])
    )  # fmt: skip
    assert list(map(str, partial(web, known))) == [
        "1 of 3 pods that match, not ready: CrashLoopBackOff: exit code 3",
        "no port named http on 1 of 2 pods: b",
    ]
    assert partial(service(), GOOD) == ()


@pytest.mark.parametrize(("app", "ends"), [("wep", "}}'"), ("backend", "    # if it is meant")])
def test_what_is_near_and_not_alike_may_be_another(app: str, ends: str) -> None:
    (cause,) = causes(service(), facts(pod(labels={"app": app})))
    assert app in cause.remedy and cause.remedy.endswith(ends)


def test_ports_that_nobody_has() -> None:
    ports = [{"name": "http", "port": 80, "nodePort": 30080}, {"port": 53, "protocol": "UDP"}]
    web = service(ports=ports)
    said = "the Service has no port 8080/TCP (there are: http 80/TCP, 53/UDP)"
    assert str(no_such_port(web, 8080, "TCP")) == said
    said = "no Service has the nodePort 30081/TCP (nearest: 30080 of default/web)"
    assert str(nearest_node_port(30081, "TCP", [web])) == said
    assert "no Service has any" in str(nearest_node_port(30081, "UDP", [web]))


def test_pods_of_a_thousand_reasons_fit_on_a_screen() -> None:
    odd = [
        pod(f"p{number}", ready=False, status={"conditions": [{**UNREADY, "message": str(number)}]})
        for number in range(9)
    ]
    lines = [str(cause) for cause in causes(service(), facts(*odd))]
    assert len(lines) == 4
    assert lines[-1] == (
        "6 of 9 pods that match, not ready for other reasons: p3, p4, p5, p6 and 2 more"
    )


def test_remedies_say_what_would_be_right() -> None:
    near = pod(labels={"app": "web", "tier": "front"})
    two = {"selector": {"app": "wbe", "teir": "front"}}
    [cause] = causes(service(**two), Facts(pods=[near]))
    assert cause.remedy == (
        'netlab patch svc web -p \'{"spec":{"selector":{"app":"web","teir":null,"tier":"front"}}}\''
    )
    idle = workload(replicas=0)
    [cause] = causes(service(), Facts(workloads=[idle]))
    assert cause.remedy == "netlab scale deployment web --replicas=1"


def test_a_node_that_is_off() -> None:
    off = node()
    off["metadata"]["annotations"] = {"netlab/power": "off"}
    facts = Facts(
        pods=[pod()],
        nodes=[off, node("w2")],
        slices=[slice_(endpoint(), endpoint("10.244.2.3", "w2"))],
    )
    [cause] = causes(service(), facts)
    assert (cause.reason, cause.nodes) == ("NodeOff", ("w1",))
    assert str(cause) == (
        "1 of 2 endpoints is on node w1, which is switched off: what is sent there is lost"
    )
    [cause] = causes(service(), Facts(pods=[pod(ready=False)], nodes=[off]))
    assert str(cause) == "1 pod matches, not ready: node w1 is switched off"
    assert remedy(cause, "web", "default") == "sudo netlab node start w1"


ELSEWHERE = [ListeningSocket("TCP", 80), ListeningSocket("TCP", 9, "127.0.0.1")]


def refusing(probe: Object, **owner: Any) -> Facts:
    """A pod of a Deployment whose probe asks a port on which it does not listen."""
    mine = pod(ready=False, containers=[{**RUNNING}], **owner)
    mine["spec"]["containers"] = [{"name": "c", "ports": [{"name": "up", "containerPort": 81}],
                                   "readinessProbe": probe}]  # fmt: skip
    said = "Readiness probe failed: dial tcp 10.244.1.3:81: connect: connection refused"
    made = {"kind": "ReplicaSet", "metadata": named("web-1"), "spec": {}}
    made["metadata"]["ownerReferences"] = [{"controller": True, "uid": "default/web"}]
    return Facts(
        pods=[mine],  # type: ignore[list-item]
        events=[event(mine, "Unhealthy", said)],  # type: ignore[list-item]
        workloads=[workload(), made],  # type: ignore[list-item]
        listeners=lambda _: ELSEWHERE,
    )


@pytest.mark.parametrize("port", [81, "up"])
def test_a_probe_that_asks_where_nobody_listens(port: int | str) -> None:
    known = refusing({"httpGet": {"port": port}}, ownerReferences=[
        {"controller": True, "uid": "default/web-1"}])  # fmt: skip
    (cause,) = causes(service(), known)  # type: ignore[arg-type]
    assert str(cause) == (
        "1 pod matches, not ready: readiness probe failed: nothing listens on 81 (but on 80)"
    )
    assert cause.remedy == (
        'netlab patch deployment web -p \'{"spec":{"template":{"spec":{"containers":'
        '[{"name":"c","readinessProbe":{"httpGet":{"port":80}}}]}}}}\''
    )
    alone = refusing({"tcpSocket": {"port": port}})
    (cause,) = causes(service(), alone)  # type: ignore[arg-type]
    assert cause.remedy == ""  # a pod's own probes cannot be changed


def test_a_port_of_the_other_protocol() -> None:
    mine = pod()
    udp = service(ports=[{"name": "x", "port": 80, "protocol": "UDP"}])
    known = Facts(
        pods=[mine],  # type: ignore[list-item]
        slices=[slice_(endpoint(), ports=[{"name": "x", "port": 80, "protocol": "UDP"}])],  # type: ignore[list-item]
        listeners=lambda _: ELSEWHERE,
    )
    (cause,) = causes(udp, known)  # type: ignore[arg-type]
    assert cause.remedy == (
        'netlab patch svc web -p \'{"spec":{"ports":[{"port":80,"protocol":"TCP",'
        '"targetPort":80}]}}\''
    )
    udp["spec"]["ports"].append({"name": "y", "port": 80, "protocol": "TCP"})
    assert causes(udp, known)[0].remedy == ""  # type: ignore[arg-type]
