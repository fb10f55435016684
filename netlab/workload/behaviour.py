"""What a container of a manifest does here: a real process, built-in ports, or nothing.

Pure, but for `installed`, which asks the machine whether it has a program.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Literal

from msgspec import Struct, field
from msgspec.structs import replace

from netlab.kernel.search import which
from netlab.objects import meta
from netlab.objects.podcontainers import every_container
from netlab.objects.types import Container, ContainerPort, Pod
from netlab.workload.catalogue import Catalogue, ImagePort, ImageProgram, catalogue, env_named_in
from netlab.workload.configured import configured
from netlab.workload.documents import FILE_SERVER, file_server, has_documents, shows_files
from netlab.workload.served import Json, Listener, ServedContainer, ServedPod

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_PORT_NUMBER = re.compile(r"(?:^|:)([0-9]{1,5})\Z")
_TLS_PORTS = (443, 8443)
_REFERENCE = re.compile(r"\$\$|\$\(([-._a-zA-Z][-._a-zA-Z0-9]*)\)")


class Behaviour(Struct, frozen=True):
    """`process`: run `argv` in the sandbox; what it serves, if that is known, is in `listeners`.
    `server`: serve these. `idle`: just be there.

    `program`: the node agent keeps that one. `task`: the lab does that with the words in `argv`.
    `flags` are what a server's arguments said, `message` what its pod's owner should know of it. A
    process that `announces` says something once it has begun its work; all that an idle one ever
    `says` is one line.
    """

    kind: Literal["process", "server", "idle", "program", "task"]
    argv: tuple[str, ...] = ()
    listeners: tuple[Listener, ...] = ()
    flags: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    program: str = ""
    task: str = ""
    announces: bool = False
    message: str = ""
    says: str = ""


def installed(program: str) -> bool:
    """True when a pod would find that program: pods use this machine's own tools."""
    return which(program, PATH) is not None


def behaviour(
    container: Container,
    env: Mapping[str, str] | None = None,
    *,
    images: Catalogue | None = None,
    is_installed: Callable[[str], bool] = installed,
) -> Behaviour:
    """What a container (an entry of `spec.containers`) does, given its environment.

    A `command` is run as it stands, unless it names the very server that the image is known for.
    """
    images = images or catalogue()
    found = _behaviour(container, env or {}, images, is_installed)
    if found.kind != "server":
        return found
    own = configured(container, images.image(container["image"]).repository, is_installed)
    if own is not None and own.argv:
        return Behaviour("process", own.argv)
    program = images.lookup(container["image"])
    if shows_files(program, container):
        shown = _showing_files(program, container, found)
        found = shown or replace(found, message=_unshown(container, program))
    return replace(found, message=own.message) if own is not None else found


def _behaviour(
    container: Container,
    env: Mapping[str, str],
    images: Catalogue,
    is_installed: Callable[[str], bool],
) -> Behaviour:
    program = images.lookup(container["image"])
    command = expand(container.get("command") or (), env)
    args = expand(container.get("args") or (), env)
    if command:
        if not _is_own_binary(program, command[0]):
            return Behaviour("process", (*command, *args))
        args = (*command[1:], *args)
    if program.kind == "toolbox":
        return _toolbox(program, args, container, env)
    if not command and args and _is_foreign(program, args[0], is_installed):
        return Behaviour("process", args)
    return _server(program, args, container, env)


def _toolbox(
    program: ImageProgram, args: tuple[str, ...], container: Container, env: Mapping[str, str]
) -> Behaviour:
    argv = (*program.entrypoint, *args) if args else program.command
    word, *rest = argv[len(program.entrypoint) :] or [""]
    if word in program.subcommands:
        return _server(program.subcommands[word], tuple(rest), container, env)
    return Behaviour("process", argv, announces=bool(program.brings))


def expand(words: Sequence[str], env: Mapping[str, str]) -> tuple[str, ...]:
    """`expand_text` for each word."""
    return tuple(expand_text(str(word), env) for word in words)


def expand_text(text: str, env: Mapping[str, str]) -> str:
    """Replace `$(NAME)` as the kubelet does: unknown names stay as written, `$$` is one `$`."""

    def value(found: re.Match[str]) -> str:
        return "$" if found[1] is None else env.get(found[1], found[0])

    return _REFERENCE.sub(value, text)


def _is_own_binary(program: ImageProgram, word: str) -> bool:
    return PurePosixPath(word).name in program.binaries


def is_idle_command(container: Container, argv: Sequence[str]) -> bool:
    """Whether a command is one that the real image has, and that has nothing to do here."""
    return PurePosixPath(argv[0]).name in catalogue().lookup(container["image"]).commands


def _is_foreign(program: ImageProgram, word: str, is_installed: Callable[[str], bool]) -> bool:
    """True when args that begin with `word` are a command, as `kubectl run x --image=y -- sh`."""
    if word.startswith("-") or _is_own_binary(program, word):
        return False
    return not program.flags and is_installed(word)


def _server(
    program: ImageProgram, args: tuple[str, ...], container: Container, env: Mapping[str, str]
) -> Behaviour:
    if program.kind == "program":
        return Behaviour("program", program=program.program)
    if program.kind == "task":
        return Behaviour("task", args, task=program.program)
    if program.kind == "pause":
        return Behaviour("idle", says=program.says)
    flags = parse_flags(args)
    listeners = [
        Listener(_number(port, flags, env), port.serve, port.site) for port in program.listen
    ]
    if program.declared_ports:
        listeners = _declared(container)
    elif site := next((each.site for each in listeners if each.serve == "http"), None):
        taken = {each.port for each in listeners}
        listeners += [each for each in _declared_tls(container, site) if each.port not in taken]
    return Behaviour("server", args, tuple(dict.fromkeys(listeners)), flags, program.variables)


