"""A manifest of the kinds and shapes that ingress-nginx' own has: accounts with their roles, the
controller behind two Services, the Jobs that make a certificate and its CA known, a webhook."""

from __future__ import annotations

NAMES = "app.kubernetes.io/name: ingress-nginx, app.kubernetes.io/instance: mine"
OF_CONTROLLER = f"{{{NAMES}, app.kubernetes.io/component: controller}}"
OF_WEBHOOK = f"{{{NAMES}, app.kubernetes.io/component: admission-webhook}}"
DIGEST = "sha256:" + "0123456789abcdef" * 4


def head(api: str, kind: str, name: str, labels: str, *, namespaced: bool = True) -> str:
    """The first lines of an object."""
    space = ", namespace: ingress-nginx" if namespaced else ""
    metadata = f"{{name: {name}{space}, labels: {labels}}}"
    return f"---\napiVersion: {api}\nkind: {kind}\nmetadata: {metadata}\n"


RBAC, ADMISSION = "rbac.authorization.k8s.io/v1", "admissionregistration.k8s.io/v1"


def account(name: str, labels: str, rules: str, cluster_rules: str) -> str:
    """A ServiceAccount with a Role and a ClusterRole of its name, both bound to it."""
    subject = f"subjects:\n- {{kind: ServiceAccount, name: {name}, namespace: ingress-nginx}}\n"
    text = head("v1", "ServiceAccount", name, labels) + "automountServiceAccountToken: true\n"
    for kind, said in (("Role", rules), ("ClusterRole", cluster_rules)):
        namespaced = kind == "Role"
        reference = (
            f"roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: {kind}, name: {name}}}\n"
        )
        text += head(RBAC, kind, name, labels, namespaced=namespaced) + f"rules:\n{said}"
        text += head(RBAC, f"{kind}Binding", name, labels, namespaced=namespaced)
        text += reference + subject
    return text


READ = (
    "- {apiGroups: ['', networking.k8s.io, discovery.k8s.io], resources: ['*'], "
    "verbs: [get, list, watch]}\n"
)
WRITE = (
    "- {apiGroups: [networking.k8s.io], resources: [ingresses/status], verbs: [update]}\n"
    "- {apiGroups: [''], resources: [events], verbs: [create, patch]}\n"
)
LEAD = (
    "- {apiGroups: [coordination.k8s.io], resources: [leases], verbs: [create]}\n"
    "- {apiGroups: [coordination.k8s.io], resources: [leases], resourceNames: [mine], "
    "verbs: [get, update]}\n"
)
ACCOUNTS = account("ingress-nginx", OF_CONTROLLER, READ + LEAD, READ + WRITE) + account(
    "ingress-nginx-admission",
    OF_WEBHOOK,
    "- {apiGroups: [''], resources: [secrets], verbs: [get, create]}\n",
    f"- {{apiGroups: [{ADMISSION[:-3]}], resources: [validatingwebhookconfigurations], "
    "verbs: [get, update]}\n",
)

SERVICES = (
    head("v1", "Service", "ingress-nginx-controller", OF_CONTROLLER)
    + f"""spec:
  type: LoadBalancer
  externalTrafficPolicy: Local
  ipFamilyPolicy: SingleStack
  ipFamilies: [IPv4]
  selector: {OF_CONTROLLER}
  ports:
  - {{name: http, port: 80, targetPort: http, protocol: TCP, appProtocol: http}}
  - {{name: https, port: 443, targetPort: https, protocol: TCP, appProtocol: https}}
"""
    + head("v1", "Service", "ingress-nginx-controller-admission", OF_CONTROLLER)
    + f"""spec:
  selector: {OF_CONTROLLER}
  ports: [{{name: https-webhook, port: 443, targetPort: webhook, appProtocol: https}}]
"""
)

