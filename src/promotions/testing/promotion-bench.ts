import { execFileSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MemoryObjectStore } from '../../adapters/objects/memory/memory-object-store.ts'
import { GitRepositories } from '../../adapters/repository/git-cli/git-repositories.ts'
import { Dispatcher, openDatabase, publish, type Subscription, subscribe, transact } from '../../db/index.ts'
import type { GateOutcome } from '../../gates/index.ts'
import { type Digest, digestOf } from '../../kernel/digest.ts'
import type { CommitId, ExecutionId, LoggedModelId, RunId } from '../../kernel/ids.ts'
import type { Actor } from '../../kernel/route.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Repositories } from '../../ports/repository.ts'
import { ProjectsService, ProjectsStore } from '../../projects/index.ts'
import { RegistryService } from '../../registry/index.ts'
import type { Candidate } from '../candidate.ts'
import type { Standing } from '../decide/promote.ts'
import { PromotionsService } from '../promotions-service.ts'
import { PromotionsStore } from '../promotions-store.ts'

export const project = 'tumour'
export const model = 'tumour-classifier'
export const owner: Actor = { kind: 'owner', name: 'olga' }
export const member: Actor = { kind: 'member', name: 'mia' }

/** modelwright.yaml as a team has it, with a comment that must stay. */
export const projectText = (promote: string, deployments = ''): string => `project: ${project}
steps:
  train:
    run: python train.py
    outs: [out]
    metrics: true
    model: ${model}   # ours
models:
  ${model}:
    gate: { objectives: [{ metric: train.auc, pass: [">= 0.9"] }] }
    promote: ${promote}
deployments:
  production:
    model: ${model}   # what patients meet
${deployments}`

export type CandidateWish = {
  content?: string
  outcome?: GateOutcome
  standing?: Standing
  modelTree?: Digest
}

/** Promotions on a real database, real Git and the real projects room; only candidates and the registry's numbers are given. */
export async function promotionBench(
  wish: { repositories?: (real: Repositories) => Repositories; database?: string } = {},
) {
  const root = await mkdtemp(join(tmpdir(), 'promotions-'))
  const git = new GitRepositories({ root: join(root, 'git'), idleMs: 100 })
  const repositories = wish.repositories?.(git) ?? git
  const db = await openDatabase(wish.database ?? ':memory:')
  let now = 1_700_000_000_000
  const clock: Clock = { now: () => now, sleep: async () => undefined }
  const objects = new MemoryObjectStore()
  const projects = new ProjectsService({ store: new ProjectsStore(db), repositories: git, clock })
  const candidates = new Map<string, Candidate>()
  const registry = new RegistryService({ db, clock })
  const make = () =>
    new PromotionsService({
      store: new PromotionsStore(db),
      objects,
      registry,
      projects,
      repositories,
      clock,
      candidateOf: async (executionId) => candidates.get(executionId),
    })
  const promotions = make()
  const subscription: Subscription = subscribe('promotions', ['gate.judged', 'branch.moved'], async (event) => {
    if (event.type === 'gate.judged') await promotions.onJudged(event.payload, event.at)
    else await promotions.onBranchMoved(event.payload, event.at)
  })
  const failures: unknown[] = []
  const dispatcher = new Dispatcher({ db, clock, log: { error: (details) => failures.push(details) } })
  await projects.connect({ name: project }, owner)
  const empty = emptyCommit(git.path(project))

  /** A person's push of the file, as the Git remote records it. */
  async function push(text: string, actor: string = 'mia', file = 'modelwright.yaml'): Promise<CommitId> {
    now += 1000
    const from = await git.head(project, 'main')
    const to = await git.commitFiles(project, {
      branch: 'main',
      expectedHead: from,
      base: from ?? empty,
      files: [{ path: file, content: text }],
      message: 'work\n',
      author: { name: 'Someone Else', email: 'x@example.org' },
      at: now,
    })
    if (to === 'moved') throw new Error('the branch moved')
    await projects.intendPush(project, [{ branch: 'main', from, to }], { kind: 'member', name: actor })
    await projects.observeHeads(project)
    return to
  }

  async function judge(execution: string, wished: CandidateWish = {}): Promise<void> {
    now += 1000
    const content = wished.content ?? execution
    const head = (await git.head(project, 'main'))!
    candidates.set(execution, {
      standing: wished.standing ?? { deployable: true },
      verdict: {
        id: `verdict-${execution}`,
        outcome: wished.outcome ?? 'pass',
        digest: digestOf(`verdict ${execution}`),
      },
      origin: {
        project,
        model,
        commit: head,
        execution: execution as ExecutionId,
        run: `run-${execution}` as RunId,
        loggedModelId: `m-${content}` as LoggedModelId,
        modelTree: wished.modelTree ?? digestOf(`tree ${content}`),
        contentDigest: digestOf(`content ${content}`),
        data: { biopsies: digestOf('data') },
        environmentLock: 'none',
        params: { train: { depth: 3 } },
        seed: 7,
        columns: [],
      },
    })
    const payload = {
      project,
      executionId: execution as ExecutionId,
      model,
      verdictId: `verdict-${execution}`,
      outcome: wished.outcome ?? 'pass',
    }
    await transact(db, (tx) => publish(tx, { type: 'gate.judged', payload }, now))
  }

  const bench = {
    root,
    db,
    git,
    projects,
    promotions,
    objects,
    candidates,
    registered: () => registry.versions(model).catch(() => []),
    clock,
    failures,
    push,
    judge,
    /** A server started anew on the same stores. */
    restarted: make,
    turn: (ms: number) => {
      now += ms
    },
    deliver: () => dispatcher.deliverTo(subscription, new AbortController().signal),
    text: async (branch = 'main') =>
      new TextDecoder().decode(await git.readFile(project, (await git.head(project, branch))!, 'modelwright.yaml')),
    declared: async () => {
      const { file } = await projects.fileAt(project, (await git.head(project, 'main'))!)
      return file.deployments.production
    },
    messages: async (branch = 'main') =>
      (await git.log(project, (await git.head(project, branch))!, { limit: 100 })).map(({ message }) => message),
    /** Oldest first; ids of one moment have no order, so a revert goes last. */
    all: async () =>
      (await promotions.list(project, { limit: 100 })).sort(
        (a, b) => a.createdAt - b.createdAt || a.kind.localeCompare(b.kind),
      ),
    branches: async () => (await git.branches(project)).map(({ branch }) => branch).sort(),
    close: async () => {
      await db.destroy()
      await rm(root, { recursive: true, force: true })
    },
  }
  return bench
}

/** What a first push stands on: a commit of the empty tree, on no branch. */
function emptyCommit(repository: string): CommitId {
  const env = {
    PATH: '/usr/local/bin:/usr/bin:/bin',
    ...{
      GIT_AUTHOR_NAME: 'a',
      GIT_AUTHOR_EMAIL: 'a@example.org',
      GIT_COMMITTER_NAME: 'a',
      GIT_COMMITTER_EMAIL: 'a@example.org',
    },
  }
  const git = (...args: string[]) => execFileSync('git', args, { cwd: repository, env, input: '' }).toString().trim()
  return git('commit-tree', git('hash-object', '-t', 'tree', '-w', '--stdin'), '-m', 'begin') as CommitId
}

export type PromotionBench = Awaited<ReturnType<typeof promotionBench>>
