import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { isAppError } from '../../kernel/errors.ts'
import type { CommandSpec, Executor } from '../executor.ts'

/** `executor` anew each time: what a restarted server would make. `folder` is empty and on the data folder's disk. */
export type ExecutorUnderTest = { executor: () => Executor; folder: string; cleanup: () => Promise<void> }

export function executorConformance(name: string, make: () => Promise<ExecutorUnderTest>): void {
  describe(`${name} keeps the executor's contract`, () => {
    let under: ExecutorUnderTest
    let executor: Executor
    let count = 0
    beforeAll(async () => {
      under = await make()
      executor = under.executor()
    })
    afterAll(async () => {
      // What a failed test left running.
      await Promise.all(
        Array.from({ length: count }, (_, index) => executor.kill(join(under.folder, `attempt-${index}`), 0)),
      )
      await under.cleanup()
    })

    const spec = (command: string, env: Record<string, string> = {}): CommandSpec => {
      const dir = join(under.folder, `attempt-${count++}`)
      const cwd = join(under.folder, `work-${count}`)
      mkdirSync(cwd)
      return { dir, cwd, command, env: { PATH: '/usr/bin:/bin', ...env } }
    }
    const run = async (command: string, env: Record<string, string> = {}) => {
      const given = spec(command, env)
      await executor.start(given)
      const end = await executor.ended(given.dir)
      return { ...given, end, log: readFileSync(executor.logPath(given.dir), 'utf8') }
    }

    it('carries the command out in the working folder and tells its exit status and times', async () => {
      const before = Date.now()
      const { end, cwd, log } = await run('pwd; exit 7')
      expect(log).toBe(`${cwd}\n`)
      expect(end.code).toBe(7)
      expect(end.startedAt).toBeGreaterThanOrEqual(before - 50)
      expect(end.endedAt).toBeGreaterThanOrEqual(end.startedAt!)
      expect(end.endedAt).toBeLessThanOrEqual(Date.now() + 50)
    })

    it('returns from start while the command still runs', async () => {
      const given = spec('sleep 60')
      await executor.start(given)
      expect((await executor.observe(given.dir)).state).toBe('running')
      await executor.kill(given.dir, 0)
    })

    it('tells absent for a folder in which nothing was started', async () => {
      expect(await executor.observe(join(under.folder, 'nothing'))).toEqual({ state: 'absent' })
    })

    it('refuses a second start in one folder, also after the end', async () => {
      const first = await run('true')
      await expect(executor.start({ ...first, command: 'false' })).rejects.toSatisfy((error) =>
        isAppError(error, 'Conflict'),
      )
      expect((await executor.ended(first.dir)).code).toBe(0)
    })

    it('carries a command out once where two starts meet in one folder', async () => {
      const given = spec('echo ran >> ran.txt')
      const starts = await Promise.allSettled([
        executor.start(given),
        under.executor().start(given),
        executor.start(given),
      ])
      expect(starts.filter((start) => start.status === 'fulfilled')).toHaveLength(1)
      for (const start of starts)
        if (start.status === 'rejected') expect(isAppError(start.reason, 'Conflict'), String(start.reason)).toBe(true)
      await executor.ended(given.dir)
      expect(readFileSync(join(given.cwd, 'ran.txt'), 'utf8')).toBe('ran\n')
    })

    it('lets another instance observe, await and end what this one started', async () => {
      const running = spec('sleep 60')
      await executor.start(running)
      const adopter = under.executor()
      expect((await adopter.observe(running.dir)).state).toBe('running')
      const end = adopter.ended(running.dir)
      await adopter.kill(running.dir, 120_000)
      expect((await end).code).toBe(143)
      expect((await adopter.observe(running.dir)).state).toBe('ended')
    })

    it('resolves ended promptly for an adopted command', async () => {
      const given = spec('sleep 0.2; exit 3')
      await executor.start(given)
      const started = Date.now()
      expect((await under.executor().ended(given.dir)).code).toBe(3)
      // Not after a pause of its own, however busy the machine is.
      expect(Date.now() - started).toBeLessThan(60_000)
    })

    it('stops waiting for the end when the signal aborts, and leaves the command alone', async () => {
      const given = spec('sleep 60')
      await executor.start(given)
      for (const one of [executor, under.executor()]) {
        const stop = new AbortController()
        const waiting = one.ended(given.dir, stop.signal)
        stop.abort(new Error('enough'))
        await expect(waiting).rejects.toThrow('enough')
      }
      expect((await executor.observe(given.dir)).state).toBe('running')
      await executor.kill(given.dir, 0)
    })

    it('gives the command the environment that was given, the mark, and nothing of the server', async () => {
      process.env.SERVER_SECRET = 'never seen by a step'
      const { log } = await run('env -0', { A: 'one\ntwo', stat: 'x', boot: 'y', journal: 'z', command: 'c', IFS: 'q' })
      delete process.env.SERVER_SECRET
      const seen = Object.fromEntries(
        log
          .split('\0')
          .filter(Boolean)
          .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
      )
      // What any shell sets by itself.
      for (const own of ['PWD', 'OLDPWD', 'SHLVL', '_', 'IFS']) delete seen[own]
      delete seen.MODELWRIGHT_ATTEMPT
      expect(seen).toEqual({
        PATH: '/usr/bin:/bin',
        A: 'one\ntwo',
        stat: 'x',
        boot: 'y',
        journal: 'z',
        command: 'c',
      })
    })

    it('writes output and errors to the log in the order of writing', async () => {
      const { log } = await run('echo 1; echo 2 >&2; echo 3; echo 4 >&2')
      expect(log).toBe('1\n2\n3\n4\n')
    })

    it('gives an empty standard input', async () => {
      expect((await run('cat; echo end')).log).toBe('end\n')
    })

    it('keeps the text of the command away from a second interpretation', async () => {
      const { log } = await run(`printf '%s|' "a b" 'c"d' '$HOME' '\\n' '*'`)
      expect(log).toBe('a b|c"d|$HOME|\\n|*|')
    })

    it('tells 128 + signal for a command that a signal ended', async () => {
      expect((await run('kill -9 $$')).end.code).toBe(137)
    })

    it('tells 127 for a program that is not there', async () => {
      expect((await run('no-such-program-anywhere')).end.code).toBe(127)
    })

    it('lets a command finish its work between SIGTERM and the end of the grace time', async () => {
      const given = spec(
        `trap 'echo saved > saved.txt; exit 5' TERM; echo ready > ready.txt; while :; do sleep 0.05; done`,
      )
      await executor.start(given)
      await until(() => existsSync(join(given.cwd, 'ready.txt')))
      await executor.kill(given.dir, 120_000)
      expect(readFileSync(join(given.cwd, 'saved.txt'), 'utf8')).toBe('saved\n')
      expect((await executor.ended(given.dir)).code).toBe(5)
    })

    it('ends by force what ignores SIGTERM once the grace time is over', async () => {
      const given = spec(`trap '' TERM; echo ready > ready.txt; while :; do sleep 0.05; done`)
      await executor.start(given)
      await until(() => existsSync(join(given.cwd, 'ready.txt')))
      await executor.kill(given.dir, 100)
      expect((await executor.ended(given.dir)).code).toBe(137)
    })

    it('leaves nothing running after kill: neither children nor those who left the process group', async () => {
      const given = spec(
        `sleep 61 & echo $! >> pids.txt; setsid sh -c 'echo $$ >> pids.txt; trap "" TERM; sleep 62; sleep 63' & wait`,
      )
      await executor.start(given)
      const pids = () => readFileSync(join(given.cwd, 'pids.txt'), 'utf8').trim().split('\n').map(Number)
      await until(() => existsSync(join(given.cwd, 'pids.txt')) && pids().length === 2)
      await executor.kill(given.dir, 50)
      expect(pids().filter(exists)).toEqual([])
    })

    it('ends, by kill, also what a finished command left in the background', async () => {
      const { cwd, dir, end } = await run('sleep 61 & echo $! > pid.txt')
      expect(end.code).toBe(0)
      const pid = Number(readFileSync(join(cwd, 'pid.txt'), 'utf8'))
      expect(exists(pid)).toBe(true)
      await executor.kill(dir, 1000)
      expect(exists(pid)).toBe(false)
      expect((await executor.ended(dir)).code).toBe(0)
    })

    it('sweeps what several finished commands left, and nothing of a command that was not named', async () => {
      const left = await Promise.all([run('setsid sleep 61 & echo $! > pid.txt'), run('sleep 62 & echo $! > pid.txt')])
      const other = await run('sleep 63 & echo $! > pid.txt')
      const pidOf = ({ cwd }: { cwd: string }) => Number(readFileSync(join(cwd, 'pid.txt'), 'utf8'))
      await executor.sweep(left.map(({ dir }) => dir))
      expect(exists(pidOf(left[1]!))).toBe(false)
      expect(exists(pidOf(other))).toBe(true)
      await executor.sweep([other.dir])
      expect(exists(pidOf(other))).toBe(false)
    })

    it('may be told to kill again, and to kill what never was', async () => {
      const given = spec('sleep 60')
      await executor.start(given)
      await Promise.all([executor.kill(given.dir, 500), executor.kill(given.dir, 500)])
      await executor.kill(given.dir, 500)
      await executor.kill(join(under.folder, 'nothing'), 500)
      expect((await executor.observe(given.dir)).state).toBe('ended')
    })

    it('does not hold the log or the folder of one command from another', async () => {
      const runs = await Promise.all(Array.from({ length: 8 }, (_, index) => run(`echo ${index}; exit ${index}`)))
      expect(runs.map(({ log, end }) => `${log.trim()}:${end.code}`)).toEqual(
        Array.from({ length: 8 }, (_, index) => `${index}:${index}`),
      )
    })
  })
}

async function until(reached: () => boolean): Promise<void> {
  while (!reached()) await sleep(5)
}

function exists(pid: number): boolean {
  try {
    // A zombie that its adopter has not reaped yet no longer runs.
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return false
  }
}
