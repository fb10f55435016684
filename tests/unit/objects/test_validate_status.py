import pytest

from netlab.objects.validation import validate_status as status


def ingress(**entry):
    return {"kind": "Service", "status": {"loadBalancer": {"ingress": [entry]}}}


def pod(**fields):
    return {"kind": "Pod", "status": fields}


@pytest.mark.parametrize(
    ("obj", "field", "words"),
    [
        (pod(podIP="a"), "status.podIP", "must be a valid IP address"),
        (pod(podIPs=[{"ip": "10.0.0.1"}, {"ip": "10.0.0.2\tx\n6.6.6.6"}]), "status.podIPs[1]",
         "must be a valid IP address"),
        (pod(podIPs=[{}]), "status.podIPs[0]", "must be a valid IP address"),
        (pod(hostIP="::%x"), "status.hostIP", "must be a valid IP address"),
        (pod(containerStatuses=[{"ready": True}]), "status.containerStatuses[0].name",
         "Required value"),
        (ingress(ip="10.0.0.1/8"), "status.loadBalancer.ingress[0].ip", "a valid IP address"),
        (ingress(hostname="a b"), "status.loadBalancer.ingress[0].hostname", "RFC 1123 subdomain"),
        (ingress(hostname="1.2.3.4"), "status.loadBalancer.ingress[0].hostname", "not an IP"),
    ],
)  # fmt: skip
def test_what_a_status_may_not_say(obj, field, words):
    (problem,) = status(obj)
    assert problem.field == field
    assert words in problem.message


@pytest.mark.parametrize(
    "obj",
    [
        pod(),
        pod(podIP="10.0.0.1", podIPs=[{"ip": "10.0.0.1"}, {"ip": "fd00::1"}], hostIP="10.0.0.2"),
        ingress(ip="10.0.0.1", hostname="a.b"),
        {"kind": "Node", "status": {"addresses": [{"address": "x"}]}},
        {"kind": "Service"},
    ],
)
def test_what_it_may_say(obj):
    assert list(status(obj)) == []
