"""The objects that the API serves; written by scripts/generate-types from schema.json."""

from typing import Any, Generic, Literal, NotRequired, TypedDict, TypeVar

from typing_extensions import ReadOnly

T = TypeVar("T")

class AnyKind(TypedDict):
    apiVersion: ReadOnly[str]
    kind: ReadOnly[str]
    metadata: ObjectMeta

class HasSpec(TypedDict, Generic[T]):
    spec: ReadOnly[NotRequired[T]]

class HasStatus(TypedDict, Generic[T]):
    status: ReadOnly[NotRequired[T]]

class HasConditions(TypedDict, Generic[T]):
    conditions: ReadOnly[NotRequired[list[T]]]

class AWSElasticBlockStoreVolumeSource(TypedDict):
    fsType: NotRequired[str]
    partition: NotRequired[int]
    readOnly: NotRequired[bool]
    volumeID: str

class Affinity(TypedDict, total=False):
    nodeAffinity: NodeAffinity
    podAffinity: PodAffinity
    podAntiAffinity: PodAntiAffinity

class AggregationRule(TypedDict, total=False):
    clusterRoleSelectors: list[LabelSelector]

class AppArmorProfile(TypedDict):
    localhostProfile: NotRequired[str]
    type: str

class AttachedVolume(TypedDict):
    devicePath: str
    name: str

class AzureDiskVolumeSource(TypedDict):
    cachingMode: NotRequired[str]
    diskName: str
    diskURI: str
    fsType: NotRequired[str]
    kind: NotRequired[str]
    readOnly: NotRequired[bool]

class AzureFilePersistentVolumeSource(TypedDict):
    readOnly: NotRequired[bool]
    secretName: str
    secretNamespace: NotRequired[str]
    shareName: str

class AzureFileVolumeSource(TypedDict):
    readOnly: NotRequired[bool]
    secretName: str
    shareName: str

class CSIPersistentVolumeSource(TypedDict):
    controllerExpandSecretRef: NotRequired[SecretReference]
    controllerPublishSecretRef: NotRequired[SecretReference]
    driver: str
    fsType: NotRequired[str]
    nodeExpandSecretRef: NotRequired[SecretReference]
    nodePublishSecretRef: NotRequired[SecretReference]
    nodeStageSecretRef: NotRequired[SecretReference]
    readOnly: NotRequired[bool]
    volumeAttributes: NotRequired[dict[str, str]]
    volumeHandle: str

class CSIVolumeSource(TypedDict):
    driver: str
    fsType: NotRequired[str]
    nodePublishSecretRef: NotRequired[LocalObjectReference]
    readOnly: NotRequired[bool]
    volumeAttributes: NotRequired[dict[str, str]]

class Capabilities(TypedDict, total=False):
    add: list[str]
    drop: list[str]

class CephFSPersistentVolumeSource(TypedDict):
    monitors: list[str]
    path: NotRequired[str]
    readOnly: NotRequired[bool]
    secretFile: NotRequired[str]
    secretRef: NotRequired[SecretReference]
    user: NotRequired[str]

class CephFSVolumeSource(TypedDict):
    monitors: list[str]
    path: NotRequired[str]
    readOnly: NotRequired[bool]
    secretFile: NotRequired[str]
    secretRef: NotRequired[LocalObjectReference]
    user: NotRequired[str]

class CinderPersistentVolumeSource(TypedDict):
    fsType: NotRequired[str]
    readOnly: NotRequired[bool]
    secretRef: NotRequired[SecretReference]
    volumeID: str

class CinderVolumeSource(TypedDict):
    fsType: NotRequired[str]
    readOnly: NotRequired[bool]
    secretRef: NotRequired[LocalObjectReference]
    volumeID: str

class ClientIPConfig(TypedDict, total=False):
    timeoutSeconds: int

class ClusterRole(TypedDict):
    aggregationRule: NotRequired[AggregationRule]
    apiVersion: Literal["rbac.authorization.k8s.io/v1"]
    kind: Literal["ClusterRole"]
    metadata: ObjectMeta
    rules: NotRequired[list[PolicyRule]]

class ClusterRoleBinding(TypedDict):
    apiVersion: Literal["rbac.authorization.k8s.io/v1"]
    kind: Literal["ClusterRoleBinding"]
    metadata: ObjectMeta
    roleRef: RoleRef
    subjects: NotRequired[list[Subject]]

class ClusterTrustBundleProjection(TypedDict):
    labelSelector: NotRequired[LabelSelector]
    name: NotRequired[str]
    optional: NotRequired[bool]
    path: str
    signerName: NotRequired[str]

class Condition(TypedDict):
    lastTransitionTime: Time | None
    message: str
    observedGeneration: NotRequired[int]
    reason: str
    status: str
    type: str

class ConfigMap(TypedDict):
    apiVersion: Literal["v1"]
    binaryData: NotRequired[dict[str, str]]
    data: NotRequired[dict[str, str]]
    immutable: NotRequired[bool]
    kind: Literal["ConfigMap"]
    metadata: ObjectMeta

class ConfigMapEnvSource(TypedDict, total=False):
    name: str
    optional: bool

class ConfigMapKeySelector(TypedDict):
    key: str
    name: NotRequired[str]
    optional: NotRequired[bool]

class ConfigMapNodeConfigSource(TypedDict):
    kubeletConfigKey: str
    name: str
    namespace: str
    resourceVersion: NotRequired[str]
    uid: NotRequired[str]

class ConfigMapProjection(TypedDict, total=False):
    items: list[KeyToPath]
    name: str
    optional: bool

class ConfigMapVolumeSource(TypedDict, total=False):
    defaultMode: int
    items: list[KeyToPath]
    name: str
    optional: bool

class Container(TypedDict):
    args: NotRequired[list[str]]
    command: NotRequired[list[str]]
    env: NotRequired[list[EnvVar]]
    envFrom: NotRequired[list[EnvFromSource]]
    image: NotRequired[str]
    imagePullPolicy: NotRequired[Literal["Always", "IfNotPresent", "Never"]]
    lifecycle: NotRequired[Lifecycle]
    livenessProbe: NotRequired[Probe]
    name: str
    ports: NotRequired[list[ContainerPort]]
    readinessProbe: NotRequired[Probe]
    resizePolicy: NotRequired[list[ContainerResizePolicy]]
    resources: NotRequired[ResourceRequirements]
    restartPolicy: NotRequired[str]
    securityContext: NotRequired[SecurityContext]
    startupProbe: NotRequired[Probe]
    stdin: NotRequired[bool]
    stdinOnce: NotRequired[bool]
    terminationMessagePath: NotRequired[str]
    terminationMessagePolicy: NotRequired[Literal["File", "FallbackToLogsOnError"]]
    tty: NotRequired[bool]
    volumeDevices: NotRequired[list[VolumeDevice]]
    volumeMounts: NotRequired[list[VolumeMount]]
    workingDir: NotRequired[str]

class ContainerImage(TypedDict, total=False):
    names: list[str]
    sizeBytes: int

class ContainerPort(TypedDict):
    containerPort: int
    hostIP: NotRequired[str]
    hostPort: NotRequired[int]
    name: NotRequired[str]
    protocol: NotRequired[Literal["SCTP", "TCP", "UDP"]]

class ContainerResizePolicy(TypedDict):
    resourceName: str
    restartPolicy: str

class ContainerState(TypedDict, total=False):
    running: ContainerStateRunning
    terminated: ContainerStateTerminated
    waiting: ContainerStateWaiting

class ContainerStateRunning(TypedDict, total=False):
    startedAt: Time

class ContainerStateTerminated(TypedDict):
    containerID: NotRequired[str]
    exitCode: int
    finishedAt: NotRequired[Time]
    message: NotRequired[str]
    reason: NotRequired[str]
    signal: NotRequired[int]
    startedAt: NotRequired[Time]

class ContainerStateWaiting(TypedDict, total=False):
    message: str
    reason: str