def brought(container: Container) -> str:
    """The program of ours that a container has in its root, if any."""
    program = catalogue().lookup(container.get("image") or "")
    return program.brings or (FILE_SERVER if has_documents(program) else "")


def entered(
    container: Container,
    env: Mapping[str, str] | None = None,
    *,
    is_installed: Callable[[str], bool] = installed,
) -> Behaviour | None:
    """What a built-in server becomes when somebody goes into its container: what shows its files.

    None if it stays what it is: it has none, or is a process already.
    """
    program = catalogue().lookup(container.get("image") or "")
    if not has_documents(program) or not is_installed("/usr/bin/python3"):
        return None
    found = behaviour(container, env)
    return _showing_files(program, container, found) if found.kind == "server" else None


def _showing_files(
    program: ImageProgram, container: Container, server: Behaviour
) -> Behaviour | None:
    """The process that shows a built-in server's files; None if it speaks more than HTTP."""
    if any(each.serve != "http" for each in server.listeners):
        return None
    argv = file_server(program, container, server.listeners)
    return Behaviour("process", argv, server.listeners, announces=True)


def _unshown(container: Container, program: ImageProgram) -> str:
    return (
        f"container {container['name']}: what is built in speaks TLS on the ports declared for it, "
        f"and shows no files of {program.documents}; with a configuration of its own in a volume "
        "the real program does"
    )


def _number(port: ImagePort, flags: Mapping[str, str], env: Mapping[str, str]) -> int:
    """The port after flags (`--port=81`, `-listen=:81`) and environment, if they give a number."""
    for text in (flags.get(port.flag, ""), env.get(port.env, "")):
        found = _PORT_NUMBER.search(text)
        if found and 0 < int(found[1]) < 65536:
            return int(found[1])
    return port.port


def _declared(container: Container) -> list[Listener]:
    listeners = []
    for port in container.get("ports") or ():
        match port.get("protocol", "TCP"):
            case "TCP":
                spoken: Literal["http", "https"] = "https" if _speaks_tls(port) else "http"
                listeners.append(Listener(int(port["containerPort"]), spoken, "default"))
            case "UDP":
                listeners.append(Listener(int(port["containerPort"]), "udp", "default-udp"))
    return listeners


def _declared_tls(container: Container, site: str) -> list[Listener]:
    """The containerPorts of a web server on which it is to speak TLS: what its image has on them
    is up to its configuration, which is not here."""
    ports = [port for port in container.get("ports") or () if port.get("protocol", "TCP") == "TCP"]
    return [
        Listener(int(port["containerPort"]), "https", site) for port in ports if _speaks_tls(port)
    ]


def _speaks_tls(port: ContainerPort) -> bool:
    return "https" in (port.get("name") or "").split("-") or port["containerPort"] in _TLS_PORTS


def parse_flags(args: Sequence[str]) -> dict[str, str]:
    """`--name=value`, `-name value` and `--name` (value "true"), as Go programs take them."""
    flags: dict[str, str] = {}
    name = ""
    for word in args:
        if word.startswith("-") and word.strip("-"):
            name, equals, value = word.lstrip("-").partition("=")
            flags[name] = value if equals else "true"
            name = "" if equals else name
        elif name:
            flags[name], name = word, ""
    return flags


def served_pod(
    pod: Pod, netns: str, ips: Sequence[str], env: Mapping[str, Mapping[str, str]] | None = None
) -> ServedPod | None:
    """What the responder serves of a pod; None when none of its containers is a built-in server.

    `netns` is the path of the pod's namespace, `env` each container's environment by its name.
    """
    served = []
    for container in every_container(pod):
        variables = (env or {}).get(container["name"], {})
        found = behaviour(container, variables)
        if found.kind == "server":
            served.append(_served_container(pod, container, found, ips, variables))
    return ServedPod(meta.uid(pod), netns, tuple(ips), tuple(served)) if served else None


def _served_container(
    pod: Pod, container: Container, found: Behaviour, ips: Sequence[str], env: Mapping[str, str]
) -> ServedContainer:
    """With the variables that its sites' texts name: a container's environment may be a large one,
    for it has seven of each Service.
    """
    image = catalogue().image(container["image"])
    spec = meta.spec(pod)
    named = {name for one in found.listeners for name in env_named_in(one.site)}
    variables = {
        "hostname": _hostname(pod),
        "pod": meta.name(pod),
        "namespace": meta.namespace(pod),
        "node": spec.get("nodeName") or "",
        "ip": ips[0] if ips else "",
        "ips": " ".join(ips),
        "image": image.reference,
        "repository": image.repository,
        "tag": image.tag,
        "container": container["name"],
        **found.variables,
        **{f"flag.{name}": value for name, value in found.flags.items()},
        **{f"env.{name}": env[name] for name in named if name in env},
    }
    return ServedContainer(container["name"], found.listeners, variables)


def _hostname(pod: Pod) -> str:
    """What a program in the pod has as its host's name; on hostNetwork it is the node's."""
    spec = meta.spec(pod)
    if spec.get("hostNetwork"):
        return spec.get("nodeName") or ""
    return spec.get("hostname") or meta.name(pod)


def sites_of(pods: Sequence[ServedPod]) -> Json:
    """The catalogue's sites that these pods need, for the message that serves them."""
    names = {
        listener.site
        for pod in pods
        for container in pod.containers
        for listener in container.listeners
    }
    return {name: dict(catalogue().sites[name]) for name in sorted(names)}
