"""The control plane of one lab: its objects, saved in its directory and served as the API."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import ssl
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from aiohttp import web

from netlab.api import kubeconfig
from netlab.api.access import ACCESS
from netlab.api.accounts import Accounts
from netlab.api.doors import Doors
from netlab.api.guests import Guests
from netlab.api.identity import Identity
from netlab.api.secure import SecureListener
from netlab.api.server import build_app
from netlab.api.tokens import TokenKey
from netlab.client.inprocess import InProcessApi
from netlab.client.kubelets import Kubelets
from netlab.client.protocol import Api
from netlab.errors import NetlabError, NotFound
from netlab.kernel import caller, files, machine, paths
from netlab.objects import bootstrap, machines, meta, nodelocaldns, policy
from netlab.objects.kinds import BY_KIND
from netlab.objects.lab import Lab, Node
from netlab.objects.meta import AnyObject, Object
from netlab.objects.nodes import standing
from netlab.objects.times import timestamp
from netlab.serving.http import serve_unix
from netlab.store import failures
from netlab.store.registry import Registry
from netlab.store.store import Store
from netlab.tasks import cancel

log = logging.getLogger("netlab")

VARIABLE = "NETLAB_API"
"""With the value `http`, controllers and agents talk to the API over its socket, and the API to
kubelets over theirs, as they would to such that are elsewhere."""


class ControlPlane:
    """Serves the API until closed; `kubelets` are those of this process."""

    def __init__(self, lab: Lab, directory: Path, kubelets: Kubelets) -> None:
        self._lab = lab
        self._directory = directory
        self._kubelets = kubelets
        self._store = Store(paths.store(directory))
        self._registry = Registry(self._store, lab, node_lifecycle=lab.node_lifecycle)
        self._stack = contextlib.AsyncExitStack()
        self._stack.callback(self._store.close)
        self._runner: web.AppRunner | None = None
        self._identity = Identity(paths.tls(directory))
        key = TokenKey(paths.tls(directory) / "sa.key")
        self._accounts = Accounts(self._registry, key, lab.dns.domain, time.time)
        self._certified: asyncio.Task[None] | None = None
        self._names: Sequence[str] = ()
        """Those in the server's certificate."""

    async def start(self, routes: Iterable[web.RouteDef]) -> None:
        """Make what every cluster begins with, and serve on the lab's socket.

        That is its owner's: who called sudo to start us, if anybody did. What may be asked of a lab
        needs no second sudo. That gives nothing away, for whoever starts labs decides what runs in
        them.
        """
        own = bootstrap.control_plane_objects(self._lab)
        is_new = not self._exists(own[0])
        for obj in (*own, *policy.objects()):
            if not self._exists(obj) and (is_new or not bootstrap.is_peoples(obj)):
                self._registry.create(obj)
        self._keep_addons()
        self._keep_domain()
        ranges = self._registry.get("ServiceCIDR", "", "kubernetes")
        if not meta.is_ready(ranges):
            status = bootstrap.service_cidr_status(timestamp(time.time()))
            self._registry.update({**ranges, "status": status}, subresource="status")
        self._certify()
        app = build_app(self._registry, self._reached(), routes, accounts=self._accounts)
        socket = paths.api_socket(self._directory)
        self._runner = await serve_unix(app, socket, owner=caller.uid())
        self._stack.push_async_callback(self._runner.cleanup)

    def _keep_addons(self) -> None:
        """What the lab's file had before, and has no more or otherwise, is as the file has it."""
        wanted = {
            (obj["kind"], meta.name(obj)): obj for obj in nodelocaldns.node_local_objects(self._lab)
        }
        label = ",".join(f"{name}={value}" for name, value in nodelocaldns.ADDON.items())
        for kind in ("DaemonSet", "ConfigMap", "Service", "ServiceAccount"):
            found = self._registry.selected(BY_KIND[kind], nodelocaldns.NAMESPACE, label, "")
            for obj in list(found):
                name = meta.name(obj)
                own = wanted.get((kind, name))
                if own is None:
                    self._registry.delete(kind, nodelocaldns.NAMESPACE, name)
                elif not nodelocaldns.holds(obj, own):
                    self._registry.update({**obj, **own, "metadata": obj["metadata"]})

    def _keep_domain(self) -> None:
        """A Corefile that nobody has changed names the domain that the lab has now."""
        own = bootstrap.dns_config(self._lab)
        if not self._exists(own):
            return
        found = self._registry.get("ConfigMap", meta.namespace(own), meta.name(own))
        text = (found.get("data") or {}).get("Corefile", "")
        if bootstrap.is_first_corefile(text) and found["data"] != own["data"]:
            self._registry.update({**found, "data": own["data"]})

    async def close(self) -> None:
        """Serve no more; what was acknowledged is saved."""
        await self._stack.aclose()

    @property
    def is_remote(self) -> bool:
        """Whether `api` and kubelets are reached over sockets."""
        return os.environ.get(VARIABLE) == "http"

    def api(self) -> Api:
        """The API, for the controllers and nodes of the lab; once it is served."""
        if not self.is_remote:
            return InProcessApi(self._registry, self._accounts.issue)
        from netlab.client.http import HttpApi

        api = HttpApi(paths.api_socket(self._directory))
        self._stack.push_async_callback(api.close)
        return api

    def _reached(self) -> Kubelets:
        """The kubelets, as the API server reaches them."""
        if not self.is_remote:
            return self._kubelets
        from netlab.client.kubelet_http import HttpKubelets

        kubelets = HttpKubelets(paths.kubelet_socket(self._directory))
        self._stack.push_async_callback(kubelets.close)
        return kubelets

    async def authority(self) -> str:
        """The certificate of the lab's CA, once there is one; "" where none can be made."""
        assert self._certified is not None
        try:
            await asyncio.shield(self._certified)
        except (NetlabError, OSError):
            return ""
        return self._identity.authority.read_text()

    async def listen_for_clients(self) -> None:
        """Serve over TLS as well, for kubectl and for what runs in the lab, which works without."""
        assert self._runner is not None
        listener = SecureListener(self._runner, self._lab.name, self._directory, self._names)
        self._stack.push_async_callback(listener.close)
        try:
            await listener.start()
            await self._open_doors(self._runner)
        except (NetlabError, OSError):
            log.exception("the API is not served over TLS")

    async def _open_doors(self, runner: web.AppRunner) -> None:
        protocols = runner.server
        assert protocols is not None
        context = self._identity.server_context(strangers=True)
        guests = Guests(protocols, context)
        self._stack.push_async_callback(guests.stop)
        runner.app[ACCESS].guests = guests
        server = bootstrap.api_server(self._lab)
        text = kubeconfig.render(self._lab.name, server, self._identity)
        files.write(paths.admin_kubeconfig(self._directory), text)
        certify = partial(self._certify_anew, context)
        doors = Doors(self._lab, self._directory, guests, self._nodes, certify)
        self._stack.push_async_callback(doors.stop)
        doors.start()

    def _nodes(self) -> tuple[Node, ...]:
        return standing(self._lab, self._registry.list("Node").items).nodes

    def _certify(self) -> None:
        """Begin to make the certificates, which takes processes of their own and need not wait."""
        self._names = bootstrap.api_names(self._lab, self._nodes())
        making = asyncio.to_thread(self._identity.ensure_server, self._names)
        self._certified = asyncio.create_task(making, name="certificates")
        self._stack.push_async_callback(cancel, self._certified)

    async def _certify_anew(self, context: ssl.SSLContext) -> None:
        """Have the certificate name the control plane's nodes that there are now."""
        names = bootstrap.api_names(self._lab, self._nodes())
        if set(names) <= set(self._names):
            return
        await asyncio.to_thread(self._identity.ensure_server, names)
        self._identity.renew(context)
        self._names = names

    def join(self, entry: Mapping[str, Any]) -> Object:
        """Make the Node of one more machine, such as a lab's file would have it; what the entry
        does not say is chosen. `Invalid` or `AlreadyExists`.

        One that the lab's file has needs no more than its name.
        """
        node = self._joined(entry)
        obj: Object = {**bootstrap.node_object(node, machine.facts().architecture)}
        if node != self._lab.node(node.name):
            obj["metadata"]["annotations"] = machines.annotation(node)
        return self._registry.create(obj)

    def _joined(self, entry: Mapping[str, Any]) -> Node:
        known = self._lab.node(entry["name"])
        if known is not None and set(entry) == {"name"}:
            return known
        there = standing(self._lab, self._registry.list("Node").items)
        others = [one for one in (*there.nodes, *there.off) if one.name != entry["name"]]
        joined = machines.joined(self._lab, others, entry)
        if isinstance(joined, list):
            raise failures.invalid(BY_KIND["Node"], entry["name"], joined)
        return joined

    def unsaved(self) -> Iterator[str]:
        """A line if no change can be saved."""
        if refusal := self._store.refusal():
            yield f"{refusal}: nothing can change until there is room in {self._directory}"

    @property
    def is_stuck(self) -> bool:
        """Whether nothing changes, however long one waits."""
        return bool(self._store.refused) and any(self.unsaved())

    def _exists(self, obj: AnyObject) -> bool:
        try:
            self._registry.get(obj["kind"], meta.namespace(obj), meta.name(obj))
        except NotFound:
            return False
        return True