class ContainerStatus(TypedDict):
    allocatedResources: NotRequired[dict[str, Quantity]]
    allocatedResourcesStatus: NotRequired[list[ResourceStatus]]
    containerID: NotRequired[str]
    image: str
    imageID: str
    lastState: NotRequired[ContainerState]
    name: str
    ready: bool
    resources: NotRequired[ResourceRequirements]
    restartCount: int
    started: NotRequired[bool]
    state: NotRequired[ContainerState]
    stopSignal: NotRequired[str]
    user: NotRequired[ContainerUser]
    volumeMounts: NotRequired[list[VolumeMountStatus]]

class ContainerUser(TypedDict, total=False):
    linux: LinuxContainerUser

class ControllerRevision(TypedDict):
    apiVersion: Literal["apps/v1"]
    data: NotRequired[RawExtension]
    kind: Literal["ControllerRevision"]
    metadata: ObjectMeta
    revision: int

class CronJob(TypedDict):
    apiVersion: Literal["batch/v1"]
    kind: Literal["CronJob"]
    metadata: ObjectMeta
    spec: CronJobSpec
    status: NotRequired[CronJobStatus]

class CronJobSpec(TypedDict):
    concurrencyPolicy: NotRequired[Literal["Allow", "Forbid", "Replace"]]
    failedJobsHistoryLimit: NotRequired[int]
    jobTemplate: JobTemplateSpec
    schedule: str
    startingDeadlineSeconds: NotRequired[int]
    successfulJobsHistoryLimit: NotRequired[int]
    suspend: NotRequired[bool]
    timeZone: NotRequired[str]

class CronJobStatus(TypedDict, total=False):
    active: list[ObjectReference]
    lastScheduleTime: Time
    lastSuccessfulTime: Time

class DaemonEndpoint(TypedDict):
    Port: int

class DaemonSet(TypedDict):
    apiVersion: Literal["apps/v1"]
    kind: Literal["DaemonSet"]
    metadata: ObjectMeta
    spec: DaemonSetSpec
    status: NotRequired[DaemonSetStatus]

class DaemonSetCondition(TypedDict):
    lastTransitionTime: NotRequired[Time]
    message: NotRequired[str]
    reason: NotRequired[str]
    status: str
    type: str

class DaemonSetSpec(TypedDict):
    minReadySeconds: NotRequired[int]
    revisionHistoryLimit: NotRequired[int]
    selector: LabelSelector
    template: PodTemplateSpec
    updateStrategy: NotRequired[DaemonSetUpdateStrategy]

class DaemonSetStatus(TypedDict):
    collisionCount: NotRequired[int]
    conditions: NotRequired[list[DaemonSetCondition]]
    currentNumberScheduled: int
    desiredNumberScheduled: int
    numberAvailable: NotRequired[int]
    numberMisscheduled: int
    numberReady: int
    numberUnavailable: NotRequired[int]
    observedGeneration: NotRequired[int]
    updatedNumberScheduled: NotRequired[int]

class DaemonSetUpdateStrategy(TypedDict, total=False):
    rollingUpdate: RollingUpdateDaemonSet
    type: str

class Deployment(TypedDict):
    apiVersion: Literal["apps/v1"]
    kind: Literal["Deployment"]
    metadata: ObjectMeta
    spec: DeploymentSpec
    status: NotRequired[DeploymentStatus]

class DeploymentCondition(TypedDict):
    lastTransitionTime: NotRequired[Time]
    lastUpdateTime: NotRequired[Time]
    message: NotRequired[str]
    reason: NotRequired[str]
    status: str
    type: str

class DeploymentSpec(TypedDict):
    minReadySeconds: NotRequired[int]
    paused: NotRequired[bool]
    progressDeadlineSeconds: NotRequired[int]
    replicas: NotRequired[int]
    revisionHistoryLimit: NotRequired[int]
    selector: LabelSelector
    strategy: NotRequired[DeploymentStrategy]
    template: PodTemplateSpec

class DeploymentStatus(TypedDict, total=False):
    availableReplicas: int
    collisionCount: int
    conditions: list[DeploymentCondition]
    observedGeneration: int
    readyReplicas: int
    replicas: int
    terminatingReplicas: int
    unavailableReplicas: int
    updatedReplicas: int

class DeploymentStrategy(TypedDict, total=False):
    rollingUpdate: RollingUpdateDeployment
    type: str

class DownwardAPIProjection(TypedDict, total=False):
    items: list[DownwardAPIVolumeFile]

class DownwardAPIVolumeFile(TypedDict):
    fieldRef: NotRequired[ObjectFieldSelector]
    mode: NotRequired[int]
    path: str
    resourceFieldRef: NotRequired[ResourceFieldSelector]

class DownwardAPIVolumeSource(TypedDict, total=False):
    defaultMode: int
    items: list[DownwardAPIVolumeFile]

class EmptyDirVolumeSource(TypedDict, total=False):
    medium: str
    sizeLimit: Quantity

class Endpoint(TypedDict):
    addresses: list[str]
    conditions: NotRequired[EndpointConditions]
    deprecatedTopology: NotRequired[dict[str, str]]
    hints: NotRequired[EndpointHints]
    hostname: NotRequired[str]
    nodeName: NotRequired[str]
    targetRef: NotRequired[ObjectReference]
    zone: NotRequired[str]

class EndpointAddress(TypedDict):
    hostname: NotRequired[str]
    ip: str
    nodeName: NotRequired[str]
    targetRef: NotRequired[ObjectReference]

class EndpointConditions(TypedDict, total=False):
    ready: bool
    serving: bool
    terminating: bool

class EndpointHints(TypedDict, total=False):
    forNodes: list[ForNode]
    forZones: list[ForZone]

class EndpointPort(TypedDict):
    appProtocol: NotRequired[str]
    name: NotRequired[str]
    port: int
    protocol: NotRequired[Literal["SCTP", "TCP", "UDP"]]

class EndpointSlice(TypedDict):
    addressType: Literal["FQDN", "IPv4", "IPv6"]
    apiVersion: Literal["discovery.k8s.io/v1"]
    endpoints: list[Endpoint]
    kind: Literal["EndpointSlice"]
    metadata: ObjectMeta
    ports: NotRequired[list[DiscoveryEndpointPort]]

class EndpointSubset(TypedDict, total=False):
    addresses: list[EndpointAddress]
    notReadyAddresses: list[EndpointAddress]
    ports: list[EndpointPort]

class Endpoints(TypedDict):
    apiVersion: Literal["v1"]
    kind: Literal["Endpoints"]
    metadata: ObjectMeta
    subsets: NotRequired[list[EndpointSubset]]

class EnvFromSource(TypedDict, total=False):
    configMapRef: ConfigMapEnvSource
    prefix: str
    secretRef: SecretEnvSource

class EnvVar(TypedDict):
    name: str
    value: NotRequired[str]
    valueFrom: NotRequired[EnvVarSource]

class EnvVarSource(TypedDict, total=False):
    configMapKeyRef: ConfigMapKeySelector
    fieldRef: ObjectFieldSelector
    resourceFieldRef: ResourceFieldSelector
    secretKeyRef: SecretKeySelector

class EphemeralContainer(TypedDict):
    args: NotRequired[list[str]]
    command: NotRequired[list[str]]
    env: NotRequired[list[EnvVar]]
    envFrom: NotRequired[list[EnvFromSource]]
    image: NotRequired[str]
    imagePullPolicy: NotRequired[str]
    lifecycle: NotRequired[Lifecycle]
    livenessProbe: NotRequired[Probe]
    name: str
    ports: NotRequired[list[ContainerPort]]
    readinessProbe: NotRequired[Probe]
    resizePolicy: NotRequired[list[ContainerResizePolicy]]
    resources: NotRequired[ResourceRequirements]
    restartPolicy: NotRequired[str]
    securityContext: NotRequired[SecurityContext]
    startupProbe: NotRequired[Probe]
    stdin: NotRequired[bool]
    stdinOnce: NotRequired[bool]
    targetContainerName: NotRequired[str]
    terminationMessagePath: NotRequired[str]
    terminationMessagePolicy: NotRequired[str]
    tty: NotRequired[bool]
    volumeDevices: NotRequired[list[VolumeDevice]]
    volumeMounts: NotRequired[list[VolumeMount]]
    workingDir: NotRequired[str]

