"""Names that lead nowhere."""

from __future__ import annotations

from typing import Any

from netlab.diagnosis.facts import Facts
from netlab.diagnosis.names import no_such_service, unresolved


def service(name: str, space: str, **spec: Any) -> Any:
    return {"metadata": {"name": name, "namespace": space}, "spec": spec}


WEB = service("web", "default", selector={"app": "web"}, ports=[{"port": 80}])
KUBE_DNS = service("kube-dns", "kube-system", selector={"k": "d"}, ports=[{"port": 53}])
SILENT = "no answer from the DNS server 10.96.0.10 in 1 s"
STOPPED = "dnsmasq on port 10531 (process 17) does not answer: it is stopped, or hangs"


def test_another_namespace_is_meant() -> None:
    cause = no_such_service("web", "shop", [WEB, KUBE_DNS])
    assert cause is not None
    assert str(cause) == ("there is no Service web in namespace shop (one is in namespace default)")
    assert cause.remedy == "sudo netlab why web.default    # this is its name"


def test_another_name_is_meant() -> None:
    cause = no_such_service("wbe", "default", [WEB])
    assert cause is not None and "(nearest: web)" in str(cause)
    assert no_such_service("xyzzy", "nowhere", [WEB]) is None


def test_the_cluster_has_no_name_server() -> None:
    [cause] = unresolved(SILENT, WEB, Facts(services=[WEB, KUBE_DNS]), (), reached=True)
    assert str(cause) == (
        "no DNS server answers (svc/web itself does, at its address): kube-system/kube-dns: "
        "selector k=d matches no pod (namespace kube-system has no pod)"
    )
    assert cause.remedy.startswith("netlab edit svc kube-dns -n kube-system    # spec.selector")


def test_its_programs_stand_still() -> None:
    [cause] = unresolved(SILENT, WEB, Facts(services=[WEB]), [STOPPED, "x"], reached=False)
    assert str(cause) == f"no DNS server answers: {STOPPED}"
    assert cause.remedy == "sudo kill -CONT 17"


def test_of_a_name_that_is_not_there_nothing_is_said_of_servers() -> None:
    problem = "the name does not resolve: db NXDOMAIN"
    assert not list(unresolved(problem, WEB, Facts(), (), reached=False))
