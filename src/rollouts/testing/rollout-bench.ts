import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ArtifactService } from '../../artifacts/index.ts'
import type { Digest } from '../../kernel/digest.ts'
import { type CandidateWish, project, promotionBench } from '../../promotions/testing/promotion-bench.ts'
import type { GatewayDesired, GatewayObserved } from '../../serving/index.ts'
import { GatewayFile } from '../gateway-file.ts'
import { ModelFolders } from '../model-folders.ts'
import { Preparation, type PreparationParts } from '../preparation.ts'
import { Reconciler } from '../reconciler.ts'
import type { TrafficCounts } from '../rollout.ts'
import { RolloutsService } from '../rollouts-service.ts'
import { RolloutsStore } from '../rollouts-store.ts'
import { VersionConversionsStore } from '../version-conversions-store.ts'

type Seen = GatewayObserved['endpoints'][number]['versions'][number]

/** A gateway that reads the real desired.json and says of itself what a test wants. */
export class PlayedGateway {
  readonly states = new Map<Digest, Partial<Seen>>()
  /** What it says besides, of itself and of each endpoint. */
  said: Pick<GatewayObserved, 'problem' | 'memory' | 'journal'> = {}
  counts: Pick<GatewayObserved['endpoints'][number], 'requests' | 'inputs'> = {}
  tripped: NonNullable<GatewayObserved['endpoints'][number]['guardTripped']> | undefined
  isDown = false
  #desired: GatewayDesired = { revision: 0, endpoints: [] }
  readonly #path: string

  constructor(path: string) {
    this.#path = path
  }

  /** Takes the file in, as the real one does when it changed. */
  async read(): Promise<GatewayDesired> {
    this.#desired = JSON.parse(await readFile(this.#path, 'utf8')) as GatewayDesired
    if (!this.#desired.endpoints.some(({ guard }) => guard?.newcomer === this.tripped?.newcomer))
      this.tripped = undefined
    return this.#desired
  }

  observe: () => Promise<GatewayObserved | undefined> = async () => {
    if (this.isDown) return undefined
    await this.read().catch(() => undefined)
    return {
      revision: this.#desired.revision,
      startedAt: 0,
      ...this.said,
      endpoints: this.#desired.endpoints.map(({ versions, environment, project: name }) => ({
        project: name,
        environment,
        versions: versions.map(({ target, weight }) => ({
          digest: target.digest,
          version: target.version,
          weight,
          state: 'ready' as const,
          computes: target.graphPath === undefined ? ('python' as const) : ('onnx' as const),
          ...this.states.get(target.digest),
        })),
        ...this.counts,
        ...(this.tripped ? { guardTripped: this.tripped } : {}),
      })),
    }
  }
}

class Killed extends Error {}

/** Lets a server die at its n-th write or question: from then on nothing that it does arrives anywhere. */
class Fate {
  callsLeft = Number.POSITIVE_INFINITY

  over<T extends object>(part: T): T {
    return new Proxy(part, {
      get: (target, name) => {
        const value = Reflect.get(target, name) as unknown
        if (typeof value !== 'function') return value
        return (...args: unknown[]) => {
          if (--this.callsLeft < 0) throw new Killed()
          return (value as (...args: unknown[]) => unknown).apply(target, args)
        }
      },
    })
  }
}