class EphemeralVolumeSource(TypedDict, total=False):
    volumeClaimTemplate: PersistentVolumeClaimTemplate

class Event(TypedDict):
    action: NotRequired[str]
    apiVersion: Literal["v1"]
    count: NotRequired[int]
    eventTime: NotRequired[MicroTime | None]
    firstTimestamp: NotRequired[Time]
    involvedObject: ObjectReference
    kind: Literal["Event"]
    lastTimestamp: NotRequired[Time]
    message: NotRequired[str]
    metadata: ObjectMeta
    reason: NotRequired[str]
    related: NotRequired[ObjectReference]
    reportingComponent: NotRequired[str]
    reportingInstance: NotRequired[str]
    series: NotRequired[EventSeries]
    source: NotRequired[EventSource]
    type: NotRequired[Literal["Normal", "Warning"]]

class EventSeries(TypedDict, total=False):
    count: int
    lastObservedTime: MicroTime

class EventSource(TypedDict, total=False):
    component: str
    host: str

class ExecAction(TypedDict, total=False):
    command: list[str]

class FCVolumeSource(TypedDict, total=False):
    fsType: str
    lun: int
    readOnly: bool
    targetWWNs: list[str]
    wwids: list[str]

FieldsV1 = dict[str, Any]

class FlexPersistentVolumeSource(TypedDict):
    driver: str
    fsType: NotRequired[str]
    options: NotRequired[dict[str, str]]
    readOnly: NotRequired[bool]
    secretRef: NotRequired[SecretReference]

class FlexVolumeSource(TypedDict):
    driver: str
    fsType: NotRequired[str]
    options: NotRequired[dict[str, str]]
    readOnly: NotRequired[bool]
    secretRef: NotRequired[LocalObjectReference]

class FlockerVolumeSource(TypedDict, total=False):
    datasetName: str
    datasetUUID: str

class ForNode(TypedDict):
    name: str

class ForZone(TypedDict):
    name: str

class GCEPersistentDiskVolumeSource(TypedDict):
    fsType: NotRequired[str]
    partition: NotRequired[int]
    pdName: str
    readOnly: NotRequired[bool]

class GRPCAction(TypedDict):
    port: int
    service: NotRequired[str]

class GitRepoVolumeSource(TypedDict):
    directory: NotRequired[str]
    repository: str
    revision: NotRequired[str]

class GlusterfsPersistentVolumeSource(TypedDict):
    endpoints: str
    endpointsNamespace: NotRequired[str]
    path: str
    readOnly: NotRequired[bool]

class GlusterfsVolumeSource(TypedDict):
    endpoints: str
    path: str
    readOnly: NotRequired[bool]

class HTTPGetAction(TypedDict):
    host: NotRequired[str]
    httpHeaders: NotRequired[list[HTTPHeader]]
    path: NotRequired[str]
    port: IntOrString
    scheme: NotRequired[Literal["HTTP", "HTTPS"]]

class HTTPHeader(TypedDict):
    name: str
    value: str

class HTTPIngressPath(TypedDict):
    backend: IngressBackend
    path: NotRequired[str]
    pathType: Literal["Exact", "ImplementationSpecific", "Prefix"]

class HTTPIngressRuleValue(TypedDict):
    paths: list[HTTPIngressPath]

class HostAlias(TypedDict):
    hostnames: NotRequired[list[str]]
    ip: str

class HostIP(TypedDict):
    ip: str

class HostPathVolumeSource(TypedDict):
    path: str
    type: NotRequired[str]

class IPAddress(TypedDict):
    apiVersion: Literal["networking.k8s.io/v1"]
    kind: Literal["IPAddress"]
    metadata: ObjectMeta
    spec: IPAddressSpec

class IPAddressSpec(TypedDict):
    parentRef: ParentReference

class ISCSIPersistentVolumeSource(TypedDict):
    chapAuthDiscovery: NotRequired[bool]
    chapAuthSession: NotRequired[bool]
    fsType: NotRequired[str]
    initiatorName: NotRequired[str]
    iqn: str
    iscsiInterface: NotRequired[str]
    lun: int
    portals: NotRequired[list[str]]
    readOnly: NotRequired[bool]
    secretRef: NotRequired[SecretReference]
    targetPortal: str

class ISCSIVolumeSource(TypedDict):
    chapAuthDiscovery: NotRequired[bool]
    chapAuthSession: NotRequired[bool]
    fsType: NotRequired[str]
    initiatorName: NotRequired[str]
    iqn: str
    iscsiInterface: NotRequired[str]
    lun: int
    portals: NotRequired[list[str]]
    readOnly: NotRequired[bool]
    secretRef: NotRequired[LocalObjectReference]
    targetPortal: str

class ImageVolumeSource(TypedDict, total=False):
    pullPolicy: str
    reference: str

class Ingress(TypedDict):
    apiVersion: Literal["networking.k8s.io/v1"]
    kind: Literal["Ingress"]
    metadata: ObjectMeta
    spec: NotRequired[IngressSpec]
    status: NotRequired[IngressStatus]

class IngressBackend(TypedDict, total=False):
    resource: TypedLocalObjectReference
    service: IngressServiceBackend

class IngressClass(TypedDict):
    apiVersion: Literal["networking.k8s.io/v1"]
    kind: Literal["IngressClass"]
    metadata: ObjectMeta
    spec: NotRequired[IngressClassSpec]

class IngressClassParametersReference(TypedDict):
    apiGroup: NotRequired[str]
    kind: str
    name: str
    namespace: NotRequired[str]
    scope: NotRequired[str]

class IngressClassSpec(TypedDict, total=False):
    controller: str
    parameters: IngressClassParametersReference

class IngressLoadBalancerIngress(TypedDict, total=False):
    hostname: str
    ip: str
    ports: list[IngressPortStatus]

class IngressLoadBalancerStatus(TypedDict, total=False):
    ingress: list[IngressLoadBalancerIngress]

class IngressPortStatus(TypedDict):
    error: NotRequired[str]
    port: int
    protocol: str

class IngressRule(TypedDict, total=False):
    host: str
    http: HTTPIngressRuleValue

class IngressServiceBackend(TypedDict):
    name: str
    port: NotRequired[ServiceBackendPort]

class IngressSpec(TypedDict, total=False):
    defaultBackend: IngressBackend
    ingressClassName: str
    rules: list[IngressRule]
    tls: list[IngressTLS]

class IngressStatus(TypedDict, total=False):
    loadBalancer: IngressLoadBalancerStatus

class IngressTLS(TypedDict, total=False):
    hosts: list[str]
    secretName: str

IntOrString = int | str

class Job(TypedDict):
    apiVersion: Literal["batch/v1"]
    kind: Literal["Job"]
    metadata: ObjectMeta
    spec: JobSpec
    status: NotRequired[JobStatus]

class JobCondition(TypedDict):
    lastProbeTime: NotRequired[Time]
    lastTransitionTime: NotRequired[Time]
    message: NotRequired[str]
    reason: NotRequired[str]
    status: str
    type: str

class JobSpec(TypedDict):
    activeDeadlineSeconds: NotRequired[int]
    backoffLimit: NotRequired[int]
    backoffLimitPerIndex: NotRequired[int]
    completionMode: NotRequired[Literal["NonIndexed", "Indexed"]]
    completions: NotRequired[int]
    managedBy: NotRequired[str]
    manualSelector: NotRequired[bool]
    maxFailedIndexes: NotRequired[int]
    parallelism: NotRequired[int]
    podFailurePolicy: NotRequired[PodFailurePolicy]
    podReplacementPolicy: NotRequired[Literal["Failed", "TerminatingOrFailed"]]
    selector: NotRequired[LabelSelector]
    successPolicy: NotRequired[SuccessPolicy]
    suspend: NotRequired[bool]
    template: PodTemplateSpec
    ttlSecondsAfterFinished: NotRequired[int]

