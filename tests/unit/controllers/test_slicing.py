import copy

from netlab.controllers import endpoints_of, slicing
from netlab.controllers.endpoints_of import PortSet

HTTP = PortSet((("http", "TCP", 80, ""),))
ALT = PortSet((("http", "TCP", 8080, ""),))
METADATA = {"generateName": "web-", "labels": {"a": "b"}}


def entry(number, ready=True):
    return {
        "addresses": [f"10.0.{number // 256}.{number % 256}"],
        "conditions": {"ready": ready},
        "targetRef": {"uid": f"u{number}"},
    }


def stored(name, ports, entries, labels=None):
    return {
        "kind": "EndpointSlice",
        "metadata": {"name": name, "labels": labels or {"a": "b"}},
        "addressType": "IPv4",
        "ports": ports.as_list(),
        "endpoints": list(entries),
    }


def plan(groups, existing=()):
    return slicing.plan("IPv4", groups, copy.deepcopy(list(existing)), METADATA)


def counts(changes):
    return len(changes.create), len(changes.update), len(changes.delete)


def test_no_endpoints_is_one_empty_slice_which_then_stays():
    changes = plan({})
    assert counts(changes) == (1, 0, 0)
    assert changes.create[0]["endpoints"] == [] and changes.create[0]["ports"] == []
    assert counts(plan({}, [stored("web-1", PortSet(()), [])])) == (0, 0, 0)


def test_a_hundred_fit_in_a_slice():
    changes = plan({HTTP: [entry(n) for n in range(250)]})
    assert [len(one["endpoints"]) for one in changes.create] == [100, 100, 50]


def test_what_is_right_is_not_written():
    existing = [stored("web-1", HTTP, [entry(2), entry(1)])]
    assert counts(plan({HTTP: [entry(1), entry(2)]}, existing)) == (0, 0, 0)


def test_one_change_of_readiness_writes_one_slice_and_moves_nothing():
    existing = [
        stored("web-1", HTTP, [entry(n) for n in range(100)]),
        stored("web-2", HTTP, [entry(n) for n in range(100, 150)]),
    ]
    wanted = [entry(n, ready=n != 120) for n in range(150)]
    changes = plan({HTTP: wanted}, existing)
    assert counts(changes) == (0, 1, 0)
    (updated,) = changes.update
    assert updated["metadata"]["name"] == "web-2"
    assert updated["endpoints"] == wanted[100:]


def test_a_new_endpoint_goes_where_a_write_happens_anyway():
    existing = [
        stored("web-1", HTTP, [entry(n) for n in range(60)]),
        stored("web-2", HTTP, [entry(n) for n in range(60, 150)]),
    ]
    wanted = [entry(n) for n in range(1, 150)] + [entry(500)]
    changes = plan({HTTP: wanted}, existing)
    assert counts(changes) == (0, 1, 0)
    assert changes.update[0]["metadata"]["name"] == "web-1"
    assert changes.update[0]["endpoints"][-1] == entry(500)


def test_a_slice_that_loses_all_is_deleted_but_the_last_stays_when_ports_do():
    existing = [
        stored("web-1", HTTP, [entry(n) for n in range(100)]),
        stored("web-2", HTTP, [entry(100)]),
    ]
    changes = plan({HTTP: [entry(n) for n in range(100)]}, existing)
    assert counts(changes) == (0, 0, 1)
    assert changes.delete[0]["metadata"]["name"] == "web-2"


def test_pods_that_serve_other_ports_get_slices_of_their_own():
    changes = plan(
        {HTTP: [entry(1)], ALT: [entry(2)]}, [stored("web-1", HTTP, [entry(1), entry(2)])]
    )
    assert counts(changes) == (1, 1, 0)
    assert changes.create[0]["ports"][0]["port"] == 8080
    assert changes.update[0]["endpoints"] == [entry(1)]


