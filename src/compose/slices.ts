import { join } from 'node:path'
import type { Logger } from 'pino'
import {
  AccessService,
  ownerTokenAt,
  SecretBox,
  StepSecrets,
  secretEndpoints,
  secretsKeyAt,
  userEndpoints,
} from '../access/index.ts'
import { ArtifactService } from '../artifacts/index.ts'
import { type Db, Leases, type Subscription, subscribe } from '../db/index.ts'
import { EvaluationsService, ReviewQueuesService } from '../evaluations/index.ts'
import {
  ExecutionEngine,
  ExecutionsService,
  ExecutionsStore,
  executionEndpoints,
  explainEndpoints,
  FanOut,
  StepRunner,
} from '../executions/index.ts'
import { PushService } from '../forges/index.ts'
import { GateService, GateStore, gateEndpoints } from '../gates/index.ts'
import { ImportsService, importEndpoints } from '../imports/index.ts'
import { newId } from '../kernel/ids.ts'
import type { Endpoint } from '../kernel/route.ts'
import { parseDuration } from '../kernel/time.ts'
import { parseBytes } from '../kernel/units.ts'
import { LabelsService, labelEndpoints } from '../labels/index.ts'
import { lineageEndpoints } from '../lineage/index.ts'
import { MonitoringService, MonitoringStore, monitoringEndpoints } from '../monitoring/index.ts'
import { AddressReader, Planner, PlanStore, SourceReader } from '../planning/index.ts'
import { ProjectsService, ProjectsStore, projectEndpoints } from '../projects/index.ts'
import { PromotionsService, PromotionsStore, promotionEndpoints } from '../promotions/index.ts'
import { ProvenanceService, ProvenanceStore, provenanceEndpoints } from '../provenance/index.ts'
import { RegistryService, registryEndpoints } from '../registry/index.ts'
import { ModelAsker, ReproductionsService, ReproductionsStore, reproductionEndpoints } from '../reproductions/index.ts'
import { LabelledRowsFreezer, RetrainingService, RetrainingStore, retrainingEndpoints } from '../retraining/index.ts'
import {
  GatewayFile,
  ModelFolders,
  Preparation,
  Reconciler,
  type Rollout,
  RolloutsService,
  RolloutsStore,
  rolloutEndpoints,
  VersionConversions,
  VersionConversionsStore,
} from '../rollouts/index.ts'
import { PredictionLog, predictionEndpoints, pythonFolder } from '../serving/index.ts'
import { TracesService } from '../traces/index.ts'
import { TrackingService, trackingEndpoints } from '../tracking/index.ts'
import { DeliveryEngine, toldEvents, WebhooksService, webhookEndpoints } from '../webhooks/index.ts'
import { hiddenFromSteps, type Ports } from './adapters.ts'
import { candidateReader } from './candidate-reader.ts'
import { championByDigest } from './champion-by-digest.ts'
import { type Config, machineEnvironment } from './config.ts'
import { checkData, dataForConversion, dataSecret, profileOf, referenceOf } from './datasets.ts'
import { openDvcObject } from './dvc-remote.ts'
import { aliasFollowsGit as gitOwnedAliases } from './git-owned-aliases.ts'
import { Loop } from './loop.ts'
import { planForPush } from './plan-for-push.ts'
import { Retention, retentionEndpoints } from './retention.ts'
import {
  converterPythonOf,
  expirePredictions,
  gatewayObserver,
  predictionLookup,
  pythonOf,
  trafficObserver,
  watchedDeployments,
} from './serving-views.ts'
import { thisMachine } from './this-machine.ts'
import { thisProgram } from './this-program.ts'

const leaseMs = 15_000

/** What only the listening server knows. */
export type Addresses = { trackingUri: () => string; publicUrl: () => string; gatewayUrl: () => string }

/**
 * Ports → stores → services → routes, in the order in which data flows: the map of the system. Below it the whole list of
 * subscriptions, and the loops.
 */