class JobStatus(TypedDict, total=False):
    active: int
    completedIndexes: str
    completionTime: Time
    conditions: list[JobCondition]
    failed: int
    failedIndexes: str
    ready: int
    startTime: Time
    succeeded: int
    terminating: int
    uncountedTerminatedPods: UncountedTerminatedPods

class JobTemplateSpec(TypedDict):
    metadata: NotRequired[ObjectMeta]
    spec: JobSpec

class KeyToPath(TypedDict):
    key: str
    mode: NotRequired[int]
    path: str

class LabelSelector(TypedDict, total=False):
    matchExpressions: list[LabelSelectorRequirement]
    matchLabels: dict[str, str]

class LabelSelectorRequirement(TypedDict):
    key: str
    operator: Literal["DoesNotExist", "Exists", "In", "NotIn"]
    values: NotRequired[list[str]]

class Lease(TypedDict):
    apiVersion: Literal["coordination.k8s.io/v1"]
    kind: Literal["Lease"]
    metadata: ObjectMeta
    spec: NotRequired[LeaseSpec]

class LeaseSpec(TypedDict, total=False):
    acquireTime: MicroTime
    holderIdentity: str
    leaseDurationSeconds: int
    leaseTransitions: int
    preferredHolder: str
    renewTime: MicroTime
    strategy: str

class Lifecycle(TypedDict, total=False):
    postStart: LifecycleHandler
    preStop: LifecycleHandler
    stopSignal: str

class LifecycleHandler(TypedDict, total=False):
    exec: ExecAction
    httpGet: HTTPGetAction
    sleep: SleepAction
    tcpSocket: TCPSocketAction

class LinuxContainerUser(TypedDict):
    gid: int
    supplementalGroups: NotRequired[list[int]]
    uid: int

class LoadBalancerIngress(TypedDict, total=False):
    hostname: str
    ip: str
    ipMode: str
    ports: list[PortStatus]

class LoadBalancerStatus(TypedDict, total=False):
    ingress: list[LoadBalancerIngress]

class LocalObjectReference(TypedDict, total=False):
    name: str

class LocalVolumeSource(TypedDict):
    fsType: NotRequired[str]
    path: str

class ManagedFieldsEntry(TypedDict, total=False):
    apiVersion: str
    fieldsType: str
    fieldsV1: FieldsV1
    manager: str
    operation: str
    subresource: str
    time: Time

class MatchCondition(TypedDict):
    expression: str
    name: str

MicroTime = str

class ModifyVolumeStatus(TypedDict):
    status: str
    targetVolumeAttributesClassName: NotRequired[str]

class MutatingWebhook(TypedDict):
    admissionReviewVersions: list[str]
    clientConfig: WebhookClientConfig
    failurePolicy: NotRequired[Literal["Fail", "Ignore"]]
    matchConditions: NotRequired[list[MatchCondition]]
    matchPolicy: NotRequired[Literal["Equivalent", "Exact"]]
    name: str
    namespaceSelector: NotRequired[LabelSelector]
    objectSelector: NotRequired[LabelSelector]
    reinvocationPolicy: NotRequired[Literal["IfNeeded", "Never"]]
    rules: NotRequired[list[RuleWithOperations]]
    sideEffects: Literal["None", "NoneOnDryRun"]
    timeoutSeconds: NotRequired[int]

class MutatingWebhookConfiguration(TypedDict):
    apiVersion: Literal["admissionregistration.k8s.io/v1"]
    kind: Literal["MutatingWebhookConfiguration"]
    metadata: ObjectMeta
    webhooks: NotRequired[list[MutatingWebhook]]

class NFSVolumeSource(TypedDict):
    path: str
    readOnly: NotRequired[bool]
    server: str

class Namespace(TypedDict):
    apiVersion: Literal["v1"]
    kind: Literal["Namespace"]
    metadata: ObjectMeta
    spec: NotRequired[NamespaceSpec]
    status: NotRequired[NamespaceStatus]

class NamespaceCondition(TypedDict):
    lastTransitionTime: NotRequired[Time]
    message: NotRequired[str]
    reason: NotRequired[str]
    status: str
    type: str

class NamespaceSpec(TypedDict, total=False):
    finalizers: list[str]

class NamespaceStatus(TypedDict, total=False):
    conditions: list[NamespaceCondition]
    phase: str

class Node(TypedDict):
    apiVersion: Literal["v1"]
    kind: Literal["Node"]
    metadata: ObjectMeta
    spec: NotRequired[NodeSpec]
    status: NotRequired[NodeStatus]

class NodeAddress(TypedDict):
    address: str
    type: str

class NodeAffinity(TypedDict, total=False):
    preferredDuringSchedulingIgnoredDuringExecution: list[PreferredSchedulingTerm]
    requiredDuringSchedulingIgnoredDuringExecution: NodeSelector

class NodeCondition(TypedDict):
    lastHeartbeatTime: NotRequired[Time]
    lastTransitionTime: NotRequired[Time]
    message: NotRequired[str]
    reason: NotRequired[str]
    status: str
    type: str

class NodeConfigSource(TypedDict, total=False):
    configMap: ConfigMapNodeConfigSource

class NodeConfigStatus(TypedDict, total=False):
    active: NodeConfigSource
    assigned: NodeConfigSource
    error: str
    lastKnownGood: NodeConfigSource

class NodeDaemonEndpoints(TypedDict, total=False):
    kubeletEndpoint: DaemonEndpoint

class NodeFeatures(TypedDict, total=False):
    supplementalGroupsPolicy: bool

class NodeRuntimeHandler(TypedDict, total=False):
    features: NodeRuntimeHandlerFeatures
    name: str

class NodeRuntimeHandlerFeatures(TypedDict, total=False):
    recursiveReadOnlyMounts: bool
    userNamespaces: bool

class NodeSelector(TypedDict):
    nodeSelectorTerms: list[NodeSelectorTerm]

class NodeSelectorRequirement(TypedDict):
    key: str
    operator: Literal["DoesNotExist", "Exists", "In", "NotIn", "Gt", "Lt"]
    values: NotRequired[list[str]]

class NodeSelectorTerm(TypedDict, total=False):
    matchExpressions: list[NodeSelectorRequirement]
    matchFields: list[NodeSelectorRequirement]

class NodeSpec(TypedDict, total=False):
    configSource: NodeConfigSource
    externalID: str
    podCIDR: str
    podCIDRs: list[str]
    providerID: str
    taints: list[Taint]
    unschedulable: bool

class NodeStatus(TypedDict, total=False):
    addresses: list[NodeAddress]
    allocatable: dict[str, Quantity]
    capacity: dict[str, Quantity]
    conditions: list[NodeCondition]
    config: NodeConfigStatus
    daemonEndpoints: NodeDaemonEndpoints
    features: NodeFeatures
    images: list[ContainerImage]
    nodeInfo: NodeSystemInfo
    phase: str
    runtimeHandlers: list[NodeRuntimeHandler]
    volumesAttached: list[AttachedVolume]
    volumesInUse: list[str]

class NodeSwapStatus(TypedDict, total=False):
    capacity: int

class NodeSystemInfo(TypedDict):
    architecture: str
    bootID: str
    containerRuntimeVersion: str
    kernelVersion: str
    kubeProxyVersion: str
    kubeletVersion: str
    machineID: str
    operatingSystem: str
    osImage: str
    swap: NotRequired[NodeSwapStatus]
    systemUUID: str

class ObjectFieldSelector(TypedDict):
    apiVersion: NotRequired[str]
    fieldPath: str

class ObjectMeta(TypedDict, total=False):
    annotations: dict[str, str]
    creationTimestamp: Time
    deletionGracePeriodSeconds: int
    deletionTimestamp: Time
    finalizers: list[str]
    generateName: str
    generation: int
    labels: dict[str, str]
    managedFields: list[ManagedFieldsEntry]
    name: str
    namespace: str
    ownerReferences: list[OwnerReference]
    resourceVersion: str
    selfLink: str
    uid: str

