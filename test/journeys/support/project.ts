import { execFile } from 'node:child_process'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { expect } from 'vitest'
import {
  type executionDetailShape,
  getExecution,
  listExecutions,
  readLog,
} from '../../../src/executions/executions-contract.ts'
import { listVerdicts } from '../../../src/gates/gates-contract.ts'
import type { OutputOf } from '../../../src/kernel/route.ts'
import { connectProject } from '../../../src/projects/projects-contract.ts'
import { listPromotions } from '../../../src/promotions/promotions-contract.ts'
import { getModel } from '../../../src/registry/registry-contract.ts'
import { getDeployment, listDeployments } from '../../../src/rollouts/rollouts-contract.ts'
import { eventually, type Seen } from './eventually.ts'
import type { Family } from './family.ts'

export type Files = Record<string, string | undefined>
export type Execution = typeof executionDetailShape._output
export type Node = Execution['nodes'][number]
export type Promotion = OutputOf<typeof listPromotions>['items'][number]
export type Deployment = OutputOf<typeof getDeployment>
export type Verdict = OutputOf<typeof listVerdicts>['items'][number]
export type GitRun = { code: number; output: string }

const over = ['succeeded', 'failed', 'cancelled']

/** A user's repository that is connected to the server, and what its user sees. */
export class Project {
  readonly family: Family
  readonly name: string
  readonly folder: string

  private constructor(family: Family, name: string, folder: string) {
    this.family = family
    this.name = name
    this.folder = folder
  }

  static async connect(family: Family, name: string, files: Files): Promise<Project> {
    const project = new Project(family, name, join(family.folder, 'repositories', name))
    await family.client(connectProject, { body: { name } })
    await mkdir(project.folder, { recursive: true })
    await project.git('init', '-q', '-b', 'main')
    await project.git('remote', 'add', 'modelwright', family.remoteOf(name))
    await project.write(files)
    return project
  }

  /** A second working copy of the same project, as a colleague has it. */
  async clone(): Promise<Project> {
    const folder = `${this.folder}-colleague`
    const copy = new Project(this.family, this.name, folder)
    const run = await git(dirname(folder), 'clone', '-q', '-o', 'modelwright', this.family.remoteOf(this.name), folder)
    expect(run.code, run.output).toBe(0)
    return copy
  }

  /** The real client; both streams as one text. */
  git(...words: string[]): Promise<GitRun> {
    return git(this.folder, ...words)
  }

  /** `undefined` removes a file. */
  async write(files: Files): Promise<void> {
    for (const [path, text] of Object.entries(files)) {
      const full = join(this.folder, path)
      if (text === undefined) await rm(full, { recursive: true, force: true })
      else {
        await mkdir(dirname(full), { recursive: true })
        await writeFile(full, text)
      }
    }
  }

  async commit(message: string, files: Files = {}): Promise<string> {
    await this.write(files)
    await this.git('add', '-A')
    const made = await this.git('commit', '-q', '--allow-empty', '-m', message)
    expect(made.code, made.output).toBe(0)
    return this.head()
  }

  async head(ref = 'HEAD'): Promise<string> {
    return (await this.git('rev-parse', ref)).output.trim()
  }

  tryPush(refs = 'main'): Promise<GitRun> {
    return this.git('push', 'modelwright', refs)
  }

  /** Commits and pushes what must be accepted; gives the commit and what the push answered. */
  async push(message: string, files: Files = {}): Promise<{ commit: string; output: string }> {
    const commit = await this.commit(message, files)
    const { code, output } = await this.tryPush()
    expect(code, output).toBe(0)
    return { commit, output }
  }

  async pull(): Promise<void> {
    const run = await this.git('pull', '-q', '--rebase', 'modelwright', 'main')
    expect(run.code, run.output).toBe(0)
  }

  /** The head of a branch on the server. */
  async remoteHead(branch = 'main'): Promise<string | undefined> {
    const { output } = await this.git('ls-remote', 'modelwright', `refs/heads/${branch}`)
    return /^[0-9a-f]{40}/m.exec(output)?.[0]
  }

  async remoteBranches(): Promise<string[]> {
    const { output } = await this.git('ls-remote', '--heads', 'modelwright')
    return [...output.matchAll(/refs\/heads\/(\S+)/g)].map((match) => match[1]!)
  }

  /** A file at the head of the branch on the server. */
  async remoteFile(path: string, branch = 'main'): Promise<string> {
    await this.git('fetch', '-q', 'modelwright')
    return (await this.git('show', `modelwright/${branch}:${path}`)).output
  }

  async eventually<T>(what: string, look: () => Promise<Seen<T>>, withinMs?: number): Promise<T> {
    const explain = async () => `${await this.explain()}\n${await this.family.explain()}`
    return eventually(`${this.name}: ${what}`, { look, explain, ...(withinMs ? { withinMs } : {}) })
  }

