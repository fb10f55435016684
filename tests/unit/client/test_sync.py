"""The CLI's blocking client, against a real server."""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from netlab.client.sync import Client, quote, target
from netlab.client.wire import BrokenAnswer, ControllerUnreachable, Unanswered
from netlab.errors import AlreadyExists, ApiError, BadRequest, Expired, Invalid, NotFound


def configmap(name: str, value: str = "1") -> dict[str, Any]:
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"a": value}}


def test_the_verbs(server: Any) -> None:
    with Client(server.socket) as client:
        made = client.create(configmap("a"))
        assert client.get("ConfigMap", "default", "a") == made
        made["data"] = {"a": "2"}
        assert client.update(made)["data"] == {"a": "2"}
        patched = client.patch("ConfigMap", "default", "a", {"data": {"b": "é"}})
        assert patched["data"] == {"a": "2", "b": "é"}
        names = [item["metadata"]["name"] for item in client.list("ConfigMap", "default")]
        assert names == ["a"]
        assert client.list("ConfigMap", "kube-public") == []
        assert client.delete("ConfigMap", "default", "a")["status"] == "Success"
        with pytest.raises(NotFound, match='configmaps "a" not found'):
            client.get("ConfigMap", "default", "a")


def test_tables(server: Any) -> None:
    with Client(server.socket) as client:
        found = client.table("Service", "default")
        assert [row["cells"][0] for row in found["rows"]] == ["kubernetes"]
        assert len(client.table("Service", "default", "kubernetes")["rows"]) == 1


def test_failures_are_the_errors_they_stand_for(server: Any) -> None:
    with Client(server.socket) as client:
        client.create(configmap("a"))
        with pytest.raises(AlreadyExists):
            client.create(configmap("a"))
        with pytest.raises(Invalid) as caught:
            client.create(configmap("A_b"))
        assert caught.value.details["causes"]
        with pytest.raises(BadRequest):
            client.request("POST", "/api/v1/namespaces/default/configmaps", b"{")
        with pytest.raises(ApiError) as other:
            client.request("DELETE", "/api/v1/configmaps")
        assert other.value.code == 405


def test_hints_come_along(server: Any) -> None:
    wrong = {**configmap("a"), "kind": "Service", "spec": {"type": "ClusterIp", "ports": []}}
    with Client(server.socket) as client, pytest.raises(Invalid) as caught:
        client.create(wrong)
    assert caught.value.hint


def test_warnings_are_kept_for_the_user(server: Any) -> None:
    with Client(server.socket) as client:
        client.create({**configmap("a"), "dta": {}, "x": 1})
        assert client.warnings == ['unknown field "dta"', 'unknown field "x"']
        heard: list[str] = []
        client.warn = heard.append
        client.create({**configmap("b"), "dta": {}})
        assert (len(client.warnings), heard) == (2, ['unknown field "dta"'])


def test_a_query_is_quoted(server: Any) -> None:
    assert quote("a b/ü=&") == "a%20b/%C3%BC%3D%26"
    assert target("/p", {"l": "a in (b)", "w": True, "n": 3, "c": ["x", "y"]}) == (
        "/p?l=a%20in%20%28b%29&w=true&n=3&c=x&c=y"
    )
    with Client(server.socket) as client:
        client.create(configmap("a"))
        found = client.list("ConfigMap", "default", query={"labelSelector": "!x", "limit": 5})
        assert len(found) == 1


def test_a_watch_goes_on_until_it_is_left(server: Any) -> None:
    with Client(server.socket) as client:
        events = client.watch("ConfigMap", "default")
        client.create(configmap("a"))
        assert next(events)["object"]["metadata"]["name"] == "a"
        big = "x" * 300_000
        client.create(configmap("b", big))
        assert next(events)["object"]["data"]["a"] == big
        tables = client.watch("ConfigMap", "default", table=True)
        assert next(tables)["object"]["kind"] == "Table"


def test_a_watch_raises_when_it_has_expired(server: Any) -> None:
    def churn() -> None:
        server.registry.create(configmap("a"))
        for number in range(5000):
            server.registry.update(configmap("a", str(number)))

    with Client(server.socket) as client:
        server.call(churn)
        with pytest.raises(Expired):
            next(client.watch("ConfigMap", query={"resourceVersion": "20"}))


def test_the_connection_is_kept_and_renewed(server: Any) -> None:
    with Client(server.socket) as client:
        client.create(configmap("a"))
        first = client._sock
        client.get("ConfigMap", "default", "a")
        assert client._sock is first
        server.stop()
        server.start_again()
        assert client.get("ConfigMap", "default", "a")["kind"] == "ConfigMap"
        assert client._sock is not first


def test_no_controller_is_an_error_with_a_hint(tmp_path: Path) -> None:
    with pytest.raises(ControllerUnreachable) as caught:
        Client(tmp_path / "none.sock").get("Pod", "default", "a")
    assert "is not running" in caught.value.message
    assert "netlab up" in (caught.value.hint or "")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
    ],
)
def test_an_answer_that_stops_short(tmp_path: Path, answer: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()

        def speak() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

        thread = threading.Thread(target=speak)
        thread.start()
        with Client(tmp_path / "s") as client, pytest.raises(BrokenAnswer):
            client.get("Pod", "default", "a")
        thread.join()


def test_a_server_that_is_killed_in_the_middle(tmp_path: Path) -> None:
    """It had not read the request when it went, so the kernel resets the connection."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "api.sock"))
        listener.listen()

        def serve() -> None:
            for _ in range(2):
                connection, _ = listener.accept()
                connection.recv(1)
                connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        client = Client(tmp_path / "api.sock")
        for _ in range(2):
            with pytest.raises(BrokenAnswer, match="lost"):
                client.request("GET", "/")
        thread.join()


def test_logs(server: Any) -> None:
    server.streams.lines += [(0.0, "one"), (1.0, "two")]
    pod = {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"},
        "spec": {"nodeName": "node1", "containers": [{"name": "c", "image": "nginx"}]},
    }  # fmt: skip
    with Client(server.socket) as client:
        client.create(pod)
        assert b"".join(client.logs("default", "p")) == b"one\ntwo\n"
        following = client.logs("default", "p", query={"follow": True, "tailLines": 1})
        assert next(following) == b"two\n"
        server.call(lambda: server.streams.lines.append((2.0, "three")))
        assert next(following) == b"three\n"
        following.close()


def test_a_controller_that_stands_still_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "api.sock"))
        listening.listen()  # and never accept: as when it is stopped
        client = Client(tmp_path / "api.sock", timeout=0.2)
        with pytest.raises(Unanswered, match="does not answer"):
            client.list("Pod")
        with pytest.raises(Unanswered, match="does not answer"):
            client.stream("/api/v1/pods")
        client.close()