class ObjectReference(TypedDict, total=False):
    apiVersion: str
    fieldPath: str
    kind: str
    name: str
    namespace: str
    resourceVersion: str
    uid: str

class OwnerReference(TypedDict):
    apiVersion: str
    blockOwnerDeletion: NotRequired[bool]
    controller: NotRequired[bool]
    kind: str
    name: str
    uid: str

class ParentReference(TypedDict):
    group: NotRequired[str]
    name: str
    namespace: NotRequired[str]
    resource: str

class PersistentVolume(TypedDict):
    apiVersion: Literal["v1"]
    kind: Literal["PersistentVolume"]
    metadata: ObjectMeta
    spec: NotRequired[PersistentVolumeSpec]
    status: NotRequired[PersistentVolumeStatus]

class PersistentVolumeClaim(TypedDict):
    apiVersion: Literal["v1"]
    kind: Literal["PersistentVolumeClaim"]
    metadata: ObjectMeta
    spec: NotRequired[PersistentVolumeClaimSpec]
    status: NotRequired[PersistentVolumeClaimStatus]

class PersistentVolumeClaimCondition(TypedDict):
    lastProbeTime: NotRequired[Time]
    lastTransitionTime: NotRequired[Time]
    message: NotRequired[str]
    reason: NotRequired[str]
    status: str
    type: str

class PersistentVolumeClaimSpec(TypedDict, total=False):
    accessModes: list[str]
    dataSource: TypedLocalObjectReference
    dataSourceRef: TypedObjectReference
    resources: VolumeResourceRequirements
    selector: LabelSelector
    storageClassName: str
    volumeAttributesClassName: str
    volumeMode: str
    volumeName: str

class PersistentVolumeClaimStatus(TypedDict, total=False):
    accessModes: list[str]
    allocatedResourceStatuses: dict[str, str]
    allocatedResources: dict[str, Quantity]
    capacity: dict[str, Quantity]
    conditions: list[PersistentVolumeClaimCondition]
    currentVolumeAttributesClassName: str
    modifyVolumeStatus: ModifyVolumeStatus
    phase: str

class PersistentVolumeClaimTemplate(TypedDict):
    metadata: NotRequired[ObjectMeta]
    spec: PersistentVolumeClaimSpec

class PersistentVolumeClaimVolumeSource(TypedDict):
    claimName: str
    readOnly: NotRequired[bool]

class PersistentVolumeSpec(TypedDict, total=False):
    accessModes: list[str]
    awsElasticBlockStore: AWSElasticBlockStoreVolumeSource
    azureDisk: AzureDiskVolumeSource
    azureFile: AzureFilePersistentVolumeSource
    capacity: dict[str, Quantity]
    cephfs: CephFSPersistentVolumeSource
    cinder: CinderPersistentVolumeSource
    claimRef: ObjectReference
    csi: CSIPersistentVolumeSource
    fc: FCVolumeSource
    flexVolume: FlexPersistentVolumeSource
    flocker: FlockerVolumeSource
    gcePersistentDisk: GCEPersistentDiskVolumeSource
    glusterfs: GlusterfsPersistentVolumeSource
    hostPath: HostPathVolumeSource
    iscsi: ISCSIPersistentVolumeSource
    local: LocalVolumeSource
    mountOptions: list[str]
    nfs: NFSVolumeSource
    nodeAffinity: VolumeNodeAffinity
    persistentVolumeReclaimPolicy: str
    photonPersistentDisk: PhotonPersistentDiskVolumeSource
    portworxVolume: PortworxVolumeSource
    quobyte: QuobyteVolumeSource
    rbd: RBDPersistentVolumeSource
    scaleIO: ScaleIOPersistentVolumeSource
    storageClassName: str
    storageos: StorageOSPersistentVolumeSource
    volumeAttributesClassName: str
    volumeMode: str
    vsphereVolume: VsphereVirtualDiskVolumeSource

class PersistentVolumeStatus(TypedDict, total=False):
    lastPhaseTransitionTime: Time
    message: str
    phase: str
    reason: str

class PhotonPersistentDiskVolumeSource(TypedDict):
    fsType: NotRequired[str]
    pdID: str

class Pod(TypedDict):
    apiVersion: Literal["v1"]
    kind: Literal["Pod"]
    metadata: ObjectMeta
    spec: PodSpec
    status: NotRequired[PodStatus]

class PodAffinity(TypedDict, total=False):
    preferredDuringSchedulingIgnoredDuringExecution: list[WeightedPodAffinityTerm]
    requiredDuringSchedulingIgnoredDuringExecution: list[PodAffinityTerm]

class PodAffinityTerm(TypedDict):
    labelSelector: NotRequired[LabelSelector]
    matchLabelKeys: NotRequired[list[str]]
    mismatchLabelKeys: NotRequired[list[str]]
    namespaceSelector: NotRequired[LabelSelector]
    namespaces: NotRequired[list[str]]
    topologyKey: str

class PodAntiAffinity(TypedDict, total=False):
    preferredDuringSchedulingIgnoredDuringExecution: list[WeightedPodAffinityTerm]
    requiredDuringSchedulingIgnoredDuringExecution: list[PodAffinityTerm]

class PodCondition(TypedDict):
    lastProbeTime: NotRequired[Time | None]
    lastTransitionTime: NotRequired[Time]
    message: NotRequired[str]
    observedGeneration: NotRequired[int]
    reason: NotRequired[str]
    status: str
    type: str

class PodDNSConfig(TypedDict, total=False):
    nameservers: list[str]
    options: list[PodDNSConfigOption]
    searches: list[str]

class PodDNSConfigOption(TypedDict, total=False):
    name: str
    value: str

class PodFailurePolicy(TypedDict):
    rules: list[PodFailurePolicyRule]

class PodFailurePolicyOnExitCodesRequirement(TypedDict):
    containerName: NotRequired[str]
    operator: Literal["In", "NotIn"]
    values: list[int]

class PodFailurePolicyOnPodConditionsPattern(TypedDict):
    status: Literal["False", "True", "Unknown"]
    type: str

class PodFailurePolicyRule(TypedDict):
    action: Literal["Count", "FailIndex", "FailJob", "Ignore"]
    onExitCodes: NotRequired[PodFailurePolicyOnExitCodesRequirement]
    onPodConditions: NotRequired[list[PodFailurePolicyOnPodConditionsPattern]]

class PodIP(TypedDict):
    ip: str

class PodOS(TypedDict):
    name: str

class PodReadinessGate(TypedDict):
    conditionType: str

class PodResourceClaim(TypedDict):
    name: str
    resourceClaimName: NotRequired[str]
    resourceClaimTemplateName: NotRequired[str]

class PodResourceClaimStatus(TypedDict):
    name: str
    resourceClaimName: NotRequired[str]

class PodSchedulingGate(TypedDict):
    name: str

class PodSecurityContext(TypedDict, total=False):
    appArmorProfile: AppArmorProfile
    fsGroup: int
    fsGroupChangePolicy: str
    runAsGroup: int
    runAsNonRoot: bool
    runAsUser: int
    seLinuxChangePolicy: str
    seLinuxOptions: SELinuxOptions
    seccompProfile: SeccompProfile
    supplementalGroups: list[int]
    supplementalGroupsPolicy: str
    sysctls: list[Sysctl]
    windowsOptions: WindowsSecurityContextOptions

