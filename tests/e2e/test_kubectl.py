"""Every kubectl command of five tutorials, as a table: what is typed, and what its reader sees.

The commands stand as the tutorials print them. Where one names an address of its author's own
cluster, `ADDRESSES` says whose it is here. What the tutorials get wrong is refused here in the
words of a real API server (or of kubectl itself), and then done right.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from e2e.kubectls import Shell, shell

pytestmark = pytest.mark.root

LAB = """
apiVersion: netlab/v1
kind: Lab
metadata: {name: tutorial}
spec:
  nodes:
  - {name: master001, role: control-plane, internalIP: 10.10.11.10, externalIP: 172.16.110.10}
  - {name: worker001, internalIP: 10.10.11.20, externalIP: 172.16.110.20}
  - {name: worker002, internalIP: 10.10.11.21, externalIP: 172.16.110.21}
"""

FIRST_POD = "kubectl get pods -l app=webserver -o jsonpath='{.items[0].status.podIP}'"
CLUSTER_IP = "kubectl get svc %s -o jsonpath='{.spec.clusterIP}'"
NODE_PORT = "kubectl get svc %s -o jsonpath='{.spec.ports[0].nodePort}'"

# What a tutorial prints → the command that tells what it is here.
ADDRESSES = {
    "10.1.0.40": FIRST_POD,
    "10.107.48.55": CLUSTER_IP % "hostname-svc-clusterip",
    "10.97.3.254": CLUSTER_IP % "hostname-svc-nodeport",
    "31906": NODE_PORT % "hostname-svc-nodeport",
    "192.168.65.3": "echo 10.10.11.10",
    "10.106.34.37": CLUSTER_IP % "clusterip-service",
    "30642": NODE_PORT % "service-nodeport",
    "EXTERNAL_IP": "kubectl get svc -o jsonpath="
    "'{.items[?(@.spec.type==\"LoadBalancer\")].status.loadBalancer.ingress[0].ip}'",
    "POD_IP": "kubectl get pods -l app=httpd-replicaset -o jsonpath='{.items[0].status.podIP}'",
}

HELLO = r"<p>Hello,  hostname-deployment-[0-9a-z]+-[0-9a-z]{5}</p>     </blockquote>\n"
TYPED_HELLO = r"Hello\n        " + HELLO
IP = r"\d+\.\d+\.\d+\.\d+"
BALANCED = rf"LoadBalancer +{IP} +172\.16\.110\.2\d\d +80:3\d{{4}}/TCP "

OUTSIDE = "nsenter --net=$NETLAB_RUN/tutorial/netns/tutorial.client "
"""What is typed on a machine outside the cluster."""


@dataclass(frozen=True)
class Step:
    """A command, a pattern that its output holds, what is typed into it, and its exit code."""

    command: str
    sees: str = ""
    typed: Sequence[str] = ()
    code: int = 0


DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata:
  name: hostname-deployment
spec:
  replicas: 3
  selector:
    matchLabels:
      app: webserver
  template:
    metadata:
      name: my-webserver
      labels:
        app: webserver
    spec:
      containers:
      - name: my-webserver
        image: alicek106/rr-test:echo-hostname
        ports:
        - containerPort: 80
"""

SERVICE = """
apiVersion: v1
kind: Service
{metadata}:
  name: {name}
spec:
  ports:
    - name: web-port
      port: 8080 # 서비스 IP에 접근할 때 사용할 포트
      targetPort: 80
  selector:
    app: webserver
  type: {type}
"""

# As printed: nothing below metadata and spec is indented.
FLAT = """
apiVersion: v1
kind: Service
metadata:
name: {name}
spec:
ports:
- name: web-port
  port: 8080
  targetPort: 80
selector:
app: webserver
type: {type}
"""

MYNAPP = """
apiVersion: v1
kind: Service
metadata:
  name: {name}
spec:
   {more}
   ports:
   - {port}
   selector:
     app: mynapp-rs
"""

MYNAPP_RS = """
apiVersion: apps/v1
kind: ReplicaSet
metadata:
  name: mynapp-rs
spec:
  replicas: 3
  selector:
    matchLabels:
      app: mynapp-rs
  template:
    metadata:
      labels:
        app: mynapp-rs
    spec:
      containers:
      - name: mynapp
        image: minjulee226/myweb
        ports:
        - containerPort: 8080
"""

