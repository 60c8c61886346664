import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { isAppError } from '../../src/kernel/errors.ts'
import type { OutputOf } from '../../src/kernel/route.ts'
import type { whyEnvironment } from '../../src/lineage/lineage-contract.ts'
import { approvePromotion, rejectPromotion } from '../../src/promotions/promotions-contract.ts'
import { getModelVersion } from '../../src/registry/registry-contract.ts'
import { continueRollout } from '../../src/rollouts/rollouts-contract.ts'
import { getPrediction } from '../../src/serving/predictions-contract.ts'
import { testPython } from '../support/python.ts'
import { Family } from './support/family.ts'
import { type Execution, nodeOf, Project, statesOf } from './support/project.ts'
import { prepareEnvironment, sorterProject } from './support/sorter.ts'
import { tumourProject } from './support/tumour.ts'

const python = testPython()

// Journeys with real models: from a push to what production answers.
describe.skipIf(!python)('from a push to production', () => {
  let family: Family
  beforeAll(async () => {
    family = await Family.start(['--slots', '2'])
    await prepareEnvironment(family)
  })
  afterAll(() => family?.stop())

  /** A project whose first version was promoted by its gate and serves. */
  async function withFirstVersion(name: string, options: Parameters<typeof sorterProject>[1] = {}) {
    const project = await Project.connect(family, name, sorterProject(name, options))
    const { commit } = await project.push('first model')
    await project.succeeded(commit)
    await project.serves(1)
    await project.pull()
    return project
  }

  /** Edits modelwright.yaml as it stands, promotion commits included. */
  async function edit(project: Project, change: (text: string) => string) {
    await project.pull()
    const before = await project.remoteFile('modelwright.yaml')
    const after = change(before)
    expect(after).not.toBe(before)
    return { 'modelwright.yaml': after }
  }
  const setShift = (shift: number) => (text: string) => text.replace(/shift: \d+/, `shift: ${shift}`)
  const settled = async (project: Project, commit: string): Promise<Execution> => {
    const execution = await project.succeeded(commit)
    await project.verdict(execution.id)
    return execution
  }

  it('serves the scikit-learn model of a push, and a prediction id leads to version, run and commit', async () => {
    const project = await Project.connect(family, 'tumour', tumourProject('tumour'))
    const { commit } = await project.push('first model')
    const execution = await project.succeeded(commit)
    await project.serves(1)

    const answer = await project.predict([{ mean_radius: 25, mean_texture: 30 }])
    expect(answer).toMatchObject({ status: 200, body: { predictions: ['malignant'] } })
    expect((await project.predict([{ mean_radius: 8, mean_texture: 12 }])).body.predictions).toEqual(['benign'])

    const prediction = await project.eventually('the prediction is recorded', async () => {
      const seen = await family.client(getPrediction, { params: { id: answer.id } })
      return seen.record && seen
    })
    expect(prediction.decoded.version).toBe(1)
    expect(prediction.record).toMatchObject({ environment: 'production', model: 'tumour', version: 1 })
    const version = await family.client(getModelVersion, { params: { model: 'tumour', version: 1 } })
    expect(version.runId).toBe(nodeOf(execution, 'train').runId)
    expect(version.manifestDigest).toBe(prediction.record!.digest)

    const why = await family.cli(project.folder, 'why', answer.id)
    expect(why.code, why.err).toBe(0)
    expect(why.out).toContain(commit.slice(0, 12))
    const whyProduction = await family.cli(project.folder, 'why', 'production', '--json')
    const story = JSON.parse(whyProduction.out) as OutputOf<typeof whyEnvironment>
    expect(story.version).toMatchObject({ version: 1, commit: { id: commit }, verdict: { outcome: 'pass' } })
    expect(story.promotion).toMatchObject({ state: 'committed', executionId: execution.id })
    expect(story.rollout).toMatchObject({ state: 'done' })

    expect(await project.predict([{ mean_radius: 8 }])).toMatchObject({ status: 400 })
    expect((await project.deployment()).endpoint).toMatchObject({
      versions: [{ version: 1, weight: 1, state: 'ready', computes: 'python', workers: [{ state: 'ready' }] }],
      requests: { inside: 0, waiting: 0, turnedAway: 0 },
      inputs: { refused: { 'missing-column': 1 } },
    })
    const { out } = await family.cli(project.folder, 'status')
    expect(out).toMatch(/models take \d+\.\d MB of \d+\.\d GB of memory/)
    expect(out).toMatch(/● ready +v1 {2}Python {2}\d+\.\d MB\n +inputs refused: missing-column 1 {2}since /)

    const promoted = await project.remoteFile('modelwright.yaml')
    expect(promoted).toContain(version.manifestDigest)
    expect(promoted).toContain('# kept by the promotion')

    // models:/tumour@production, as MLflow's clients say it, is what Git declares, and moves with nothing else.
    const alias = `${family.url}/api/2.0/mlflow/registered-models/alias`
    const named = await fetch(`${alias}?name=tumour&alias=production`)
    expect(await named.json()).toMatchObject({ model_version: { version: '1' } })
    const moved = await fetch(alias, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'tumour', alias: 'production', version: '1' }),
    })
    expect(moved.status).toBe(403)
  })

  it('refuses a worse candidate: the champion is measured anew on the same rows and goes on serving', async () => {
    const project = await withFirstVersion('worse', { gate: 'pass: [">= 0.5", ">= champion - 0.01"]' })
    const { commit } = await project.push('worse', await edit(project, setShift(30)))
    const execution = await settled(project, commit)
    const verdict = await project.verdict(execution.id)
    expect(verdict).toMatchObject({ outcome: 'fail', model: 'worse-sorter' })
    expect(Number(verdict.objectives[0]!.champion)).toBeGreaterThan(Number(verdict.objectives[0]!.value))
    expect(await project.versions('worse-sorter')).toHaveLength(1)
    expect(await project.promotions()).toHaveLength(1)
    expect(await project.remoteHead()).toBe(commit)
    expect((await project.deployment()).serving?.version).toBe(1)
  })

  it('brings the old model back by git revert, trains nothing for it, and leaves the reverted one to a person', async () => {
    const project = await withFirstVersion('reverted')
    const users = keepAsking(project)
    const second = await project.push('another model', await edit(project, setShift(5)))
    await settled(project, second.commit)
    await project.serves(2)
    expect((await project.predict([{ size: 52, weight: 120 }])).body.predictions).toEqual(['small'])

    await project.pull()
    const executions = (await project.executions()).length
    const revert = await project.git('revert', '--no-edit', 'HEAD')
    expect(revert.code, revert.output).toBe(0)
    expect((await project.tryPush()).code).toBe(0)
    await project.serves(1)
    expect((await project.predict([{ size: 52, weight: 120 }])).body.predictions).toEqual(['big'])
    // A commit that changes only deployments: starts no training and no judging.
    expect(await project.executions()).toHaveLength(executions)

    const later = await project.push('Say more', { 'README.md': 'Fruits.\n' })
    const execution = await settled(project, later.commit)
    expect(statesOf(execution)).toMatchObject({ train: 'reused' })
    expect(await project.deployment()).toMatchObject({ state: 'serving', serving: { version: 1 } })

    // Another one goes out as ever; that it does shows that the reverted one was decided on before it, and left alone.
    await settled(project, (await project.push('a third model', await edit(project, setShift(7)))).commit)
    await project.serves(3)
    const ofSecond = (await project.promotions()).filter(({ version }) => version === 2)
    expect(ofSecond).toMatchObject([{ kind: 'promotion', state: 'barred', waitsForPerson: true }])
    await family.client(approvePromotion, { params: { id: ofSecond[0]!.id } })
    await project.serves(2)
    // Four swaps, and no user noticed one.
    expect((await users.stop()).filter((status) => status !== 200)).toEqual([])
  })

  it('starts nothing for a commit that changes only deployments:, and the next rollout goes as they say: without traffic it asks a person', async () => {
    const project = await withFirstVersion('declared')
    const before = (await project.executions()).length
    const change = await edit(project, (text) => text.replace('canary: [100%]', 'canary: [10%, 100%]'))
    const { commit, output } = await project.push('Go more slowly', change)
    expect(output).not.toMatch(/train.*runs/)
    // A later commit that does run shows that the earlier one was seen and left alone.
    const next = await project.push('another model', await edit(project, setShift(5)))
    await settled(project, next.commit)
    expect(await project.executions(commit)).toEqual([])
    expect(await project.executions()).toHaveLength(before + 1)
    const seen = await project.eventually('a canary begins', async () => {
      const { rollout } = await project.deployment()
      return rollout?.state === 'step' && rollout
    })
    expect(seen.canary).toEqual([0.1, 1])

    // Nobody asks it anything, so after a while it asks a person.
    family.clock.turn(31 * 60_000)
    await project.eventually('it waits for a person', async () => {
      return (await project.deployment()).state === 'waiting for a person'
    })
    await family.client(continueRollout, { params: { id: seen.id } })
    await project.serves(2)
  })

  it('aborts a canary whose requests fail: Stalled, the old one serves, the revert is proposed, and it is not tried again', async () => {
    const project = await withFirstVersion('moody', {
      deployment: 'rollout: { canary: [50%, 100%], every: 1h, min_requests: 5, abort: { error_rate: "> 20%" } }',
    })
    const moody = await edit(project, (text) => text.replace(/moody_above: \d+/, 'moody_above: 200'))
    await settled(project, (await project.push('moody', moody)).commit)
    const begun = await project.eventually('the canary begins', async () => {
      const { rollout } = await project.deployment()
      return rollout?.state === 'step' && rollout
    })
    expect(begun.newcomer.version).toBe(2)

    const answers: number[] = []
    const stalled = await project.eventually('the rollout is aborted', async () => {
      answers.push((await project.predict([{ size: 300, weight: 120 }])).status)
      const seen = await project.deployment()
      return seen.state === 'stalled' && seen
    })
    // As MLflow says it; for the bounds it is a failure all the same.
    expect(answers).toContain(400)
    expect(stalled.reason).toMatch(/failed/)
    expect(stalled.serving?.version).toBe(1)
    const after = await Promise.all([1, 2, 3, 4, 5, 6].map(() => project.predict([{ size: 300, weight: 120 }])))
    expect(after.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200, 200])

    const revert = await project.eventually('the revert is proposed on a branch', async () => {
      const found = (await project.promotions()).find(({ kind, state }) => kind === 'revert' && state === 'proposed')
      return found && (await project.remoteBranches()).includes(found.proposalBranch) && found
    })
    expect(revert).toMatchObject({ version: 1, waitsForPerson: true })
    expect(await project.remoteFile('modelwright.yaml', revert.proposalBranch)).toContain(revert.digest)

    // Neither time nor another commit tries it again.
    family.clock.turn(2 * 3_600_000)
    await project.pull()
    const { commit } = await project.push('Say more', { 'README.md': 'Fruits.\n' })
    await settled(project, commit)
    const rollouts = (await project.deployment()).rollouts.filter(({ newcomer }) => newcomer.version === 2)
    expect(rollouts.map(({ state }) => state)).toEqual(['stalled'])
    expect(await project.deployment()).toMatchObject({ state: 'stalled', serving: { version: 1 } })

    await project.git('fetch', '-q', 'modelwright')
    const merged = await project.git('merge', '-q', '--no-edit', `modelwright/${revert.proposalBranch}`)
    expect(merged.code, merged.output).toBe(0)
    expect((await project.tryPush()).code).toBe(0)
    await project.serves(1)
  })

  it('lets a pull-request promotion wait, and commits it when a person approves', async () => {
    const project = await Project.connect(family, 'asked', sorterProject('asked', { promote: 'pull-request' }))
    const { commit } = await project.push('first model')
    await settled(project, commit)
    const waiting = await proposal(project, 1)
    expect(await project.remoteHead()).toBe(commit)
    expect((await project.deployment()).serving).toBeUndefined()

    const refused = await family
      .as(undefined)(approvePromotion, { params: { id: waiting.id } })
      .catch((error: unknown) => error)
    expect(isAppError(refused, 'Unauthenticated') || isAppError(refused, 'Forbidden'), String(refused)).toBe(true)

    const approved = await family.client(approvePromotion, { params: { id: waiting.id } })
    expect(approved.decidedBy).toBeTruthy()
    await project.serves(1)
    expect(await project.remoteFile('modelwright.yaml')).toContain(waiting.digest)
    await project.eventually('the branch is gone', async () => (await project.remoteBranches()).length === 1)

    await settled(project, (await project.push('another model', await edit(project, setShift(5)))).commit)
    const second = await proposal(project, 2)
    await project.git('fetch', '-q', 'modelwright')
    const merged = await project.git('merge', '-q', '--no-edit', `modelwright/${second.proposalBranch}`)
    expect(merged.code, merged.output).toBe(0)
    expect((await project.tryPush()).code).toBe(0)
    await project.serves(2)
    await project.eventually('the merge is the answer', async () => {
      const states = (await project.promotions()).map(({ version, state }) => `${version} ${state}`)
      return states.includes('2 merged')
    })

    await settled(project, (await project.push('a third', await edit(project, setShift(7)))).commit)
    const third = await proposal(project, 3)
    await family.client(rejectPromotion, { params: { id: third.id } })
    await project.eventually('the branch is gone', async () => (await project.remoteBranches()).length === 1)
    expect((await project.deployment()).serving?.version).toBe(2)
  })

  it('asks a person about a warning even where promotion is automatic, and serves nothing when Git declares nothing', async () => {
    const project = await Project.connect(
      family,
      'warned',
      sorterProject('warned', { gate: 'pass: [">= 2"], warn: [">= 0.5"]', total: '{ pass: 90%, warn: 50% }' }),
    )
    const { commit } = await project.push('first model')
    const execution = await settled(project, commit)
    expect((await project.verdict(execution.id)).outcome).toBe('warn')
    await proposal(project, 1)
    expect(await project.remoteHead()).toBe(commit)
    const approved = await family.cli(project.folder, 'approve')
    expect(approved.code, approved.err).toBe(0)
    await project.serves(1)

    const nothing = await edit(project, (text) => text.slice(0, text.indexOf('deployments:')))
    await project.push('Serve nothing', nothing)
    await project.eventually(
      'nothing serves',
      async () => (await project.predict([{ size: 1, weight: 120 }])).status === 404,
    )
  })

  it('never promotes what `modelwright run` made of a working tree, and promotes the same content when it is pushed', async () => {
    const project = await Project.connect(family, 'tried', sorterProject('tried'))
    await project.commit('not pushed')
    await project.write({ 'notes.txt': 'dirty\n' })
    const run = await family.cli(project.folder, 'run', '--json')
    expect(run.code, run.err + run.out).toBe(0)
    const { execution, verdicts } = JSON.parse(run.out) as { execution: Execution; verdicts: { outcome: string }[] }
    expect(execution).toMatchObject({ trigger: { kind: 'run' }, deployable: false })
    expect(verdicts.map(({ outcome }) => outcome)).toEqual(['pass'])
    expect(await project.remoteHead()).toBeUndefined()

    const { commit } = await project.push('pushed')
    expect(statesOf(await settled(project, commit))).toMatchObject({ train: 'reused', evaluate: 'reused' })
    await project.serves(1)
    const promotions = await project.promotions()
    expect(promotions).toHaveLength(1)
    expect(promotions[0]!.executionId).not.toBe(execution.id)
  })

  /** Users who ask all the time; `stop` gives what they were answered with. */
  function keepAsking(project: Project): { stop: () => Promise<number[]> } {
    const statuses: number[] = []
    let stopped = false
    const asking = (async () => {
      while (!stopped) {
        statuses.push((await project.predict([{ size: 52, weight: 120 }])).status)
        await sleep(30)
      }
      return statuses
    })()
    const stop = () => {
      stopped = true
      return asking
    }
    onTestFinished(async () => void (await stop()))
    return { stop }
  }

  const proposal = (project: Project, version: number) =>
    project.eventually(`version ${version} waits for a person on a branch`, async () => {
      const found = (await project.promotions()).find((one) => one.version === version && one.state === 'proposed')
      return found?.waitsForPerson && (await project.remoteBranches()).includes(found.proposalBranch) && found
    })
})
