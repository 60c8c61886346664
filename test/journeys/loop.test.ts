import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { receiveLabels } from '../../src/labels/labels-contract.ts'
import { getMonitoring, listAlerts } from '../../src/monitoring/monitoring-contract.ts'
import { getModel } from '../../src/registry/registry-contract.ts'
import { getRetraining, requestRetraining } from '../../src/retraining/retraining-contract.ts'
import { getRun, listRuns } from '../../src/tracking/tracking-contract.ts'
import { testPython } from '../support/python.ts'
import { Family } from './support/family.ts'
import { nodeOf, Project, statesOf } from './support/project.ts'
import { prepareEnvironment, requirements, sorterProject } from './support/sorter.ts'

const python = testPython()

describe.skipIf(!python)('what happens after the promotion', () => {
  let family: Family
  beforeAll(async () => {
    family = await Family.start(['--slots', '2'])
    await prepareEnvironment(family)
  })
  afterAll(() => family?.stop())

  it('notices drift, names the feature, waits for labels, retrains with the labelled rows once, and promotes the new model', async () => {
    // Not due by itself before the test turns the clock by a day.
    const farHour = String((new Date().getUTCHours() + 12) % 24).padStart(2, '0')
    const project = await Project.connect(
      family,
      'orchard',
      sorterProject('orchard', {
        data: `plus: { predictions: production }, checks: [{ column: size, range: [0, 100] }, { column: kind, values: [small, big], at: training }]`,
        deployment: `rollout: { canary: [100%] }
    monitor: { drift: { psi: "> 0.5" }, labels: { within: 7d } }
    retrain: { on: [drift, "every day ${farHour}:00"], at_most: 9 per day, cooldown: 0s }`,
      }),
    )
    const first = await project.succeeded((await project.push('first model')).commit)
    await project.serves(1)

    // A harvest of fruits such as were never seen in training: between 51 and 59, and the smaller ones are small.
    const harvest = Array.from({ length: 60 }, (_, i) => ({
      id: `h${i}`,
      size: 51.5 + i / 8,
      weight: 100 + ((i * 53) % 100),
    }))
    const answers: { id: string; rows: typeof harvest }[] = []
    for (let from = 0; from < harvest.length; from += 10) {
      const rows = harvest.slice(from, from + 10)
      const answer = await project.predict(rows)
      expect(answer).toMatchObject({ status: 200, body: { predictions: rows.map(() => 'big') } })
      answers.push({ id: answer.id, rows })
    }
    const alert = await project.eventually('an alert is open', async () => {
      await pass(6_000)
      return (await family.client(listAlerts, { query: { project: 'orchard', state: 'open' } })).items[0]
    })
    expect(alert).toMatchObject({ kind: 'drift', environment: 'production', version: 1, features: ['size'] })
    const watched = (await family.client(getMonitoring, { params: { project: 'orchard' } })).environments[0]!
    expect(watched.report!.features.map(({ feature, outcome }) => [feature, outcome])).toEqual([
      ['size', 'drift'],
      ['weight', 'no drift'],
    ])
    const asked = await project.eventually('the alert is a cause', async () => {
      const seen = await retraining(project)
      return seen.open.length > 0 && seen
    })
    expect(asked.retrainings).toEqual([])
    expect(asked.open).toMatchObject([{ outcome: 'wait' }])
    expect(asked.open[0]!.reasons.join()).toContain('0 of at least 30 rows')

    const labels = answers.flatMap(({ id, rows }) =>
      rows.map(({ size }, row) => ({ predictionId: `${id}:${row}`, value: size < 56 ? 'small' : 'big' })),
    )
    const received = await family.client(receiveLabels, { params: { project: 'orchard' }, body: { labels } })
    expect(received).toMatchObject({ recorded: 60, refused: [] })
    const retrained = await project.eventually('a retraining is started', async () => {
      await pass(6_000)
      const [newest] = (await retraining(project)).retrainings
      return newest?.state === 'started' && newest
    })
    expect(retrained.trigger).toMatchObject({ kind: 'drift' })
    expect(retrained.frozen).toMatchObject([{ dataset: 'fruits', rows: 60 }])
    const second = await project.endOf(retrained.executionId!)
    expect(second).toMatchObject({ state: 'succeeded', trigger: { kind: 'drift' }, deployable: true })
    expect(second.data[0]!.digest).not.toBe(first.data[0]!.digest)
    const trained = await family.client(getRun, { params: { id: nodeOf(second, 'train').runId! } })
    expect(trained.metrics.threshold!.value).toBeGreaterThan(54)

    await project.serves(2)
    expect((await project.predict([{ id: 'x1', size: 53, weight: 120 }])).body.predictions).toEqual(['small'])
    const verdict = await project.verdict(second.id)
    expect(Number(verdict.objectives[0]!.value)).toBeGreaterThan(Number(verdict.objectives[0]!.champion))

    // The cause was answered: however often it is looked at, it starts nothing again.
    const executions = (await project.executions()).length
    for (let looks = 0; looks < 10; looks++) await pass(10_000)
    expect((await retraining(project)).retrainings).toHaveLength(1)
    expect(await project.executions()).toHaveLength(executions)
    await project.eventually('no alert is open', async () => {
      const { items } = await family.client(listAlerts, { query: { project: 'orchard', state: 'open' } })
      return items.length === 0
    })

    // A schedule starts once for a due time; the same data gives the same model, which is no new version.
    await pass(86_400_000)
    const scheduled = await project.eventually('the schedule starts a retraining', async () => {
      const found = (await retraining(project)).retrainings.find(({ trigger }) => trigger.kind === 'schedule')
      return found?.executionId && found
    })
    const third = await project.endOf(scheduled.executionId!)
    expect(statesOf(third)).toMatchObject({ train: 'reused' })
    await project.verdict(third.id)
    await pass(60_000)
    expect((await retraining(project)).retrainings).toHaveLength(2)

    // So does a person, who is named.
    const body = { environment: 'production', note: 'to be sure' }
    const wanted = await family.client(requestRetraining, { params: { project: 'orchard' }, body })
    expect(wanted.trigger).toMatchObject({ kind: 'person' })
    const fourth = await project.endOf(wanted.executionId!)
    await project.verdict(fourth.id)
    expect(await project.versions('orchard-sorter')).toHaveLength(2)
    expect((await project.deployment()).serving?.version).toBe(2)
  })

  it('refuses an input that breaks a column check at inference, and goes on serving', async () => {
    const project = await Project.connect(
      family,
      'strict',
      sorterProject('strict', {
        data: 'checks: [{ column: size, type: number, range: [0, 100] }, { column: kind, values: [small, big] , at: training }]',
      }),
    )
    await project.succeeded((await project.push('first model')).commit)
    await project.serves(1)
    const refused = await project.predict([{ size: 700, weight: 120 }])
    expect(refused.status).toBe(400)
    expect(JSON.stringify(refused.body)).toMatch(/size.*700|700.*size/)
    expect((await project.predict([{ weight: 120 }])).status).toBe(400)
    expect((await project.predict([{ size: 70, weight: 120 }])).body.predictions).toEqual(['big'])
  })

  it("keeps MLflow's habits inside a step with the step, and a version that user code registers undeployable", async () => {
    const project = await Project.connect(family, 'habits', {
      'requirements.txt': requirements,
      'src/habits.py': habits,
      'modelwright.yaml': `project: habits
python: { requirements: requirements.txt }
steps:
  train: { run: python src/habits.py, deps: [src/], model: habits-model, metrics: true }
deployments:
  production: { model: habits-model }
`,
    })
    const execution = await project.succeeded((await project.push('habits')).commit)
    const { runId } = nodeOf(execution, 'train')
    const run = await family.client(getRun, { params: { id: runId! } })
    expect(run).toMatchObject({ status: 'FINISHED', params: { who: 'first' } })
    expect(run.tags).toMatchObject({ 'modelwright.requested_experiment': 'my own experiment' })
    expect(Object.keys(run.params)).toEqual(expect.arrayContaining(['C', 'max_iter']))
    expect(Object.keys(run.metrics)).toEqual(expect.arrayContaining(['training_accuracy_score']))

    const { items } = await family.client(listRuns, { query: { experiment: 'habits' } })
    const below = items.filter(({ parentRunId }) => parentRunId === runId).map(({ name }) => name)
    expect(below.sort()).toEqual(['inner', 'second'])
    expect(nodeOf(execution, 'train').metrics).toMatchObject({ depth: 1, again: 2 })

    const { versions } = await family.client(getModel, { params: { model: 'habits-model' } })
    expect(versions).toMatchObject([{ version: 1, origin: 'client' }])
    expect(versions[0]!.manifestDigest).toBeUndefined()
    expect(await project.promotions()).toEqual([])

    const text = await project.remoteFile('modelwright.yaml')
    const digest = `sha256:${'0'.repeat(64)}`
    const declared = text.replace('{ model: habits-model }', `{ model: habits-model, version: 1, digest: "${digest}" }`)
    await project.push('deploy it all the same', { 'modelwright.yaml': declared })
    const seen = await project.eventually('it is stalled', async () => {
      const deployment = await project.deployment()
      return deployment.state === 'stalled' && deployment
    })
    expect(seen.serving).toBeUndefined()
    expect(seen.reason).toContain('no judged version')
  })

  it('says what is wrong with requirements that nobody can meet, and runs nothing in their environment', async () => {
    const project = await Project.connect(family, 'unmet', {
      'requirements.txt': 'pandas>=2\npandas<1\n',
      'modelwright.yaml': `project: unmet
python: { requirements: requirements.txt }
steps:
  work: { run: echo here }
`,
    })
    const execution = await project.ended((await project.push('one')).commit)
    expect(execution.state).toBe('failed')
    const { error } = nodeOf(execution, 'environment')
    expect(error).toMatchObject({ code: 'EnvironmentFailed' })
    expect(error!.message).toContain('pandas')
    expect(statesOf(execution)).toEqual({ work: 'skipped' })
  })

  /** Turns the clock, and lets the loops have their turn. */
  async function pass(ms: number): Promise<void> {
    family.clock.turn(ms)
    await sleep(150)
  }

  const retraining = async (project: Project) =>
    (await family.client(getRetraining, { params: { project: project.name } })).environments[0]!
})

const habits = `import mlflow
from sklearn.linear_model import LogisticRegression

mlflow.set_experiment("my own experiment")
mlflow.sklearn.autolog()
X, y = [[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1]
with mlflow.start_run(run_name="outer"):
    mlflow.log_param("who", "first")
    with mlflow.start_run(nested=True, run_name="inner"):
        mlflow.log_metric("depth", 1)
    model = LogisticRegression().fit(X, y)
with mlflow.start_run(run_name="second"):
    mlflow.log_metric("again", 2)
    mlflow.sklearn.log_model(
        model,
        name="model",
        registered_model_name="habits-model",
        pip_requirements=[],
        serialization_format="cloudpickle",
    )
`
