"""What a node-cache's arguments say, and that who has none does not pay for it."""

from __future__ import annotations

import subprocess
import sys
from collections import defaultdict
from typing import Any

import pytest

from netlab.agents.corefiles import Corefiles, configured, local_addresses
from netlab.dns.corefile import CacheSettings
from netlab.objects.lab import lab_from_object


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        ("169.254.20.10", ("169.254.20.10",)),
        ("169.254.20.10,10.96.0.10", ("169.254.20.10", "10.96.0.10")),  # as upstream's manifest
        ("fd00:0090::0010", ("fd00:90::10",)),
        ("__PILLAR__LOCAL__DNS__,", ()),
        ("", ()),
    ],
)
def test_where_it_answers(text: str, addresses: tuple[str, ...]) -> None:
    assert local_addresses(text) == addresses


VOLUMES: list[Any] = [
    {"name": "whole", "configMap": {"name": "all"}},
    {"name": "part", "configMap": {"name": "some", "items": [{"key": "K", "path": "Corefile"}]}},
    {"name": "disk", "emptyDir": {}},
]


@pytest.mark.parametrize(
    ("mounts", "path", "found"),
    [
        ([("whole", "/etc/coredns", "")], "/etc/coredns/Corefile", ("all", "Corefile")),
        ([("part", "/etc/coredns/", "")], "/etc/coredns/Corefile", ("some", "K")),
        ([("part", "/etc/coredns", "")], "/etc/coredns/Corefile.base", None),
        ([("whole", "/etc/Corefile", "Core")], "/etc/Corefile", ("all", "Core")),
        ([("whole", "/other", ""), ("disk", "/etc", "")], "/etc/Corefile", None),
        ([], "/etc/Corefile", None),
    ],
)
def test_where_its_corefile_comes_from(mounts: Any, path: str, found: Any) -> None:
    said = [{"name": n, "mountPath": at, **({"subPath": s} if s else {})} for n, at, s in mounts]
    pod: Any = {"spec": {"volumes": VOLUMES}}
    container: Any = {"name": "c", "volumeMounts": said}
    assert configured(pod, container, path) == found


class Known:
    """An informer that holds these."""

    def __init__(self, **objects: Any) -> None:
        self.objects = {name.replace("_", "-"): each for name, each in objects.items()}

    def get(self, key: str) -> Any:
        return self.objects.get(key.removeprefix("kube-system/"))


def test_kube_dns_configmap_is_read_where_it_is_mounted() -> None:
    """One that is wrong changes nothing, and is told of; with one that goes its servers go."""
    base = "cluster.local {\n forward . __PILLAR__CLUSTER__DNS__\n}\n"
    base += ". {\n forward . __PILLAR__UPSTREAM__SERVERS__\n}\n"
    configs = Known(cache={"data": {"Base": base}})
    services = Known(kube_dns={"spec": {"clusterIP": "10.96.0.10"}})
    informers: Any = {"ConfigMap": configs, "Service": services}
    lab = lab_from_object({"metadata": {"name": "t"}, "spec": {"nodes": 1}})
    items = [{"key": "Base", "path": "Corefile.base"}]
    volumes = [
        {"name": "base", "configMap": {"name": "cache", "items": items}},
        {"name": "more", "configMap": {"name": "kube-dns", "optional": True}},
    ]
    pod: Any = {"metadata": {"namespace": "kube-system"}, "spec": {"volumes": volumes}}
    places = {"base": "/etc/coredns", "more": "/etc/kube-dns"}
    mounts = [{"name": name, "mountPath": place} for name, place in places.items()]
    container: Any = {"args": ["-localip", "169.254.25.10"], "volumeMounts": mounts}
    corefiles = Corefiles(lab, informers)

    def found(container: Any = container) -> tuple[dict[str, Any], tuple[str, ...]]:
        settings = corefiles.settings(pod, container)
        return dict(settings.servers), settings.notes

    usual = {"cluster.local": ("10.96.0.10",), ".": lab.external.gateway_ips}
    assert found() == (usual, ())
    stubs = {"acme.test": ("10.0.0.1",), ".": ("1.1.1.1",)}
    data = {"stubDomains": '{"acme.test": ["10.0.0.1"]}', "upstreamNameservers": '["1.1.1.1"]'}
    configs.objects["kube-dns"] = {"data": data}
    assert found() == ({**usual, **stubs}, ())
    configs.objects["kube-dns"] = {"data": {"stubDomains": "nonsense"}}
    servers, (note,) = found()
    assert servers == {**usual, **stubs}
    assert note.startswith("kube-dns: stubDomains: no JSON") and note.endswith("it is left out")
    assert found({**container, "volumeMounts": mounts[:1]}) == (usual, ()), "nobody mounts it"
    elsewhere = [mounts[0], {"name": "more", "mountPath": "/more"}]
    flags = [*container["args"], "-kubednscm", "/more/"]
    configs.objects["kube-dns"] = {"data": data}
    assert found({**container, "args": flags, "volumeMounts": elsewhere})[0]["."] == ("1.1.1.1",)
    del configs.objects["kube-dns"]
    assert found() == (usual, ())


OWNER = "12345678-1234-5678-1234-567812345678"


class Client:
    """Keeps what is answered for a cache."""

    def __init__(self) -> None:
        self.said: set[str] = set()

    async def ensure_served(self, pod: Any) -> None:
        self.said.add(pod.uid)

    async def health(self, uid: str, *_: Any) -> list[str]:
        self.said.add(uid)
        return []

    async def stop(self, uids: list[str]) -> None:
        self.said -= set(uids)


async def test_one_that_hangs_or_has_ended_says_nothing(keeper: Any, pod_run: Any) -> None:
    from netlab.agents.nodecache import NodeCaches
    from netlab.agents.nodecache_pod import NodeCache
    from netlab.dns.statistics import Statistics

    lab = lab_from_object({"metadata": {"name": "t"}, "spec": {"nodes": 1}})
    keeper.client = client = Client()
    unused: Any = None
    caches = NodeCaches(lab, defaultdict(lambda: unused), OWNER, unused, keeper, unused, unused)  # type: ignore[arg-type]
    settings = CacheSettings(servers=(), metrics=("", 9253), health=("", 8080))
    run = pod_run({"name": "c", "args": ["-localip", "169.254.25.10"]})
    cache = NodeCache(lab, run, "c", OWNER, settings, tuple)
    caches._caches["u", "c"] = cache
    answers: list[Statistics | None] = [Statistics(), None, Statistics()]

    async def counted() -> Statistics | None:
        return answers.pop(0)

    cache.counted = counted  # type: ignore[method-assign]
    everything = {"u/metrics", "u/health/169.254.25.10"}
    for said in (everything, set(), everything):
        await caches._say(cache)
        assert client.said == said

    class Life:
        async def ended(self, code: int) -> None:
            assert code == 137 and client.said == set()

    await caches._ended(cache, Life(), 137)  # type: ignore[arg-type]


def test_a_controller_imports_nothing_of_it_before_there_is_one() -> None:
    modules = (
        "netlab.agents.nodecache",
        "netlab.dns.corefile",
        "netlab.proxy.untracked",
        "netlab.network.cachelink",
    )
    told = f"import sys, netlab.daemon; print(*(set({modules!r}) & set(sys.modules)))"
    argv = [sys.executable, "-c", told]
    assert subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip() == ""