/** Rollouts on a real database, real Git, real folders and the real promotions; the gateway, traffic and Python are played. */
export async function rolloutBench({ conversions }: Pick<PreparationParts, 'conversions'> = {}) {
  const bench = await promotionBench()
  const dataDir = join(bench.root, 'data')
  const store = new RolloutsStore(bench.db)
  const conversionFacts = new VersionConversionsStore(bench.db)
  const artifacts = new ArtifactService({ db: bench.db, clock: bench.clock, objects: bench.objects })
  const gateway = new PlayedGateway(join(dataDir, 'gateway', 'desired.json'))
  const seen: ({ digest: Digest; at: number } & TrafficCounts)[] = []
  const failures: unknown[] = []
  let pythonFails: Error | undefined
  let python = '/envs/one/bin/python'
  const observeTraffic = async ({ digest, since }: { digest: Digest; since: number }) =>
    seen
      .filter((one) => one.digest === digest && one.at >= since)
      .reduce(
        (sum, one) => ({
          requests: sum.requests + one.requests,
          failed: sum.failed + one.failed,
          inputRefused: sum.inputRefused + one.inputRefused,
        }),
        { requests: 0, failed: 0, inputRefused: 0 },
      )

  let preparation: Preparation
  const started = (fate = new Fate()) => {
    preparation = new Preparation({
      folders: new ModelFolders(join(dataDir, 'gateway', 'models'), artifacts),
      manifestOf: (digest) => bench.promotions.manifestOf(digest),
      ensurePython: async () => {
        if (pythonFails) throw pythonFails
        return python
      },
      projects: bench.projects,
      ...(conversions ? { conversions } : {}),
    })
    return new Reconciler({
      store: fate.over(store),
      file: fate.over(new GatewayFile(join(dataDir, 'gateway'), store)),
      preparation,
      promotions: fate.over(bench.promotions),
      projects: bench.projects,
      observeGateway: gateway.observe,
      observeTraffic,
      log: { error: (details) => (details as { err?: unknown }).err instanceof Killed || failures.push(details) },
    })
  }
  let reconciler = started()
  const service = new RolloutsService({
    store,
    projects: bench.projects,
    promotions: bench.promotions,
    observeGateway: gateway.observe,
    observeTraffic,
    conversions: conversionFacts,
    clock: bench.clock,
  })

  const place = { project, environment: 'production' }
  const parts = {
    ...bench,
    dataDir,
    place,
    store,
    gateway,
    conversionFacts,
    service,
    rolloutFailures: failures,
    failPython: (error: Error | undefined) => {
      pythonFails = error
    },
    /** From here on a real gateway carries what the file says, with workers of that interpreter. */
    useGateway: (observe: () => Promise<GatewayObserved>, interpreter: string) => {
      gateway.observe = observe
      python = interpreter
      reconciler = started()
    },
    /** A judged version whose model really lies in the object store. */
    judgeModel: async (execution: string, wish: CandidateWish = {}) => {
      const folder = join(bench.root, `model-${execution}`)
      await mkdir(join(folder, 'code'), { recursive: true })
      await writeFile(join(folder, 'MLmodel'), `flavors: {} # ${wish.content ?? execution}\n`)
      await writeFile(join(folder, 'code', 'model.py'), 'print(1)\n')
      const { digest } = await artifacts.storeFolder(folder)
      await bench.judge(execution, { modelTree: digest, ...wish })
      await bench.deliver()
    },
    /** A look, what it began in the background, and the looks that follow from that. */
    look: async () => {
      for (let round = 0; round < 3; round++) {
        await reconciler.tick(bench.clock.now())
        await preparation.settled()
      }
      await bench.deliver()
    },
    tick: () => reconciler.tick(bench.clock.now()),
    settled: () => preparation.settled(),
    /** A look (its first or second) of a server that dies at its n-th call of it, and a new server after it; 1 where it did not come to its end. */
    killedAt: async (call: number, looks: 'first' | 'second'): Promise<number> => {
      const fate = new Fate()
      reconciler = started(fate)
      if (looks === 'second') await reconciler.tick(bench.clock.now())
      await preparation.settled()
      fate.callsLeft = call - 1
      await reconciler.tick(bench.clock.now()).catch((error: unknown) => {
        if (!(error instanceof Killed)) throw error
      })
      // What a dead server had begun in the background ends with it; here it is let finish.
      await preparation.settled()
      const died = fate.callsLeft < 0
      reconciler = started()
      return died ? 1 : 0
    },
    restart: () => {
      reconciler = started()
    },
    traffic: (digest: Digest, counts: Partial<TrafficCounts>) => {
      seen.push({ digest, at: bench.clock.now(), requests: 0, failed: 0, inputRefused: 0, ...counts })
    },
    deployment: async () => service.deployment(place),
    desired: () => gateway.read(),
    /** version → weight, as the gateway is told. */
    weights: async () =>
      Object.fromEntries(
        ((await gateway.read()).endpoints[0]?.versions ?? []).map(({ target, weight }) => [target.version, weight]),
      ),
    removeModels: () => rm(join(dataDir, 'gateway', 'models'), { recursive: true }),
  }
  const declaredDigest = async (): Promise<Digest> => (await bench.declared())!.digest!
  const served = async () => {
    await parts.judgeModel('e1')
    await parts.look()
  }
  return {
    ...parts,
    declaredDigest,
    /** The first version serves. */
    served,
    /** It does, and a second one is in the first step of its canary. */
    secondUnderWay: async (): Promise<Digest> => {
      await served()
      await parts.judgeModel('e2')
      await parts.look()
      return declaredDigest()
    },
    /** The states that events of a type told, oldest first. */
    told: async (type: string) => {
      const rows = await bench.db
        .selectFrom('events')
        .select('payload')
        .where('type', '=', type)
        .orderBy('id')
        .execute()
      return rows.map((row) => (JSON.parse(row.payload) as { state: string }).state)
    },
    state: async () => {
      const view = await parts.deployment()
      return { state: view.state, serving: view.serving?.version, rollout: view.rollout?.state }
    },
  }
}

export type RolloutBench = Awaited<ReturnType<typeof rolloutBench>>