class PodSpec(TypedDict):
    activeDeadlineSeconds: NotRequired[int]
    affinity: NotRequired[Affinity]
    automountServiceAccountToken: NotRequired[bool]
    containers: list[Container]
    dnsConfig: NotRequired[PodDNSConfig]
    dnsPolicy: NotRequired[Literal["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"]]
    enableServiceLinks: NotRequired[bool]
    ephemeralContainers: NotRequired[list[EphemeralContainer]]
    hostAliases: NotRequired[list[HostAlias]]
    hostIPC: NotRequired[bool]
    hostNetwork: NotRequired[bool]
    hostPID: NotRequired[bool]
    hostUsers: NotRequired[bool]
    hostname: NotRequired[str]
    imagePullSecrets: NotRequired[list[LocalObjectReference]]
    initContainers: NotRequired[list[Container]]
    nodeName: NotRequired[str]
    nodeSelector: NotRequired[dict[str, str]]
    os: NotRequired[PodOS]
    overhead: NotRequired[dict[str, Quantity]]
    preemptionPolicy: NotRequired[Literal["PreemptLowerPriority", "Never"]]
    priority: NotRequired[int]
    priorityClassName: NotRequired[str]
    readinessGates: NotRequired[list[PodReadinessGate]]
    resourceClaims: NotRequired[list[PodResourceClaim]]
    resources: NotRequired[ResourceRequirements]
    restartPolicy: NotRequired[Literal["Always", "OnFailure", "Never"]]
    runtimeClassName: NotRequired[str]
    schedulerName: NotRequired[str]
    schedulingGates: NotRequired[list[PodSchedulingGate]]
    securityContext: NotRequired[PodSecurityContext]
    serviceAccount: NotRequired[str]
    serviceAccountName: NotRequired[str]
    setHostnameAsFQDN: NotRequired[bool]
    shareProcessNamespace: NotRequired[bool]
    subdomain: NotRequired[str]
    terminationGracePeriodSeconds: NotRequired[int]
    tolerations: NotRequired[list[Toleration]]
    topologySpreadConstraints: NotRequired[list[TopologySpreadConstraint]]
    volumes: NotRequired[list[Volume]]

class PodStatus(TypedDict, total=False):
    conditions: list[PodCondition]
    containerStatuses: list[ContainerStatus]
    ephemeralContainerStatuses: list[ContainerStatus]
    hostIP: str
    hostIPs: list[HostIP]
    initContainerStatuses: list[ContainerStatus]
    message: str
    nominatedNodeName: str
    observedGeneration: int
    phase: Literal["Failed", "Pending", "Running", "Succeeded", "Unknown"]
    podIP: str
    podIPs: list[PodIP]
    qosClass: str
    reason: str
    resize: str
    resourceClaimStatuses: list[PodResourceClaimStatus]
    startTime: Time

class PodTemplate(TypedDict):
    apiVersion: Literal["v1"]
    kind: Literal["PodTemplate"]
    metadata: ObjectMeta
    template: NotRequired[PodTemplateSpec]

class PodTemplateSpec(TypedDict):
    metadata: NotRequired[ObjectMeta]
    spec: PodSpec

class PolicyRule(TypedDict):
    apiGroups: NotRequired[list[str]]
    nonResourceURLs: NotRequired[list[str]]
    resourceNames: NotRequired[list[str]]
    resources: NotRequired[list[str]]
    verbs: list[str]

class PortStatus(TypedDict):
    error: NotRequired[str]
    port: int
    protocol: str

class PortworxVolumeSource(TypedDict):
    fsType: NotRequired[str]
    readOnly: NotRequired[bool]
    volumeID: str

class PreferredSchedulingTerm(TypedDict):
    preference: NodeSelectorTerm
    weight: int

class PriorityClass(TypedDict):
    apiVersion: Literal["scheduling.k8s.io/v1"]
    description: NotRequired[str]
    globalDefault: NotRequired[bool]
    kind: Literal["PriorityClass"]
    metadata: ObjectMeta
    preemptionPolicy: NotRequired[str]
    value: int

class Probe(TypedDict, total=False):
    exec: ExecAction
    failureThreshold: int
    grpc: GRPCAction
    httpGet: HTTPGetAction
    initialDelaySeconds: int
    periodSeconds: int
    successThreshold: int
    tcpSocket: TCPSocketAction
    terminationGracePeriodSeconds: int
    timeoutSeconds: int

class ProjectedVolumeSource(TypedDict, total=False):
    defaultMode: int
    sources: list[VolumeProjection]

Quantity = str | float

class QuobyteVolumeSource(TypedDict):
    group: NotRequired[str]
    readOnly: NotRequired[bool]
    registry: str
    tenant: NotRequired[str]
    user: NotRequired[str]
    volume: str

class RBDPersistentVolumeSource(TypedDict):
    fsType: NotRequired[str]
    image: str
    keyring: NotRequired[str]
    monitors: list[str]
    pool: NotRequired[str]
    readOnly: NotRequired[bool]
    secretRef: NotRequired[SecretReference]
    user: NotRequired[str]

class RBDVolumeSource(TypedDict):
    fsType: NotRequired[str]
    image: str
    keyring: NotRequired[str]
    monitors: list[str]
    pool: NotRequired[str]
    readOnly: NotRequired[bool]
    secretRef: NotRequired[LocalObjectReference]
    user: NotRequired[str]

RawExtension = dict[str, Any]

class ReplicaSet(TypedDict):
    apiVersion: Literal["apps/v1"]
    kind: Literal["ReplicaSet"]
    metadata: ObjectMeta
    spec: ReplicaSetSpec
    status: NotRequired[ReplicaSetStatus]

class ReplicaSetCondition(TypedDict):
    lastTransitionTime: NotRequired[Time]
    message: NotRequired[str]
    reason: NotRequired[str]
    status: str
    type: str

class ReplicaSetSpec(TypedDict):
    minReadySeconds: NotRequired[int]
    replicas: NotRequired[int]
    selector: LabelSelector
    template: NotRequired[PodTemplateSpec]

class ReplicaSetStatus(TypedDict):
    availableReplicas: NotRequired[int]
    conditions: NotRequired[list[ReplicaSetCondition]]
    fullyLabeledReplicas: NotRequired[int]
    observedGeneration: NotRequired[int]
    readyReplicas: NotRequired[int]
    replicas: int
    terminatingReplicas: NotRequired[int]

class ReplicationController(TypedDict):
    apiVersion: Literal["v1"]
    kind: Literal["ReplicationController"]
    metadata: ObjectMeta
    spec: NotRequired[ReplicationControllerSpec]
    status: NotRequired[ReplicationControllerStatus]

class ReplicationControllerCondition(TypedDict):
    lastTransitionTime: NotRequired[Time]
    message: NotRequired[str]
    reason: NotRequired[str]
    status: str
    type: str

class ReplicationControllerSpec(TypedDict, total=False):
    minReadySeconds: int
    replicas: int
    selector: dict[str, str]
    template: PodTemplateSpec

class ReplicationControllerStatus(TypedDict):
    availableReplicas: NotRequired[int]
    conditions: NotRequired[list[ReplicationControllerCondition]]
    fullyLabeledReplicas: NotRequired[int]
    observedGeneration: NotRequired[int]
    readyReplicas: NotRequired[int]
    replicas: int

class ResourceClaim(TypedDict):
    name: str
    request: NotRequired[str]

class ResourceFieldSelector(TypedDict):
    containerName: NotRequired[str]
    divisor: NotRequired[Quantity]
    resource: str

class ResourceHealth(TypedDict):
    health: NotRequired[str]
    resourceID: str

class ResourceQuota(TypedDict):
    apiVersion: Literal["v1"]
    kind: Literal["ResourceQuota"]
    metadata: ObjectMeta
    spec: NotRequired[ResourceQuotaSpec]
    status: NotRequired[ResourceQuotaStatus]

class ResourceQuotaSpec(TypedDict, total=False):
    hard: dict[str, Quantity]
    scopeSelector: ScopeSelector
    scopes: list[str]

class ResourceQuotaStatus(TypedDict, total=False):
    hard: dict[str, Quantity]
    used: dict[str, Quantity]

class ResourceRequirements(TypedDict, total=False):
    claims: list[ResourceClaim]
    limits: dict[str, Quantity]
    requests: dict[str, Quantity]

class ResourceStatus(TypedDict):
    name: str
    resources: NotRequired[list[ResourceHealth]]

class Role(TypedDict):
    apiVersion: Literal["rbac.authorization.k8s.io/v1"]
    kind: Literal["Role"]
    metadata: ObjectMeta
    rules: NotRequired[list[PolicyRule]]