INGRESS_OLD = """
apiVersion: networking.k8s.io/v1beta1
kind: Ingress
metadata:
  name: ingress-nginx
  annotations:
    nginx.ingress.kubernetes.io/rewrite-target: /
spec:
  rules:
  - http:
      paths:
      - path:
        backend:
          serviceName: hname-svc-default
          servicePort: 80
"""

HTTPD_RS = """
apiVersion: apps/v1
kind: ReplicaSet
metadata: {name: httpd-replicaset}
spec:
  replicas: 2
  selector: {matchLabels: {app: httpd-replicaset}}
  template:
    metadata: {labels: {app: httpd-replicaset}}
    spec:
      containers:
      - {name: httpd, image: "ethos93/go-httpd:v1", ports: [{containerPort: 8080}]}
"""

HTTPD_SERVICE = """apiVersion: v1
kind: Service
metadata:
  name: httpd-clusterip-service
spec:
  selector:
    app: httpd-replicaset
  ports:
    - protocol: TCP
      port: 8080
      targetPort: 8080
  type: ClusterIP
"""


def service(name: str, kind: str, metadata: str = "metadata") -> str:
    return SERVICE.format(name=name, type=kind, metadata=metadata)


def mynapp(name: str, port: str = "port: 80\n     targetPort: 8080", more: str = "") -> str:
    return MYNAPP.format(name=name, port=port, more=more)


FILES = {
    "deployment-hostname.yaml": DEPLOYMENT,
    "hostname-svc-clusterip-printed.yaml": service("hostname-svc-clusterip", "ClusterIp"),
    "hostname-svc-clusterip.yaml": service("hostname-svc-clusterip", "ClusterIP"),
    "hostname-svc-nodeport-printed.yaml": service("hostname-svc-nodeport", "NodePort", "netadata"),
    "hostname-svc-nodeport.yaml": service("hostname-svc-nodeport", "NodePort"),
    "service-nodeport-printed.yaml": FLAT.format(name="service-nodeport", type="NodePort"),
    "service-nodeport.yaml": service("service-nodeport", "NodePort"),
    "clusterip_service.yaml": service("clusterip_service", "ClusterIP"),
    "clusterip-service.yaml": service("clusterip-service", "ClusterIP"),
    "mynapp-svc.yml": mynapp("mynapp-svc"),
    "mynapp-rs.yml": MYNAPP_RS,
    "mynapp-svc-session-affinity.yml": mynapp(
        "mynapp-svc-ses-aff", more="sessionAffinity: ClientIP"
    ),
    "mynapp-svc-multiport.yml": mynapp(
        "mynapp-svc-mp",
        "name: mynapp-http\n     port: 80\n     targetPort: 8080\n"
        "   - name: mynapp-https\n     port: 443\n     targetPort: 8443",
    ),
    "mynapp-svc-ext-nodeport.yml": mynapp(
        "mynapp-svc-ext-np", "port: 80\n     targetPort: 8080\n     nodePort: 31111",
        "type: NodePort",
    ),
    "mynapp-svc-ext-loadbalancer.yml": mynapp("mynapp-svc-ext-lb", more="type: LoadBalancer"),
    "mynapp-svc-ext-extname.yml": (
        "{apiVersion: v1, kind: Service, metadata: {name: mynapp-svc-extname-gl}, "
        "spec: {type: ExternalName, externalName: www.google.com}}"
    ),
    "ingress-nginx.yaml": INGRESS_OLD,
    "httpd-replicaset.yaml": HTTPD_RS,
    "clusterip_svc.yaml": HTTPD_SERVICE,
}  # fmt: skip

DEBUG = "kubectl run -i --tty --rm debug --image=alicek106/ubuntu:curl --restart=Never"