CONTROLLER = (
    head("apps/v1", "Deployment", "ingress-nginx-controller", OF_CONTROLLER)
    + f"""spec:
  selector: {{matchLabels: {OF_CONTROLLER}}}
  minReadySeconds: 0
  strategy: {{type: RollingUpdate, rollingUpdate: {{maxUnavailable: 1}}}}
  template:
    metadata: {{labels: {OF_CONTROLLER}}}
    spec:
      serviceAccountName: ingress-nginx
      nodeSelector: {{kubernetes.io/os: linux}}
      terminationGracePeriodSeconds: 300
      volumes: [{{name: webhook-cert, secret: {{secretName: ingress-nginx-admission}}}}]
      containers:
      - name: controller
        image: registry.k8s.io/ingress-nginx/controller:v1.99.0@{DIGEST}
        args:
        - /nginx-ingress-controller
        - --publish-service=$(POD_NAMESPACE)/ingress-nginx-controller
        - --election-id=mine
        - --controller-class=k8s.io/ingress-nginx
        - --ingress-class=nginx
        - --configmap=$(POD_NAMESPACE)/ingress-nginx-controller
        - --validating-webhook=:8443
        - --validating-webhook-certificate=/usr/local/certificates/cert
        - --validating-webhook-key=/usr/local/certificates/key
        env:
        - {{name: POD_NAME, valueFrom: {{fieldRef: {{fieldPath: metadata.name}}}}}}
        - {{name: POD_NAMESPACE, valueFrom: {{fieldRef: {{fieldPath: metadata.namespace}}}}}}
        - {{name: LD_PRELOAD, value: /usr/local/lib/libnothing.so}}
        lifecycle: {{preStop: {{exec: {{command: [/wait-shutdown]}}}}}}
        livenessProbe: &probe
          httpGet: {{path: /healthz, port: 10254, scheme: HTTP}}
          periodSeconds: 1
        readinessProbe: *probe
        ports:
        - {{name: http, containerPort: 80, protocol: TCP}}
        - {{name: https, containerPort: 443, protocol: TCP}}
        - {{name: webhook, containerPort: 8443, protocol: TCP}}
        resources: {{requests: {{cpu: 100m, memory: 90Mi}}}}
        securityContext:
          allowPrivilegeEscalation: false
          capabilities: {{add: [NET_BIND_SERVICE], drop: [ALL]}}
          readOnlyRootFilesystem: false
          runAsNonRoot: true
          runAsUser: 101
          seccompProfile: {{type: RuntimeDefault}}
        volumeMounts: [{{name: webhook-cert, mountPath: /usr/local/certificates/, readOnly: true}}]
"""
)


def job(word: str, *flags: str) -> str:
    """A Job of kube-webhook-certgen, which is gone as soon as it has done its work."""
    args = "".join(f"\n        - {flag}" for flag in (word, *flags))
    return (
        head("batch/v1", "Job", f"ingress-nginx-admission-{word}", OF_WEBHOOK)
        + f"""spec:
  ttlSecondsAfterFinished: 0
  template:
    metadata: {{name: ingress-nginx-admission-{word}, labels: {OF_WEBHOOK}}}
    spec:
      serviceAccountName: ingress-nginx-admission
      restartPolicy: OnFailure
      nodeSelector: {{kubernetes.io/os: linux}}
      containers:
      - name: {word}
        image: registry.k8s.io/ingress-nginx/kube-webhook-certgen:v1.99.0@{DIGEST}
        args:{args}
        env: [{{name: POD_NAMESPACE, valueFrom: {{fieldRef: {{fieldPath: metadata.namespace}}}}}}]
        securityContext:
          allowPrivilegeEscalation: false
          capabilities: {{drop: [ALL]}}
          readOnlyRootFilesystem: true
          runAsNonRoot: true
          runAsUser: 65532
          seccompProfile: {{type: RuntimeDefault}}
"""
    )


SECRET = ("--namespace=$(POD_NAMESPACE)", "--secret-name=ingress-nginx-admission")
HOST = "ingress-nginx-controller-admission"
WEBHOOK = (
    head(ADMISSION, "ValidatingWebhookConfiguration", "ingress-nginx-admission", OF_WEBHOOK,
         namespaced=False)
    + """webhooks:
- name: validate.nginx.ingress.kubernetes.io
  admissionReviewVersions: [v1]
  sideEffects: None
  failurePolicy: Fail
  matchPolicy: Equivalent
  clientConfig:
    service:
      name: ingress-nginx-controller-admission
      namespace: ingress-nginx
      path: /networking/v1/ingresses
      port: 443
  rules:
  - apiGroups: [networking.k8s.io]
    apiVersions: [v1]
    operations: [CREATE, UPDATE]
    resources: [ingresses]
"""
)  # fmt: skip

MANIFEST = (
    f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: ingress-nginx, labels: {{{NAMES}}}}}\n"
    + ACCOUNTS
    + head("v1", "ConfigMap", "ingress-nginx-controller", OF_CONTROLLER)
    + "data: null\n"
    + SERVICES
    + CONTROLLER
    + job("create", f"--host={HOST},{HOST}.$(POD_NAMESPACE).svc", *SECRET)
    + job("patch", "--webhook-name=ingress-nginx-admission", "--patch-mutating=false",
          "--patch-failure-policy=Fail", *SECRET)
    + head("networking.k8s.io/v1", "IngressClass", "nginx", OF_CONTROLLER, namespaced=False)
    + "spec: {controller: k8s.io/ingress-nginx}\n"
    + WEBHOOK
)  # fmt: skip
