import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Member } from '../../../src/compose/members.ts'
import { eventually } from '../../journeys/support/eventually.ts'
import type { Family } from '../../journeys/support/family.ts'

const program = fileURLToPath(new URL('../../../src/main.ts', import.meta.url))

/** The process that now plays a part in the family, as it wrote under run/. */
export function pidOf(family: Family, member: Member | 'supervisor'): number {
  const path = join(family.dataDir, 'run', `${member}.json`)
  return (JSON.parse(readFileSync(path, 'utf8')) as { pid: number }).pid
}

export function isAlive(pid: number): boolean {
  try {
    const [state, ...rest] = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ')
    // A zombie has ended and only waits for its parent to ask, once its last other thread has: until then ports and locks are held.
    return state !== 'Z' || Number(rest[threadsAfterState]) > 1
  } catch {
    return false
  }
}

/** proc(5): of /proc/PID/stat, num_threads is field 20, the state field 3. */
const threadsAfterState = 16

export async function killHard(pid: number): Promise<void> {
  process.kill(pid, 'SIGKILL')
  while (isAlive(pid)) await sleep(2)
}

/** kill -9, then until its successor answers. */
export async function killAndAwait(family: Family, member: Member): Promise<void> {
  const before = pidOf(family, member)
  await killHard(before)
  await comesBack(family, member, before)
}

export async function comesBack(family: Family, member: Member, before: number): Promise<void> {
  const url = member === 'server' ? family.url : family.gatewayUrl
  await eventually(`the ${member} is started again`, {
    look: async () => pidOf(family, member) !== before && (await fetch(`${url}/health`)).ok,
    explain: () => family.explain(),
  })
}

/** The words after the program of a running member, to start another like it. */
function wordsOf(pid: number): string[] {
  const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1)
  return words.slice(words.findIndex((word) => word.endsWith('main.ts')) + 1)
}

/**
 * The server of a family whose supervisor is dead, started and killed by the test as fast as it likes:
 * a supervisor rests longer and longer before it starts a server again that keeps dying.
 */
export class OwnServer {
  readonly #family: Family
  readonly #words: string[]
  #child: ChildProcess | undefined

  private constructor(family: Family, words: string[]) {
    this.#family = family
    this.#words = words
  }

  static async takeOver(family: Family): Promise<OwnServer> {
    const server = pidOf(family, 'server')
    const words = wordsOf(server)
    await killHard(pidOf(family, 'supervisor'))
    await killHard(server)
    return new OwnServer(family, words)
  }

  start(): void {
    this.#child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', program, ...this.#words], {
      cwd: this.#family.folder,
      stdio: ['ignore', 'ignore', 'inherit'],
    })
  }

  async ready(): Promise<void> {
    await eventually('the server answers', {
      look: async () => {
        if (this.#child?.exitCode != null) throw new Error(`it ended with ${this.#child.exitCode}`)
        return (await fetch(`${this.#family.url}/health`)).ok
      },
      explain: () => this.#family.explain(),
    })
  }

  /** kill -9 where it runs, and a new one that answers. */
  async restart(): Promise<void> {
    await this.kill()
    this.start()
    await this.ready()
  }

  async ensure(): Promise<void> {
    if (!this.#child || this.#child.exitCode !== null) this.start()
    await this.ready()
  }

  async kill(): Promise<void> {
    if (this.#child?.pid && this.#child.exitCode === null) await killHard(this.#child.pid)
    this.#child = undefined
  }
}

/** Another `modelwright up` with the settings of the one whose supervisor is given by its pid. */
export function upAgain(family: Family, words: string[]): ChildProcess {
  return spawn(process.execPath, ['--disable-warning=ExperimentalWarning', program, ...words], {
    cwd: family.folder,
    stdio: ['ignore', 'ignore', 'inherit'],
  })
}

export const upWordsOf = (family: Family): string[] => wordsOf(pidOf(family, 'supervisor'))

/** Lines that a step wrote outside its workspace: what it really did, whatever was recorded. */
export const linesOf = (path: string): string[] =>
  existsSync(path) ? readFileSync(path, 'utf8').split('\n').filter(Boolean) : []

/** Numbers between 0 and 1 that are the same at every run (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}