class RoleBinding(TypedDict):
    apiVersion: Literal["rbac.authorization.k8s.io/v1"]
    kind: Literal["RoleBinding"]
    metadata: ObjectMeta
    roleRef: RoleRef
    subjects: NotRequired[list[Subject]]

class RoleRef(TypedDict):
    apiGroup: str
    kind: str
    name: str

class RollingUpdateDaemonSet(TypedDict, total=False):
    maxSurge: IntOrString
    maxUnavailable: IntOrString

class RollingUpdateDeployment(TypedDict, total=False):
    maxSurge: IntOrString
    maxUnavailable: IntOrString

class RollingUpdateStatefulSetStrategy(TypedDict, total=False):
    maxUnavailable: IntOrString
    partition: int

class RuleWithOperations(TypedDict, total=False):
    apiGroups: list[str]
    apiVersions: list[str]
    operations: list[Literal["*", "CONNECT", "CREATE", "DELETE", "UPDATE"]]
    resources: list[str]
    scope: Literal["*", "Cluster", "Namespaced"]

class SELinuxOptions(TypedDict, total=False):
    level: str
    role: str
    type: str
    user: str

class ScaleIOPersistentVolumeSource(TypedDict):
    fsType: NotRequired[str]
    gateway: str
    protectionDomain: NotRequired[str]
    readOnly: NotRequired[bool]
    secretRef: SecretReference
    sslEnabled: NotRequired[bool]
    storageMode: NotRequired[str]
    storagePool: NotRequired[str]
    system: str
    volumeName: NotRequired[str]

class ScaleIOVolumeSource(TypedDict):
    fsType: NotRequired[str]
    gateway: str
    protectionDomain: NotRequired[str]
    readOnly: NotRequired[bool]
    secretRef: LocalObjectReference
    sslEnabled: NotRequired[bool]
    storageMode: NotRequired[str]
    storagePool: NotRequired[str]
    system: str
    volumeName: NotRequired[str]

class ScopeSelector(TypedDict, total=False):
    matchExpressions: list[ScopedResourceSelectorRequirement]

class ScopedResourceSelectorRequirement(TypedDict):
    operator: str
    scopeName: str
    values: NotRequired[list[str]]

class SeccompProfile(TypedDict):
    localhostProfile: NotRequired[str]
    type: str

class Secret(TypedDict):
    apiVersion: Literal["v1"]
    data: NotRequired[dict[str, str]]
    immutable: NotRequired[bool]
    kind: Literal["Secret"]
    metadata: ObjectMeta
    stringData: NotRequired[dict[str, str]]
    type: NotRequired[str]

class SecretEnvSource(TypedDict, total=False):
    name: str
    optional: bool

class SecretKeySelector(TypedDict):
    key: str
    name: NotRequired[str]
    optional: NotRequired[bool]

class SecretProjection(TypedDict, total=False):
    items: list[KeyToPath]
    name: str
    optional: bool

class SecretReference(TypedDict, total=False):
    name: str
    namespace: str

class SecretVolumeSource(TypedDict, total=False):
    defaultMode: int
    items: list[KeyToPath]
    optional: bool
    secretName: str

class SecurityContext(TypedDict, total=False):
    allowPrivilegeEscalation: bool
    appArmorProfile: AppArmorProfile
    capabilities: Capabilities
    privileged: bool
    procMount: str
    readOnlyRootFilesystem: bool
    runAsGroup: int
    runAsNonRoot: bool
    runAsUser: int
    seLinuxOptions: SELinuxOptions
    seccompProfile: SeccompProfile
    windowsOptions: WindowsSecurityContextOptions

class Service(TypedDict):
    apiVersion: Literal["v1"]
    kind: Literal["Service"]
    metadata: ObjectMeta
    spec: NotRequired[ServiceSpec]
    status: NotRequired[ServiceStatus]

class ServiceAccount(TypedDict):
    apiVersion: Literal["v1"]
    automountServiceAccountToken: NotRequired[bool]
    imagePullSecrets: NotRequired[list[LocalObjectReference]]
    kind: Literal["ServiceAccount"]
    metadata: ObjectMeta
    secrets: NotRequired[list[ObjectReference]]

class ServiceAccountTokenProjection(TypedDict):
    audience: NotRequired[str]
    expirationSeconds: NotRequired[int]
    path: str

class ServiceBackendPort(TypedDict, total=False):
    name: str
    number: int

class ServiceCIDR(TypedDict):
    apiVersion: Literal["networking.k8s.io/v1"]
    kind: Literal["ServiceCIDR"]
    metadata: ObjectMeta
    spec: NotRequired[ServiceCIDRSpec]
    status: NotRequired[ServiceCIDRStatus]

class ServiceCIDRSpec(TypedDict, total=False):
    cidrs: list[str]

class ServiceCIDRStatus(TypedDict, total=False):
    conditions: list[Condition]

class ServicePort(TypedDict):
    appProtocol: NotRequired[str]
    name: NotRequired[str]
    nodePort: NotRequired[int]
    port: int
    protocol: NotRequired[Literal["SCTP", "TCP", "UDP"]]
    targetPort: NotRequired[IntOrString]

class ServiceReference(TypedDict):
    name: str
    namespace: str
    path: NotRequired[str]
    port: NotRequired[int]

class ServiceSpec(TypedDict, total=False):
    allocateLoadBalancerNodePorts: bool
    clusterIP: str
    clusterIPs: list[str]
    externalIPs: list[str]
    externalName: str
    externalTrafficPolicy: Literal["Cluster", "Local"]
    healthCheckNodePort: int
    internalTrafficPolicy: Literal["Cluster", "Local"]
    ipFamilies: list[Literal["IPv4", "IPv6"]]
    ipFamilyPolicy: Literal["PreferDualStack", "RequireDualStack", "SingleStack"]
    loadBalancerClass: str
    loadBalancerIP: str
    loadBalancerSourceRanges: list[str]
    ports: list[ServicePort]
    publishNotReadyAddresses: bool
    selector: dict[str, str]
    sessionAffinity: Literal["ClientIP", "None"]
    sessionAffinityConfig: SessionAffinityConfig
    trafficDistribution: Literal["PreferClose", "PreferSameNode", "PreferSameZone"]
    type: Literal["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"]

class ServiceStatus(TypedDict, total=False):
    conditions: list[Condition]
    loadBalancer: LoadBalancerStatus

class SessionAffinityConfig(TypedDict, total=False):
    clientIP: ClientIPConfig

class SleepAction(TypedDict):
    seconds: int

class StatefulSet(TypedDict):
    apiVersion: Literal["apps/v1"]
    kind: Literal["StatefulSet"]
    metadata: ObjectMeta
    spec: StatefulSetSpec
    status: NotRequired[StatefulSetStatus]

class StatefulSetCondition(TypedDict):
    lastTransitionTime: NotRequired[Time]
    message: NotRequired[str]
    reason: NotRequired[str]
    status: str
    type: str

class StatefulSetOrdinals(TypedDict, total=False):
    start: int

class StatefulSetPersistentVolumeClaimRetentionPolicy(TypedDict, total=False):
    whenDeleted: str
    whenScaled: str

class StatefulSetSpec(TypedDict):
    minReadySeconds: NotRequired[int]
    ordinals: NotRequired[StatefulSetOrdinals]
    persistentVolumeClaimRetentionPolicy: NotRequired[
        StatefulSetPersistentVolumeClaimRetentionPolicy
    ]
    podManagementPolicy: NotRequired[Literal["OrderedReady", "Parallel"]]
    replicas: NotRequired[int]
    revisionHistoryLimit: NotRequired[int]
    selector: LabelSelector
    serviceName: NotRequired[str]
    template: PodTemplateSpec
    updateStrategy: NotRequired[StatefulSetUpdateStrategy]
    volumeClaimTemplates: NotRequired[list[PersistentVolumeClaim]]