export function createSlices(config: Config, ports: Ports, db: Db, log: Logger, addresses: Addresses) {
  const { addresses: elsewhere, clock, objects, executor, environments, repositories } = ports
  const leases = new Leases(db, clock, newId(clock.now()))
  const variable = (name: string) => config.environment[name]

  const access = new AccessService({
    db,
    clock,
    ownerTokenPath: config.ownerTokenPath,
    defaultPermission: config.defaultPermission,
  })
  const projects = new ProjectsService({ store: new ProjectsStore(db), repositories, clock })
  const artifacts = new ArtifactService({ db, clock, objects })
  const tracking = new TrackingService({ db, clock })
  const traces = new TracesService({ db, clock, tracking })
  const evaluations = new EvaluationsService({ db, clock, tracking })
  const reviewQueues = new ReviewQueuesService({ db, clock, tracking, traces })
  const registry = new RegistryService({ db, clock })
  const imports = new ImportsService({ db, clock, artifacts, tracking })
  const secrets = new SecretBox(secretsKeyAt(config.secretsKeyPath, config.environment.MODELWRIGHT_SECRETS_KEY))
  const webhookPolicy = {
    schemes: config.webhookSchemes.split(',').filter(Boolean),
    allowPrivate: config.webhookAllowPrivate,
  }
  const webhooks = new WebhooksService({ db, clock, secrets, policy: webhookPolicy })
  const webhookDeliveries = new DeliveryEngine({
    db,
    clock,
    log,
    secrets,
    allowPrivate: webhookPolicy.allowPrivate,
    chance: Math.random,
  })

  const planStore = new PlanStore(db)
  const sources = new SourceReader({ db, repositories, objects, artifacts, store: planStore, clock, openDvcObject })
  const machine = thisMachine(config.dataDir)
  const stepSecrets = new StepSecrets({ db, clock, box: secrets, variable })
  const planner = new Planner({
    addresses: new AddressReader({
      ...{ addresses: elsewhere, objects, store: planStore, clock },
      secretOf: dataSecret(stepSecrets),
    }),
    projects,
    artifacts,
    objects,
    environments,
    sources,
    store: planStore,
    clock,
    championByDigest: championByDigest(registry, objects),
    variable,
    platform: `${process.platform}-${process.arch}`,
  })

  const executionsStore = new ExecutionsStore(db)
  const runner = new StepRunner({
    db,
    clock,
    store: executionsStore,
    planner,
    planStore,
    objects,
    artifacts,
    executor,
    environments,
    tracking,
    access,
    checkData,
    repositories,
    secrets: stepSecrets,
    box: secrets,
    log,
    workDir: config.workDir,
    cachesDir: config.cachesDir,
    logBytes: parseBytes(config.stepLogLimit)!,
    hidden: hiddenFromSteps(config),
    dataDir: config.dataDir,
    ...(config.pricePerHour > 0 ? { price: { perHour: config.pricePerHour, currency: config.currency } } : {}),
    gpuCount: machine.gpuCount,
    trackingUri: addresses.trackingUri,
    bootstrapPath: join(pythonFolder(), 'bootstrap'),
    program: thisProgram(),
    systemPath: config.environment.PATH ?? '/usr/local/bin:/usr/bin:/bin',
    machine: { ...machine, name: config.machineName, environment: machineEnvironment(config.environment) },
    variable,
  })
  const aliasFollowsGit = gitOwnedAliases(db, projects, registry)
  const engine = new ExecutionEngine({
    db,
    clock,
    store: executionsStore,
    runner,
    planner,
    projects,
    leases,
    log,
    fanOut: new FanOut({ db, clock, store: executionsStore, objects, artifacts }),
    capacity: { cpu: config.slots, memoryBytes: machine.memoryBytes, gpu: machine.gpuCount },
  })
  const executions = new ExecutionsService({
    db,
    clock,
    store: executionsStore,
    runner,
    planner,
    projects,
    repositories,
    artifacts,
    wake: () => engineLoop.wake(),
  })
  const predictions = new PredictionLog({ db, dataDir: config.dataDir, clock })
  const gates = new GateService({ db, clock, store: new GateStore(db), executions, projects })
  const promotions = new PromotionsService({
    store: new PromotionsStore(db),
    objects,
    registry,
    projects,
    repositories,
    clock,
    candidateOf: candidateReader({
      executions,
      gates,
      artifacts,
      objects,
      projects,
      profileOf: (dataset) => profileOf(objects, config.dataDir, dataset),
    }),
  })
  const rolloutsStore = new RolloutsStore(db)
  const observeGateway = gatewayObserver(addresses.gatewayUrl, () => ownerTokenAt(config.ownerTokenPath))
  const observeTraffic = trafficObserver(predictions)
  const versionConversions = new VersionConversions({
    root: join(config.dataDir, 'conversions'),
    store: new VersionConversionsStore(db),
    clock,
    log,
    limitMs: parseDuration(config.convertLimit)!,
    layOutData: dataForConversion(objects, projects),
    converterPython: converterPythonOf(planner, environments),
  })
  const preparation = new Preparation({
    folders: new ModelFolders(join(config.gatewayDir, 'models'), artifacts),
    manifestOf: (digest) => promotions.manifestOf(digest),
    ensurePython: pythonOf(planner, environments),
    projects,
    ...(config.convert === 'off' ? {} : { conversions: versionConversions }),
  })
  const file = new GatewayFile(config.gatewayDir, rolloutsStore)
  const reconciler = new Reconciler({
    store: rolloutsStore,
    file,
    preparation,
    promotions,
    projects,
    observeGateway,
    observeTraffic,
    log,
  })
  const rollouts = new RolloutsService({
    store: rolloutsStore,
    projects,
    promotions,
    observeGateway,
    observeTraffic,
    conversions: new VersionConversionsStore(db),
    clock,
  })

  const labels = new LabelsService({ db, clock, predictions: predictionLookup(predictions) })
  const monitoringStore = new MonitoringStore(db)
  const watched = watchedDeployments(projects, rolloutsStore)
  const monitoring = new MonitoringService({
    store: monitoringStore,
    clock,
    predictions,
    labels,
    referenceOf: (digest) => referenceOf(objects, promotions, digest),
    deployments: watched,
  })
  const retraining = new RetrainingService({
    store: new RetrainingStore(db),
    clock,
    projects,
    executions,
    sources,
    labels,
    alerts: monitoringStore,
    freezer: new LabelledRowsFreezer({ db, labels, artifacts, objects }),
    barred: async (place) => stalledReason(await rolloutsStore.latest(place)),
  })

  const reproductions = new ReproductionsService({
    store: new ReproductionsStore(db),
    clock,
    executions,
    promotions,
    locks: planner.locks,
    artifacts,
    objects,
    models: new ModelAsker({
      artifacts,
      executor,
      pythonOf: pythonOf(planner, environments),
      programs: join(pythonFolder(), 'compare'),
      workDir: config.workDir,
      systemPath: config.environment.PATH ?? '/usr/local/bin:/usr/bin:/bin',
    }),
    wake: () => reproductionLoop.wake(),
  })

  const provenance = new ProvenanceService({
    store: new ProvenanceStore(db, secrets),
    clock,
    promotions,
    registry,
    executions,
    artifacts,
    locks: planner.locks,
  })

  const retention = new Retention({
    db,
    clock,
    log,
    objects,
    artifacts,
    tracking,
    traces,
    imports,
    permissions: access.permissions,
    environments,
    retentionMs: parseDuration(config.retention) ?? 0,
  })

  const pushes = new PushService({
    projects,
    repositories,
    planPush: planForPush(planner, clock),
    publicUrl: addresses.publicUrl,
    log,
  })

  const subscriptions: Subscription[] = [
    subscribe('executions', ['branch.moved'], (event) => executions.onBranchMoved(event)),
    subscribe('gates', ['execution.finished'], (event) => gates.onExecutionFinished(event.payload)),
    subscribe('promotions', ['branch.moved', 'gate.judged'], (event) =>
      event.type === 'gate.judged'
        ? promotions.onJudged(event.payload, event.at)
        : promotions.onBranchMoved(event.payload, event.at),
    ),
    subscribe('webhooks', toldEvents, async (event) => {
      await webhooks.onEvent(event)
      webhookLoop.wake()
    }),
    subscribe('aliases', ['desired.changed'], (event) => aliasFollowsGit(event.payload)),
    subscribe('rollouts', ['desired.changed', 'promotion.changed'], async () => rolloutLoop.wake()),
    subscribe('provenance', ['version.registered'], (event) => provenance.onRegistered(event.payload)),
    subscribe('reproductions', ['execution.finished'], async () => reproductionLoop.wake()),
    subscribe('retraining', ['drift.judged', 'labels.received'], async () => retrainingLoop.wake()),
  ]

  const webhookLoop: Loop = new Loop('webhooks', 1_000, (signal) => webhookDeliveries.pass(signal))
  const engineLoop: Loop = new Loop('executions', 2_000, (signal) => engine.pass(engineLoop.wake, signal))
  /** Of several servers one acts. */
  const whileHeld = (name: string, pass: () => Promise<unknown>) => async () => {
    if (await leases.claim(name, leaseMs)) await pass()
  }
  const rolloutLoop = new Loop(
    'rollouts',
    500,
    whileHeld('rollouts', () => reconciler.tick(clock.now())),
  )
  const retrainingLoop = new Loop(
    'retraining',
    2_000,
    whileHeld('retraining', async () => reportFailures(log, 'retraining', await retraining.tick())),
  )
  const reproductionLoop: Loop = new Loop(
    'reproductions',
    2_000,
    whileHeld('reproductions', async () => reportFailures(log, 'reproductions', await reproductions.tick())),
  )
  const retentionLoop: Loop = new Loop('retention', 60_000, async (signal) => {
    // What the owner asked this server for it does itself, whoever holds the lease.
    if (retention.isAsked || (await leases.claim('retention', leaseMs))) await retention.pass(signal)
  })
  const loops = [
    engineLoop,
    retentionLoop,
    webhookLoop,
    new Loop('branches', 10_000, async () => {
      for (const { project, error } of await projects.observeAll())
        log.error({ err: error, project }, 'a repository could not be read')
    }),
    new Loop('promotions', 10_000, async () =>
      reportFailures(log, 'promotions', { failures: await promotions.resume() }),
    ),
    new Loop('metric points', 1_000, () => tracking.settleMetrics()),
    new Loop('predictions', 1_000, () => predictions.ingest()),
    new Loop('prediction tables', 15_000, () => predictions.convert()),
    new Loop(
      'prediction retention',
      600_000,
      whileHeld('prediction retention', () => expirePredictions(projects, predictions)),
    ),
    rolloutLoop,
    new Loop(
      'monitoring',
      1_000,
      whileHeld('monitoring', async () => reportFailures(log, 'monitoring', await monitoring.tick())),
    ),
    retrainingLoop,
    reproductionLoop,
  ]

  const endpoints: Endpoint[] = [
    ...userEndpoints({ users: access.users, clock }),
    ...secretEndpoints(stepSecrets),
    ...projectEndpoints(projects),
    ...retentionEndpoints(retention, () => retentionLoop.wake()),
    ...trackingEndpoints(tracking, access.permissions),
    ...registryEndpoints(registry, access.permissions),
    ...importEndpoints(imports),
    ...webhookEndpoints(webhooks),
    ...executionEndpoints({ executions, planner, projects, repositories, clock }),
    ...explainEndpoints({ executions, planner, projects, clock }),
    ...gateEndpoints(gates),
    ...promotionEndpoints(promotions),
    ...predictionEndpoints(predictions),
    ...rolloutEndpoints(rollouts),
    ...labelEndpoints(labels, projects),
    ...monitoringEndpoints({ store: monitoringStore, projects, deployments: watched }),
    ...retrainingEndpoints(retraining),
    ...reproductionEndpoints(reproductions),
    ...provenanceEndpoints(provenance),
    ...lineageEndpoints({
      db,
      clock,
      endpoints: () => endpoints,
      projects,
      promotions,
      artifacts,
      objects,
      locks: planner.locks,
      tracking,
      repositories,
    }),
  ]

  return {
    access,
    projects,
    artifacts,
    tracking,
    traces,
    evaluations,
    reviewQueues,
    registry,
    webhooks,
    webhookDeliveries,
    planner,
    engine,
    preparation,
    executions,
    predictions,
    gates,
    promotions,
    rollouts,
    labels,
    monitoring,
    retraining,
    pushes,
    leases,
    subscriptions,
    loops,
    endpoints,
  }
}

/** An aborted rollout waits for a person; nothing trains against it meanwhile. */
const stalledReason = (rollout: Rollout | undefined): string | undefined =>
  rollout?.state === 'stalled' ? (rollout.reason ?? 'its rollout is stalled') : undefined

function reportFailures(log: Logger, loop: string, { failures }: { failures: { error: unknown }[] }): void {
  for (const { error, ...place } of failures) log.error({ err: error, ...place }, `${loop} failed`)
}