def test_a_change_of_labels_is_carried_to_every_slice():
    changes = plan({HTTP: [entry(1)]}, [stored("web-1", HTTP, [entry(1)], labels={"old": "x"})])
    assert changes.update[0]["metadata"]["labels"] == {"a": "b"}


def pod(name="p", ready=True, going=False, ips=("10.0.0.1",), ports=(), **spec):
    one = {
        "metadata": {"name": name, "namespace": "default", "uid": name},
        "spec": {"nodeName": "n1", "containers": [{"name": "c", "ports": list(ports)}], **spec},
        "status": {
            "phase": "Running",
            "podIP": ips[0] if ips else "",
            "podIPs": [{"ip": ip} for ip in ips],
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
        },
    }
    if going:
        one["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    return one


def service(**spec):
    return {
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}], **spec},
    }


def conditions(service_, pod_):
    return endpoints_of.endpoint(service_, pod_, "10.0.0.1", None)["conditions"]


def test_conditions_through_a_pod_s_life():
    said = [
        conditions(service(), pod(ready=False)),
        conditions(service(), pod()),
        conditions(service(), pod(going=True)),
        conditions(service(), pod(going=True, ready=False)),
    ]
    as_tuples = [(c["ready"], c["serving"], c["terminating"]) for c in said]
    assert as_tuples == [
        (False, False, False),
        (True, True, False),
        (False, True, True),
        (False, False, True),
    ]


def test_publish_not_ready_addresses_makes_all_ready():
    regardless = service(publishNotReadyAddresses=True)
    assert conditions(regardless, pod(ready=False))["ready"] is True
    assert conditions(regardless, pod(going=True))["ready"] is True


def test_a_named_target_port_is_looked_up_in_each_pod():
    named = service(ports=[{"name": "http", "port": 80, "targetPort": "web"}])
    old = pod("old", ports=[{"name": "web", "containerPort": 8080}])
    new = pod("new", ports=[{"name": "web", "containerPort": 9090}])
    udp = pod("udp", ports=[{"name": "web", "containerPort": 1, "protocol": "UDP"}])
    groups = endpoints_of.grouped(named, [udp, old, new], "IPv4", {})
    assert {ports.ports: [e["targetRef"]["name"] for e in es] for ports, es in groups.items()} == {
        (("http", "TCP", 9090, ""),): ["new"],
        (("http", "TCP", 8080, ""),): ["old"],
        (): ["udp"],
    }


def test_a_named_target_port_may_be_a_sidecars_but_no_other_init_containers():
    named = service(ports=[{"name": "http", "port": 80, "targetPort": "web"}])
    init = {"name": "i", "ports": [{"name": "web", "containerPort": 8081}]}
    for more, port in (({"restartPolicy": "Always"}, 8081), ({}, None)):
        one = pod()
        one["spec"]["initContainers"] = [{**init, **more}]
        (ports,) = endpoints_of.grouped(named, [one], "IPv4", {})
        assert [found for _, _, found, _ in ports.ports] == ([port] if port else [])


def test_each_family_has_its_own_addresses_and_zones_come_from_nodes():
    dual = pod(ips=("10.0.0.1", "fd00::1"))
    (v6,) = endpoints_of.grouped(service(), [dual], "IPv6", {"n1": "a"}).values()
    assert v6[0]["addresses"] == ["fd00::1"] and v6[0]["zone"] == "a"
    assert endpoints_of.grouped(service(), [pod()], "IPv6", {}) == {}


def test_pods_without_address_or_with_their_work_done_are_no_endpoints():
    done = pod("done")
    done["status"]["phase"] = "Succeeded"
    assert endpoints_of.grouped(service(), [done, pod("new", ips=())], "IPv4", {}) == {}


def test_only_the_service_a_pod_names_as_subdomain_gives_it_a_hostname():
    named = pod(hostname="db-0", subdomain="web")
    assert endpoints_of.hostname_of(service(), named) == "db-0"
    assert endpoints_of.hostname_of(service(), pod(hostname="db-0", subdomain="other")) is None