  async executions(commit?: string): Promise<OutputOf<typeof listExecutions>['items']> {
    const query = { project: this.name, ...(commit ? { commit } : {}) }
    return (await this.family.client(listExecutions, { query })).items
  }

  execution(id: string): Promise<Execution> {
    return this.family.client(getExecution, { params: { id }, query: {} })
  }

  /** The execution of a commit, once it is there. */
  started(commit: string): Promise<Execution> {
    return this.eventually(`${commit} is carried out`, async () => {
      const [newest] = await this.executions(commit)
      return newest && this.execution(newest.id)
    })
  }

  async ended(commit: string): Promise<Execution> {
    const { id } = await this.started(commit)
    return this.endOf(id)
  }

  endOf(executionId: string): Promise<Execution> {
    return this.eventually(`execution ${executionId} ends`, async () => {
      const execution = await this.execution(executionId)
      return over.includes(execution.state) && execution
    })
  }

  async succeeded(commit: string): Promise<Execution> {
    const execution = await this.ended(commit)
    if (execution.state !== 'succeeded') expect.fail(`${JSON.stringify(execution, null, 1)}\n${await this.explain()}`)
    return execution
  }

  async log(executionId: string, node: string): Promise<string> {
    const { text } = await this.family.client(readLog, { params: { id: executionId, node }, query: {} })
    return text
  }

  async verdict(executionId: string): Promise<Verdict> {
    return this.eventually(`execution ${executionId} is judged`, async () => {
      const { items } = await this.family.client(listVerdicts, { query: { execution: executionId } })
      return items[0]
    })
  }

  async promotions(): Promise<Promotion[]> {
    return (await this.family.client(listPromotions, { params: { project: this.name }, query: {} })).items
  }

  async deployment(environment = 'production'): Promise<Deployment> {
    return this.family.client(getDeployment, { params: { project: this.name, environment } })
  }

  /** Waits until a version has all traffic and nothing is under way. */
  serves(version: number, environment = 'production'): Promise<Deployment> {
    return this.eventually(`version ${version} serves in ${environment}`, async () => {
      const seen = await this.deployment(environment)
      return seen.serving?.version === version && seen.state === 'serving' && seen
    })
  }

  async versions(model: string): Promise<OutputOf<typeof getModel>['versions']> {
    return (await this.family.client(getModel, { params: { model } })).versions
  }

  async predict(rows: Record<string, unknown>[], environment = 'production'): Promise<Answer> {
    const response = await fetch(`${this.family.gatewayUrl}/endpoints/${this.name}/${environment}/invocations`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ dataframe_records: rows }),
    })
    const body = (await response.json()) as { predictions?: unknown[] }
    return { status: response.status, id: response.headers.get('x-modelwright-prediction-id') ?? '', body }
  }

  /** What the project looks like to its user, for a failure's message. */
  async explain(): Promise<string> {
    const { client } = this.family
    const parts = {
      executions: async () => Promise.all((await this.executions()).slice(0, 2).map(({ id }) => this.execution(id))),
      verdicts: async () => (await client(listVerdicts, { query: { project: this.name, limit: 2 } })).items,
      promotions: () => this.promotions(),
      deployments: async () => (await client(listDeployments, { params: { project: this.name } })).items,
    }
    const told = await Promise.all(
      Object.entries(parts).map(async ([name, look]) => {
        const seen = await look().catch((error: unknown) => String(error))
        return `── ${name}\n${JSON.stringify(seen, null, 1).slice(0, 6000)}`
      }),
    )
    return told.join('\n')
  }
}

export type Answer = { status: number; id: string; body: { predictions?: unknown[] } }

export const nodeOf = (execution: Execution, id: string): Node => {
  const node = execution.nodes.find((one) => one.id === id)
  if (!node) expect.fail(`no "${id}" among ${execution.nodes.map((one) => one.id).join(', ')}`)
  return node
}

/** Every step's state by its name; the environment left out. */
export const statesOf = (execution: Execution): Record<string, string> =>
  Object.fromEntries(
    execution.nodes.filter(({ kind }) => kind !== 'environment').map(({ id, state }) => [id, state as string]),
  )

function git(cwd: string, ...words: string[]): Promise<GitRun> {
  return new Promise((resolve) => {
    execFile('git', words, { cwd, env: gitEnvironment() }, (error, stdout, stderr) =>
      resolve({ code: error ? 1 : 0, output: `${stdout}${stderr}` }),
    )
  })
}

/** Cut off from the settings of whoever runs the tests. */
const gitEnvironment = (): Record<string, string> => ({
  PATH: process.env.PATH!,
  HOME: '/nonexistent',
  LC_ALL: 'C',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_TERMINAL_PROMPT: '0',
  GIT_AUTHOR_NAME: 'Ann',
  GIT_AUTHOR_EMAIL: 'ann@example.org',
  GIT_COMMITTER_NAME: 'Ann',
  GIT_COMMITTER_EMAIL: 'ann@example.org',
})
