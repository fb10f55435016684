"""What a kubelet answers by itself through `nodes/NAME/proxy`: its health, its pods, its logs.

The paths are a kubelet's own (pkg/kubelet/server). /logs/ is its machine's /var/log, of which a
node of a lab has the directories of its containers' logs.
"""

from __future__ import annotations

import html
from collections.abc import Iterator

from aiohttp import web

from netlab.api import containers
from netlab.api.call import Call
from netlab.api.paths import MethodNotAllowed
from netlab.client.kubelets import ContainerRef, LogOptions
from netlab.errors import NotFound
from netlab.objects import meta
from netlab.objects.meta import Object
from netlab.serving import chunks
from netlab.serving.answers import plain_answer


async def answer(call: Call) -> web.StreamResponse:
    """The answer to a path; 404 as Go's where there is nothing."""
    if call.request.method not in ("GET", "HEAD"):
        raise MethodNotAllowed
    name, *rest = call.target.rest.split("/")
    if name in ("healthz", "pods") and any(rest):
        return _nothing()
    pods = list(_pods(call))
    if name == "healthz":
        return web.Response(text="ok")
    if name == "pods":
        head = {"kind": "PodList", "apiVersion": "v1", "metadata": {}}
        return plain_answer({**head, "items": pods})
    if name == "containerLogs" and len(rest) == 3:
        return await _container_logs(call, pods, *rest)
    return _listing(rest, pods) if name == "logs" else _nothing()


def _pods(call: Call) -> Iterator[Object]:
    """Those bound to the node."""
    node = call.target.name.split(":")[-2 if call.target.name.count(":") == 2 else 0]
    found = call.registry.list("Pod", None, field_selector=f"spec.nodeName={node}")
    yield from found.items


async def _container_logs(
    call: Call, pods: list[Object], namespace: str, name: str, container: str
) -> web.StreamResponse:
    for pod in pods:
        if (meta.namespace(pod), meta.name(pod)) == (namespace, name):
            wanted = LogOptions(
                follow=call.flag("follow"),
                tail=call.number("tailLines"),
                timestamps=call.flag("timestamps"),
                previous=call.flag("previous"),
            )
            at = ContainerRef(containers.ref(pod), container)
            logs = containers.kubelet_of(call, pod).logs(at, wanted)
            return await chunks.answer(call.request, logs)
    raise NotFound(f'pod "{name}" does not exist')


def _listing(path: list[str], pods: list[Object]) -> web.Response:
    """A directory as Go's file server lists it."""
    found = _entries([part for part in path if part], pods)
    if found is None:
        return _nothing()
    lines = [f'<a href="{html.escape(name)}">{html.escape(name)}</a>' for name in found]
    text = "\n".join(["<pre>", *lines, "</pre>", ""])
    return web.Response(text=text, content_type="text/html", charset="utf-8")


def _entries(path: list[str], pods: list[Object]) -> list[str] | None:
    """What a directory of /var/log holds; None if there is no such directory."""
    if not path:
        return ["pods/"]
    of_pods = {f"{meta.namespace(p)}_{meta.name(p)}_{meta.uid(p)}": p for p in pods}
    if path == ["pods"]:
        return [f"{name}/" for name in sorted(of_pods)]
    if len(path) == 2 and path[0] == "pods" and path[1] in of_pods:
        spec = meta.spec(of_pods[path[1]])
        return sorted(f"{one['name']}/" for one in spec.get("containers") or [])
    return None


def _nothing() -> web.Response:
    return web.Response(status=404, text="404 page not found\n")