TUTORIALS: dict[str, list[Step]] = {
    "000: ClusterIP and NodePort": [
        Step("kubectl apply -f deployment-hostname.yaml",
             r"^deployment.apps/hostname-deployment created\n$"),
        Step("kubectl get pods -o wide",
             r"NAME +READY +STATUS +RESTARTS +AGE +IP +NODE +NOMINATED NODE +READINESS GATES\n"
             rf"(hostname-deployment-\S+ +1/1 +Running +0 +\d+s +{IP} +worker\d+ .*\n){{3}}"),
        Step(f"{DEBUG} curl 10.1.0.40 | grep Hello", HELLO),
        Step("kubectl apply -f hostname-svc-clusterip-printed.yaml",
             r'^The Service "hostname-svc-clusterip" is invalid: spec.type: Unsupported value: '
             r'"ClusterIp": supported values: "ClusterIP", "ExternalName", "LoadBalancer", '
             r'"NodePort"\n$', code=1),
        Step("kubectl apply -f hostname-svc-clusterip.yaml",
             r"^service/hostname-svc-clusterip created\n$"),
        Step("kubectl get service",
             r"^NAME +TYPE +CLUSTER-IP +EXTERNAL-IP +PORT\(S\) +AGE\n"
             rf"hostname-svc-clusterip +ClusterIP +{IP} +<none> +8080/TCP +\d+s\n"
             r"kubernetes +ClusterIP +10.96.0.1 +<none> +443/TCP +\S+\n$"),
        Step(f"{DEBUG} bash", f"(?s){TYPED_HELLO}.*{TYPED_HELLO}.*{TYPED_HELLO}"
             r'.*pod "debug" deleted', [
                 "curl 10.107.48.55:8080 --silent | grep Hello",
                 "curl 10.107.48.55:8080 --silent | grep Hello",
                 "curl hostname-svc-clusterip:8080 --silent | grep Hello",
                 "exit",
             ]),
        Step("kubectl apply -f hostname-svc-nodeport-printed.yaml",
             r"resource name may not be empty\n$", code=1),
        Step("kubectl create -f hostname-svc-nodeport-printed.yaml",
             r'Service in version "v1" cannot be handled as a Service: strict decoding error: '
             r'unknown field "netadata"\n$', code=1),
        Step("kubectl apply -f hostname-svc-nodeport.yaml",
             r"^service/hostname-svc-nodeport created\n$"),
        Step("kubectl get svc",
             rf"hostname-svc-nodeport +NodePort +{IP} +<none> +8080:3\d{{4}}/TCP +\d+s\n"),
        Step("kubectl get nodes -o wide",
             r"^NAME +STATUS +ROLES +AGE +VERSION +INTERNAL-IP +EXTERNAL-IP +OS-IMAGE +"
             r"KERNEL-VERSION +CONTAINER-RUNTIME\n"
             r"master001 +Ready +control-plane +\S+ +v1.\S+ +10.10.11.10 +172.16.110.10 "),
        Step(f"{DEBUG} bash", f"(?s){TYPED_HELLO}.*{TYPED_HELLO}", [
            "curl 192.168.65.3:31906 --silent | grep Hello",
            "curl 10.97.3.254:8080 --silent | grep Hello",
            "exit",
        ]),
    ],
    "001: Services of every type": [
        Step("kubectl create -f mynapp-svc.yml", r"^service/mynapp-svc created\n$"),
        Step("kubectl get svc mynapp-svc", rf"mynapp-svc +ClusterIP +{IP} +<none> +80/TCP +\S+\n$"),
        Step("kubectl get endpoints mynapp-svc", r"mynapp-svc +<none> +\S+\n$"),
        Step("kubectl create -f mynapp-rs.yml", r"^replicaset.apps/mynapp-rs created\n$"),
        Step("kubectl get replicasets",
             r"^NAME +DESIRED +CURRENT +READY +AGE\nmynapp-rs +3 +3 +3 +\S+\n$"),
        Step("kubectl get endpoints mynapp-svc",
             rf"mynapp-svc +({IP}:8080,){{2}}{IP}:8080 +\S+\n$"),
        Step("kubectl scale replicaset mynapp-rs --replicas=4",
             r"^replicaset.apps/mynapp-rs scaled\n$"),
        Step("kubectl get endpoints mynapp-svc",
             rf"mynapp-svc +({IP}:8080,){{2}}{IP}:8080 \+ 1 more\.\.\. +\S+\n$"),
        Step("kubectl expose replicaset mynapp-rs --type=NodePort --name mynapp-exposed",
             r"^service/mynapp-exposed exposed\n$"),
        Step("kubectl create -f mynapp-svc-session-affinity.yml", r"mynapp-svc-ses-aff created"),
        Step("kubectl describe svc mynapp-svc-ses-aff", r"Session Affinity: +ClientIP\n"),
        Step("kubectl create -f mynapp-svc-multiport.yml", r"mynapp-svc-mp created"),
        Step("kubectl get svc mynapp-svc-mp", r" 80/TCP,443/TCP "),
        Step("kubectl delete pod -l app=mynapp-rs --wait=false", r'(pod "\S+" deleted\n){4}'),
        Step("kubectl get replicasets", r"mynapp-rs +4 +4 +4 "),
        Step("kubectl exec replicaset/mynapp-rs -- env | grep ^MYNAPP_SVC_SERVICE",
             rf"MYNAPP_SVC_SERVICE_HOST={IP}\n(.*\n)*MYNAPP_SVC_SERVICE_PORT=80\n"
             rf"|MYNAPP_SVC_SERVICE_PORT=80\n(.*\n)*MYNAPP_SVC_SERVICE_HOST={IP}\n"),
        Step("kubectl create -f mynapp-svc-ext-nodeport.yml", r"mynapp-svc-ext-np created"),
        Step("kubectl get svc mynapp-svc-ext-np", r"NodePort .* 80:31111/TCP "),
        Step("kubectl create -f mynapp-svc-ext-loadbalancer.yml", r"mynapp-svc-ext-lb created"),
        Step("kubectl get svc mynapp-svc-ext-lb", BALANCED),
        Step(f"{OUTSIDE} curl --silent EXTERNAL_IP", r"mynapp-rs-\w{5}\b"),
        Step("kubectl create -f mynapp-svc-ext-extname.yml", r"mynapp-svc-extname-gl created"),
        Step("kubectl get svc mynapp-svc-extname-gl",
             r"ExternalName +<none> +www.google.com +<none> "),
        Step("kubectl run nettool -i --rm --image=minjulee226/network-multitool --restart=Never "
             "-- host mynapp-svc-extname-gl", r"is an alias for www.google.com"),
    ],
    "002: NodePort from outside": [
        Step("kubectl apply -f deployment-hostname.yaml"),
        Step("kubectl create -f service-nodeport-printed.yaml",
             r'strict decoding error: unknown field "app", unknown field "name", '
             r'unknown field "ports", unknown field "selector", unknown field "type"\n$', code=1),
        Step("kubectl apply -f service-nodeport.yaml", r"^service/service-nodeport created\n$"),
        Step("kubectl get service -o wide",
             r"^NAME +TYPE +CLUSTER-IP +EXTERNAL-IP +PORT\(S\) +AGE +SELECTOR\n"
             r"kubernetes +ClusterIP +10.96.0.1 +<none> +443/TCP +\S+ +<none>\n"
             rf"service-nodeport +NodePort +{IP} +<none> +8080:3\d{{4}}/TCP +\S+ +app=webserver\n"),
        Step("kubectl apply -f clusterip_service.yaml",
             r'^The Service "clusterip_service" is invalid: metadata.name: Invalid value: '
             r'"clusterip_service": a DNS-1035 label must consist of lower case', code=1),
        Step("kubectl apply -f clusterip-service.yaml", r"^service/clusterip-service created\n$"),
        Step("kubectl get endpoints",
             rf"clusterip-service +({IP}:80,){{2}}{IP}:80 +\S+\nkubernetes +{IP}:6443 +\S+\n"),
        Step(f"{DEBUG} bash", f"(?s){TYPED_HELLO}.*{TYPED_HELLO}", [
            "curl 10.106.34.37:8080 --silent | grep Hello",
            "curl 10.10.11.20:30642 --silent | grep Hello",
            "exit",
        ]),
    ],
    "003: create, scale, expose": [
        Step("kubectl create deployment np-pods --image=sysnet4admin/echo-hname --port=80",
             r"^deployment.apps/np-pods created\n$"),
        Step("kubectl get pod", r"np-pods-\S+ +1/1 +Running +0 "),
        Step("kubectl scale deployment np-pods --replicas=3", r"^deployment.apps/np-pods scaled\n"),
        Step("kubectl get pods", r"(np-pods-\S+ +1/1 +Running .*\n){3}"),
        Step("kubectl expose deployment np-pods --type=NodePort --name=np-svc-v2 --port=80",
             r"^service/np-svc-v2 exposed\n$"),
        Step("kubectl get services", r"np-svc-v2 +NodePort .* 80:3\d{4}/TCP "),
        Step("kubectl apply -f ingress-nginx.yaml",
             r'no matches for kind "Ingress" in version "networking.k8s.io/v1beta1"\n'
             r"ensure CRDs are installed first\n$", code=1),
        Step("kubectl create deployment in-hname-pod --image=sysnet4admin/echo-hname", "created"),
        Step("kubectl expose deployment in-hname-pod --name=hname-svc-default --port=80,443",
             r"^service/hname-svc-default exposed\n$"),
        Step("kubectl expose deployment np-pods --type=LoadBalancer --name=lb-svc",
             r"^service/lb-svc exposed\n$"),
        Step("kubectl get services lb-svc", BALANCED),
        Step("kubectl describe services lb-svc",
             r"LoadBalancer Ingress: +172\.16\.110\.2\d\d( \(VIP\))?\n"),
        Step(f"{OUTSIDE} bash -c 'for i in {{1..20}}; do curl -s EXTERNAL_IP; done' | sort -u",
             r"^(np-pods-\w+-\w{5}\n){3}$"),
        Step("kubectl delete services lb-svc", r'^service "lb-svc" deleted\b'),
        Step("kubectl delete deployment np-pods", r'^deployment.apps "np-pods" deleted\n$'),
    ],
    "004: a debugging pod": [
        Step("kubectl apply -f httpd-replicaset.yaml", "created"),
        Step("kubectl get pods -o wide", r"(httpd-replicaset-\w+ +1/1 +Running .*\n){2}"),
        Step("kubectl apply -f clusterip_svc.yaml",
             r"^service/httpd-clusterip-service created\n$"),
        Step("kubectl get services",
             rf"httpd-clusterip-service +ClusterIP +{IP} +<none> +8080/TCP "),
        Step("kubectl run curlpod --image=radial/busyboxplus:curl --command -- "
             '/bin/sh -c "while true; do echo hi; sleep 10; done"', r"^pod/curlpod created\n$"),
        Step("kubectl get pod curlpod", r"curlpod +1/1 +Running "),
        Step("kubectl exec -it curlpod -- curl httpd-clusterip-service:8080",
             r"This version is v1 and hostname is httpd-replicaset-\w{5}\n"),
        Step("kubectl exec -it curlpod -- curl POD_IP:8080",
             r"This version is v1 and hostname is httpd-replicaset-\w{5}\n"),
        Step("kubectl logs curlpod", r"^hi\n"),
    ],
}  # fmt: skip


