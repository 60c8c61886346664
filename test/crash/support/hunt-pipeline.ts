import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import type { Family } from '../../journeys/support/family.ts'
import { Project } from '../../journeys/support/project.ts'
import { stepProcesses } from './hunt.ts'
import { linesOf, type OwnServer, randomFrom } from './kill.ts'

export type PipelineHunt = { name: string; seed: number; rounds: number; longestMs: number; until?: () => boolean }

const length = 5

/**
 * A chain whose steps write what they read and their own number, in two halves. Each says outside its workspace when it finds half an
 * input, and when it finds itself running already. Killed ones are tried again, so that every execution can end well.
 */
const fileOf = (project: string, witness: string, values: readonly number[]) => {
  const step = (index: number) => {
    const before = index === 0 ? 'begin;' : `$(cat o${index - 1})`
    const half = index === 0 ? '' : `tail -c 1 o${index - 1} | grep -q ";" || echo "HALF s${index}" >> ${witness};`
    const work = `${half} printf %s "${before}" > o${index}; sleep 0.15; printf "s${index}=${values[index]};" >> o${index}; cat o${index}`
    // A status of its own for a lock that is held: the work may end with any other, when it is killed.
    const once = `flock -n -E 99 ${witness}.lock.${project}.${index} sh -c '${work}'; ended=$?; [ $ended != 99 ] || echo "TWICE s${index}" >> ${witness}; exit $ended`
    const deps = index === 0 ? '' : `deps: [o${index - 1}], `
    return `  s${index}:\n    run: |-\n      ${once}\n    ${deps ? `deps: [o${index - 1}]\n    ` : ''}outs: [o${index}]\n    retries: { times: 20, wait: 1ms }\n`
  }
  return `project: ${project}\nsteps:\n${values.map((_, index) => step(index)).join('')}`
}

const expectedOf = (values: readonly number[]) =>
  `begin;${values.map((value, index) => `s${index}=${value};`).join('')}`

/**
 * Commit after commit, each with one step changed, while processes are killed alone and in pairs (server, runners, what they run),
 * stopped for a while, and the clock is turned; then what must hold whatever the moments were.
 */
export async function huntPipeline(
  family: Family,
  server: OwnServer,
  hunt: PipelineHunt,
): Promise<{ rounds: number; deeds: number }> {
  const random = randomFrom(hunt.seed)
  const witness = join(family.folder, `witness-${hunt.name}`)
  const values = Array.from({ length }, (_, index) => index)
  const project = await Project.connect(family, hunt.name, { 'modelwright.yaml': fileOf(hunt.name, witness, values) })
  const deeds = deedsOf(family, server, random)
  let done = 0
  let round = 0
  for (; round < hunt.rounds && !hunt.until?.(); round++) {
    values[Math.floor(random() * length)] = Math.floor(random() * 3)
    const { commit } = await project.push(`round ${round}`, {
      'modelwright.yaml': fileOf(hunt.name, witness, values),
      round: `${round}`,
    })
    const { id } = await project.started(commit)
    for (let left = 1 + Math.floor(random() * 4); left > 0; left--, done++) {
      await sleep(random() * hunt.longestMs)
      await deeds[Math.floor(random() * deeds.length)]!()
    }
    await server.ensure()
    // What waits for a time that a turned clock took away.
    family.clock.turn(2 * 3_600_000)
    const execution = await project.endOf(id)
    expect(
      execution.state,
      JSON.stringify(execution.nodes.map(({ id: node, state, error }) => ({ node, state, error }))),
    ).toBe('succeeded')
    expect(await project.log(id, `s${length - 1}`), 'no stale result').toMatch(
      new RegExp(`${escaped(expectedOf(values))}$`),
    )
    expect(linesOf(witness), 'no half-written input, nothing twice at once').toEqual([])
    await project.eventually(
      'no process of a step is left',
      async () => (await stepProcesses(family)).length === 0,
      120_000,
    )
  }
  return { rounds: round, deeds: done }
}

const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')

/** Each is one thing that a machine may do to us. */
function deedsOf(family: Family, server: OwnServer, random: () => number): (() => Promise<void>)[] {
  const anyOf = async (wanted: (words: string) => boolean): Promise<number | undefined> => {
    const found = (await stepProcesses(family)).filter((pid) => wanted(wordsOf(pid)))
    return found[Math.floor(random() * found.length)]
  }
  const killRunner = async () => signal(await anyOf(isRunner), 'SIGKILL')
  const killUser = async () => signal(await anyOf((words) => !isRunner(words)), 'SIGKILL')
  const killServer = async () => {
    await server.kill()
    server.start()
  }
  const stop = async () => {
    const pid = await anyOf(() => true)
    signal(pid, 'SIGSTOP')
    await sleep(random() * 300)
    signal(pid, 'SIGCONT')
  }
  const turn = async () => family.clock.turn(Math.round((random() - 0.5) * 2 * 3_600_000))
  const both = (one: () => Promise<void>, other: () => Promise<void>) => async () =>
    void (await Promise.all([one(), other()]))
  return [
    ...[killRunner, killUser, killServer, stop, turn],
    ...[both(killServer, killRunner), both(killServer, killUser), both(killRunner, killUser), both(turn, killServer)],
  ]
}

/** Also its copies: on their way to the command, or keeping its process id space. */
const isRunner = (words: string): boolean => words.includes('modelwright_launcher')

function signal(pid: number | undefined, name: NodeJS.Signals): void {
  if (pid === undefined) return
  try {
    process.kill(pid, name)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

function wordsOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
  } catch {
    return ''
  }
}