class StatefulSetStatus(TypedDict):
    availableReplicas: NotRequired[int]
    collisionCount: NotRequired[int]
    conditions: NotRequired[list[StatefulSetCondition]]
    currentReplicas: NotRequired[int]
    currentRevision: NotRequired[str]
    observedGeneration: NotRequired[int]
    readyReplicas: NotRequired[int]
    replicas: int
    updateRevision: NotRequired[str]
    updatedReplicas: NotRequired[int]

class StatefulSetUpdateStrategy(TypedDict, total=False):
    rollingUpdate: RollingUpdateStatefulSetStrategy
    type: str

class StorageClass(TypedDict):
    allowVolumeExpansion: NotRequired[bool]
    allowedTopologies: NotRequired[list[TopologySelectorTerm]]
    apiVersion: Literal["storage.k8s.io/v1"]
    kind: Literal["StorageClass"]
    metadata: ObjectMeta
    mountOptions: NotRequired[list[str]]
    parameters: NotRequired[dict[str, str]]
    provisioner: str
    reclaimPolicy: NotRequired[str]
    volumeBindingMode: NotRequired[str]

class StorageOSPersistentVolumeSource(TypedDict, total=False):
    fsType: str
    readOnly: bool
    secretRef: ObjectReference
    volumeName: str
    volumeNamespace: str

class StorageOSVolumeSource(TypedDict, total=False):
    fsType: str
    readOnly: bool
    secretRef: LocalObjectReference
    volumeName: str
    volumeNamespace: str

class Subject(TypedDict):
    apiGroup: NotRequired[str]
    kind: str
    name: str
    namespace: NotRequired[str]

class SuccessPolicy(TypedDict):
    rules: list[SuccessPolicyRule]

class SuccessPolicyRule(TypedDict, total=False):
    succeededCount: int
    succeededIndexes: str

class Sysctl(TypedDict):
    name: str
    value: str

class TCPSocketAction(TypedDict):
    host: NotRequired[str]
    port: IntOrString

class Taint(TypedDict):
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"]
    key: str
    timeAdded: NotRequired[Time]
    value: NotRequired[str]

Time = str

class Toleration(TypedDict, total=False):
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"]
    key: str
    operator: Literal["Equal", "Exists"]
    tolerationSeconds: int
    value: str

class TopologySelectorLabelRequirement(TypedDict):
    key: str
    values: list[str]

class TopologySelectorTerm(TypedDict, total=False):
    matchLabelExpressions: list[TopologySelectorLabelRequirement]

class TopologySpreadConstraint(TypedDict):
    labelSelector: NotRequired[LabelSelector]
    matchLabelKeys: NotRequired[list[str]]
    maxSkew: int
    minDomains: NotRequired[int]
    nodeAffinityPolicy: NotRequired[str]
    nodeTaintsPolicy: NotRequired[str]
    topologyKey: str
    whenUnsatisfiable: Literal["DoNotSchedule", "ScheduleAnyway"]

class TypedLocalObjectReference(TypedDict):
    apiGroup: NotRequired[str]
    kind: str
    name: str

class TypedObjectReference(TypedDict):
    apiGroup: NotRequired[str]
    kind: str
    name: str
    namespace: NotRequired[str]

class UncountedTerminatedPods(TypedDict, total=False):
    failed: list[str]
    succeeded: list[str]

class ValidatingWebhook(TypedDict):
    admissionReviewVersions: list[str]
    clientConfig: WebhookClientConfig
    failurePolicy: NotRequired[Literal["Fail", "Ignore"]]
    matchConditions: NotRequired[list[MatchCondition]]
    matchPolicy: NotRequired[Literal["Equivalent", "Exact"]]
    name: str
    namespaceSelector: NotRequired[LabelSelector]
    objectSelector: NotRequired[LabelSelector]
    rules: NotRequired[list[RuleWithOperations]]
    sideEffects: Literal["None", "NoneOnDryRun"]
    timeoutSeconds: NotRequired[int]

class ValidatingWebhookConfiguration(TypedDict):
    apiVersion: Literal["admissionregistration.k8s.io/v1"]
    kind: Literal["ValidatingWebhookConfiguration"]
    metadata: ObjectMeta
    webhooks: NotRequired[list[ValidatingWebhook]]

class Volume(TypedDict):
    awsElasticBlockStore: NotRequired[AWSElasticBlockStoreVolumeSource]
    azureDisk: NotRequired[AzureDiskVolumeSource]
    azureFile: NotRequired[AzureFileVolumeSource]
    cephfs: NotRequired[CephFSVolumeSource]
    cinder: NotRequired[CinderVolumeSource]
    configMap: NotRequired[ConfigMapVolumeSource]
    csi: NotRequired[CSIVolumeSource]
    downwardAPI: NotRequired[DownwardAPIVolumeSource]
    emptyDir: NotRequired[EmptyDirVolumeSource]
    ephemeral: NotRequired[EphemeralVolumeSource]
    fc: NotRequired[FCVolumeSource]
    flexVolume: NotRequired[FlexVolumeSource]
    flocker: NotRequired[FlockerVolumeSource]
    gcePersistentDisk: NotRequired[GCEPersistentDiskVolumeSource]
    gitRepo: NotRequired[GitRepoVolumeSource]
    glusterfs: NotRequired[GlusterfsVolumeSource]
    hostPath: NotRequired[HostPathVolumeSource]
    image: NotRequired[ImageVolumeSource]
    iscsi: NotRequired[ISCSIVolumeSource]
    name: str
    nfs: NotRequired[NFSVolumeSource]
    persistentVolumeClaim: NotRequired[PersistentVolumeClaimVolumeSource]
    photonPersistentDisk: NotRequired[PhotonPersistentDiskVolumeSource]
    portworxVolume: NotRequired[PortworxVolumeSource]
    projected: NotRequired[ProjectedVolumeSource]
    quobyte: NotRequired[QuobyteVolumeSource]
    rbd: NotRequired[RBDVolumeSource]
    scaleIO: NotRequired[ScaleIOVolumeSource]
    secret: NotRequired[SecretVolumeSource]
    storageos: NotRequired[StorageOSVolumeSource]
    vsphereVolume: NotRequired[VsphereVirtualDiskVolumeSource]

class VolumeDevice(TypedDict):
    devicePath: str
    name: str

class VolumeMount(TypedDict):
    mountPath: str
    mountPropagation: NotRequired[str]
    name: str
    readOnly: NotRequired[bool]
    recursiveReadOnly: NotRequired[str]
    subPath: NotRequired[str]
    subPathExpr: NotRequired[str]

class VolumeMountStatus(TypedDict):
    mountPath: str
    name: str
    readOnly: NotRequired[bool]
    recursiveReadOnly: NotRequired[str]

class VolumeNodeAffinity(TypedDict, total=False):
    required: NodeSelector

class VolumeProjection(TypedDict, total=False):
    clusterTrustBundle: ClusterTrustBundleProjection
    configMap: ConfigMapProjection
    downwardAPI: DownwardAPIProjection
    secret: SecretProjection
    serviceAccountToken: ServiceAccountTokenProjection

class VolumeResourceRequirements(TypedDict, total=False):
    limits: dict[str, Quantity]
    requests: dict[str, Quantity]

class VsphereVirtualDiskVolumeSource(TypedDict):
    fsType: NotRequired[str]
    storagePolicyID: NotRequired[str]
    storagePolicyName: NotRequired[str]
    volumePath: str

class WebhookClientConfig(TypedDict, total=False):
    caBundle: str
    service: ServiceReference
    url: str

class WeightedPodAffinityTerm(TypedDict):
    podAffinityTerm: PodAffinityTerm
    weight: int

class WindowsSecurityContextOptions(TypedDict, total=False):
    gmsaCredentialSpec: str
    gmsaCredentialSpecName: str
    hostProcess: bool
    runAsUserName: str

class DiscoveryEndpointPort(TypedDict, total=False):
    appProtocol: str
    name: str
    port: int
    protocol: Literal["SCTP", "TCP", "UDP"]

Workload = Deployment | ReplicaSet | ReplicationController | StatefulSet | DaemonSet
