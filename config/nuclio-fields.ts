/**
 * What a Nuclio document may hold that has no effect on a device, and why. Such a field is accepted, so that the document stays one
 * document for both, and answered with a notice, so that nobody relies on it.
 */
export const NO_CONTAINER = 'a device runs no containers'
export const NO_CLUSTER = 'a device is no cluster'
const NO_SCALING = 'a device does not scale out; see numWorkers'
export const DEAD = 'Nuclio itself does nothing with it'

export const SPEC_WITHOUT_EFFECT: Readonly<Record<string, string>> = {
  publish: DEAD,
  version: 'the publisher numbers the versions',
  alias: 'the alias is named when a version is deployed; see docs/versions.md',
  envFrom: NO_CLUSTER,
  image: NO_CONTAINER,
  imageHash: NO_CONTAINER,
  imagePullSecrets: NO_CONTAINER,
  imagePullPolicy: NO_CONTAINER,
  runRegistry: NO_CONTAINER,
  replicas: NO_SCALING,
  minReplicas: NO_SCALING,
  maxReplicas: NO_SCALING,
  targetCPU: NO_SCALING,
  customScalingMetricSpecs: NO_SCALING,
  autoScaleMetrics: NO_SCALING,
  scaleToZero: NO_SCALING,
  dataBindings: `${DEAD}; triggers are the inputs of a function, context.emit and context.publish its outputs`,
  volumes: 'functions see the files of the device',
  devices: 'functions see the devices of the device',
  dealerURI: DEAD,
  platform: NO_CONTAINER,
  readinessTimeoutSeconds: 'a worker has 30 s to become ready',
  waitReadinessTimeoutBeforeFailure: 'a version whose workers do not become ready never replaces the one before',
  serviceType: NO_CLUSTER,
  serviceAccount: NO_CLUSTER,
  affinity: NO_CLUSTER,
  nodeSelector: NO_CLUSTER,
  nodeName: NO_CLUSTER,
  tolerations: NO_CLUSTER,
  priorityClassName: NO_CLUSTER,
  preemptionPolicy: NO_CLUSTER,
  preemptionMode: NO_CLUSTER,
  deploymentStrategy: NO_CLUSTER,
  hostIPC: NO_CLUSTER,
  sidecars: NO_CONTAINER,
  initContainers: NO_CONTAINER,
  securityContext: 'functions run as the user of the agent',
  disableDefaultHTTPTrigger: 'there is no HTTP trigger unless the document has one',
  disableSensitiveFieldsMasking: NO_CLUSTER,
  avatar: 'there is nowhere to show it',
}

const NO_IMAGE = 'nothing is built on a device'

export const BUILD_WITHOUT_EFFECT: Readonly<Record<string, string>> = {
  path: 'the bundle holds the folder of function.yaml',
  functionConfigPath: 'the bundle holds the folder of function.yaml',
  tempDir: NO_IMAGE,
  registry: NO_IMAGE,
  baseImageRegistry: NO_IMAGE,
  image: NO_IMAGE,
  noBaseImagesPull: NO_IMAGE,
  noCache: NO_IMAGE,
  noCleanup: NO_IMAGE,
  baseImage: NO_IMAGE,
  commands: 'nothing is built on a device: put what the commands make into the bundle',
  directives: NO_IMAGE,
  scriptPaths: NO_IMAGE,
  addedPaths: NO_IMAGE,
  dependencies: 'nothing is installed on a device: put dependencies into the bundle',
  onbuildImage: NO_IMAGE,
  offline: NO_IMAGE,
  runtimeAttributes: NO_IMAGE,
  codeEntryAttributes: NO_IMAGE,
  timestamp: NO_IMAGE,
  buildTimeoutSeconds: NO_IMAGE,
  mode: NO_IMAGE,
  args: NO_IMAGE,
  flags: NO_IMAGE,
  builderServiceAccount: NO_IMAGE,
}

export const METADATA_WITHOUT_EFFECT: Readonly<Record<string, string>> = {
  namespace: NO_CLUSTER,
  resourceVersion: NO_CLUSTER,
}

export const TRIGGER_WITHOUT_EFFECT: Readonly<Record<string, string>> = {
  class: 'the kind decides',
  workerTerminationTimeout: 'running events get 2 s when a version is replaced, and 5 s when the agent stops',
  username: 'a trigger of this kind logs in nowhere',
  password: 'a trigger of this kind logs in nowhere',
  mode: 'handlers overlap by concurrency',
  asyncConfig: 'handlers overlap by concurrency',
  waitExplicitAckDuringRebalanceTimeout: 'a device has nobody to share its events with, so nothing is rebalanced',
  secret: 'no trigger of this version reads one; see passwordFile of mqtt',
  partitions: 'no trigger of this version has partitions; see workerAllocationMode',
  paths: 'see attributes.paths',
}

/** Trigger kinds of Nuclio that this version has not. */
export const OTHER_TRIGGER_KINDS: readonly string[] = [
  'iotCoreMqtt',
  'kafka-cluster',
  'kafka',
  'kinesis',
  'eventhub',
  'rabbit-mq',
  'nats',
  'nats-jetstream',
  'pubsub',
  'v3ioStream',
  'v3ioItemPoller',
  'poller-dir',
]

/** Runtimes of Nuclio that this version has not. */
export const OTHER_RUNTIMES: readonly string[] = ['dotnetcore', 'ruby']