@pytest.fixture
def tutor(tmp_path: Path) -> Iterator[Shell]:
    """A shell with the tutorials' files, and a lab of the cluster that they describe."""
    with shell(tmp_path, LAB) as opened:
        for name, text in FILES.items():
            (opened.directory / name).write_text(text)
        yield opened


@pytest.mark.parametrize("tutorial", TUTORIALS)
def test_tutorials_work_as_printed(tutor: Shell, tutorial: str) -> None:
    for step in TUTORIALS[tutorial]:
        follow(tutor, step)


def follow(tutor: Shell, step: Step) -> None:
    """Do one step; one that only looks is repeated until it sees what it should."""
    command, *typed = (here(tutor, text) for text in (step.command, *step.typed))
    looks = command.startswith(("kubectl get", "kubectl logs", OUTSIDE))
    deadline = time.monotonic() + 10
    while True:
        if typed or " -it " in command or "--tty" in command:
            done = tutor.in_terminal(command, typed)
        else:
            done = tutor.run(command)
        if done.returncode == step.code and re.search(step.sees, done.stdout):
            return
        assert looks and time.monotonic() < deadline, (
            f"$ {command}   (exit code {done.returncode})\n{done.stdout}\nwanted: {step.sees}"
        )
        time.sleep(0.1)


def here(tutor: Shell, text: str) -> str:
    """A tutorial's text with the addresses of this lab."""
    for printed, question in ADDRESSES.items():
        if printed in text:
            text = text.replace(printed, tutor(question).strip())
    return text
