import { spawn, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { constants, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it, vi } from 'vitest'
import { isAppError } from '../../../kernel/errors.ts'
import { executorConformance } from '../../../ports/conformance/executor.ts'
import { LocalExecutor } from './local-executor.ts'
import { launcherScript } from './testing/launcher-script.ts'

executorConformance('executor/local', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'modelwright-executor-'))
  return {
    executor: () => new LocalExecutor({ launcher: launcherScript }),
    folder,
    cleanup: async () => rmSync(folder, { recursive: true, force: true }),
  }
})

describe('the local executor', () => {
  const folder = mkdtempSync(join(tmpdir(), 'modelwright-executor-'))
  const executor = new LocalExecutor({ launcher: launcherScript })
  const env = { PATH: '/usr/bin:/bin' }
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  const startedElsewhere = async (dir: string, command: string) => {
    const program = join(folder, 'server.ts')
    writeFileSync(
      program,
      `import { LocalExecutor } from ${JSON.stringify(fileURLToPath(new URL('./local-executor.ts', import.meta.url)))}
       await new LocalExecutor({ launcher: ${JSON.stringify(launcherScript)} }).start(${JSON.stringify({ dir, cwd: folder, command, env })})
       console.log('started')
       setInterval(() => {}, 1000)`,
    )
    const server = spawn(process.execPath, [program], { stdio: ['ignore', 'pipe', 'inherit'] })
    await new Promise((done) => server.stdout.once('data', done))
    return server
  }

  it('lets a command survive the kill -9 of the server that started it, and adopts it with its exit status', async () => {
    const dir = join(folder, 'survivor')
    const go = join(folder, 'go')
    const server = await startedElsewhere(dir, `while [ ! -e ${go} ]; do sleep 0.05; done; echo survived; exit 9`)
    const gone = new Promise((done) => server.once('exit', done))
    server.kill('SIGKILL')
    await gone
    expect((await executor.observe(dir)).state).toBe('running')
    writeFileSync(go, '')
    expect((await executor.ended(dir)).code).toBe(9)
    expect(readFileSync(executor.logPath(dir), 'utf8')).toBe('survived\n')
  })

  it('tells lost, with no code, when the runner itself was killed, and kill still ends its command', async () => {
    const dir = join(folder, 'lost')
    const pidFile = join(folder, 'lost.pid')
    await executor.start({ dir, cwd: folder, command: `echo $$ > ${pidFile}; sleep 60; true`, env })
    await vi.waitFor(() => expect(readFileSync(pidFile, 'utf8')).toMatch(/\d\n/), 120_000)
    const adopter = new LocalExecutor({ launcher: launcherScript })
    const end = adopter.ended(dir)
    const state = await executor.observe(dir)
    process.kill(state.state === 'running' ? state.pid : Number.NaN, 'SIGKILL')
    expect((await end).code).toBeUndefined()
    expect(await executor.observe(dir)).toEqual({ state: 'lost' })
    await executor.kill(dir, 1000)
    expect(
      spawnSync('ps', ['-o', 'stat=', '-p', readFileSync(pidFile, 'utf8').trim()], { encoding: 'utf8' }).stdout,
    ).not.toMatch(/^[^Z]/)
  })

  it('does not mistake a process with a reused pid for the command', async () => {
    const dir = join(folder, 'reused')
    const bystander = spawn('sleep', ['60'], { detached: true })
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
    mkdirSync(dir)
    writeFileSync(join(dir, 'journal'), `started ${bystander.pid} 1 ${boot}\n`)
    expect(await executor.observe(dir)).toEqual({ state: 'lost' })
    await executor.kill(dir, 0)
    expect(bystander.exitCode ?? bystander.signalCode).toBeNull()
    bystander.kill()
  })

  it('takes no process of an earlier boot for the command, be pid and start time the same', async () => {
    const dir = join(folder, 'booted')
    const startTicks = readFileSync('/proc/self/stat', 'utf8').split(') ')[1]!.split(' ')[19]
    mkdirSync(dir)
    writeFileSync(join(dir, 'journal'), `started ${process.pid} ${startTicks} 00000000-dead-4000-8000-000000000000\n`)
    expect(await executor.observe(dir)).toEqual({ state: 'lost' })
  })

  it('takes a line that was cut off for no record', async () => {
    const dir = join(folder, 'cut')
    mkdirSync(dir)
    writeFileSync(join(dir, 'journal'), 'started 12')
    expect(await executor.observe(dir)).toEqual({ state: 'lost' })
    writeFileSync(join(dir, 'journal'), 'started 12 1 boot\nended 1')
    expect(await executor.observe(dir)).toEqual({ state: 'lost' })
  })

  it.each(['-KILL', '-ALRM', '-USR1'])(
    'keeps the exit status of a command that sends its whole group signal %s',
    async (signal) => {
      const dir = join(folder, `group${signal}`)
      await executor.start({ dir, cwd: folder, command: `kill ${signal} 0; exit 3`, env })
      expect((await executor.ended(dir)).code).toBe(128 + constants.signals[`SIG${signal.slice(1)}` as NodeJS.Signals])
    },
  )

  it('says that no descriptor is left, and begins commands again as soon as there is one', async () => {
    const program = join(folder, 'scarce.ts')
    const start = (name: string) =>
      `await executor.start({ dir: ${JSON.stringify(join(folder, name))}, cwd: '/', command: 'exit 6', env: {} })`
    writeFileSync(
      program,
      `import { closeSync, openSync } from 'node:fs'
       import { LocalExecutor } from ${JSON.stringify(fileURLToPath(new URL('./local-executor.ts', import.meta.url)))}
       const executor = new LocalExecutor({ launcher: ${JSON.stringify(launcherScript)} })
       const held = []
       try { for (;;) held.push(openSync('/dev/null')) } catch {}
       closeSync(held.pop())
       await (async () => { ${start('scarce')} })().catch((error) => console.log(error.code))
       for (const one of held) closeSync(one)
       ${start('plenty')}
       console.log((await executor.ended(${JSON.stringify(join(folder, 'plenty'))})).code)`,
    )
    const { stdout } = spawnSync('sh', ['-c', `ulimit -n 60; exec "$0" "$1"`, process.execPath, program], {
      encoding: 'utf8',
      timeout: 200_000,
    })
    expect(stdout).toBe('EMFILE\n6\n')
  })

  it('says that a command is too long instead of starting half of it', async () => {
    const dir = join(folder, 'long')
    await expect(executor.start({ dir, cwd: folder, command: `: ${'x'.repeat(200_000)}`, env })).rejects.toSatisfy(
      (error) => isAppError(error, 'BadRequest'),
    )
    expect((await executor.observe(dir)).state).toBe('absent')
  })

  const launchers = () =>
    spawnSync('pgrep', ['-P', String(process.pid), '-f', launcherScript], { encoding: 'utf8' })
      .stdout.split('\n')
      .filter(Boolean)
      .map(Number)

  it('loses nothing with the process that begins commands: what runs runs on, and the next is begun by another', async () => {
    const [first, second] = [join(folder, 'before'), join(folder, 'after')]
    await executor.start({ dir: first, cwd: folder, command: 'sleep 0.3; echo whole; exit 4', env })
    for (const pid of launchers()) process.kill(pid, 'SIGKILL')
    await executor.start({ dir: second, cwd: folder, command: 'exit 5', env })
    expect((await executor.ended(second)).code).toBe(5)
    expect((await executor.ended(first)).code).toBe(4)
    expect(readFileSync(executor.logPath(first), 'utf8')).toBe('whole\n')
  })

  it('counts the time of a command from its own start, however long its runner had waited for it', async () => {
    await executor.start({ dir: join(folder, 'earlier'), cwd: folder, command: 'true', env })
    await executor.ended(join(folder, 'earlier'))
    await sleep(1_500)
    const dir = join(folder, 'later')
    const before = performance.now()
    await executor.start({ dir, cwd: folder, command: 'sleep 60', env })
    const usage = await executor.usage(dir)
    // The kernel counts in hundredths of a second.
    expect(usage!.elapsedMs).toBeLessThanOrEqual(performance.now() - before + 20)
    await executor.kill(dir, 0)
  })

  it('leaves nobody behind who waits for a command when its process is killed', async () => {
    const own = join(folder, 'launcher.py')
    writeFileSync(own, readFileSync(launcherScript))
    const program = join(folder, 'waits.ts')
    writeFileSync(
      program,
      `import { LocalExecutor } from ${JSON.stringify(fileURLToPath(new URL('./local-executor.ts', import.meta.url)))}
       const executor = new LocalExecutor({ launcher: ${JSON.stringify(own)} })
       executor.prepare()
       await executor.start(${JSON.stringify({ dir: join(folder, 'waits'), cwd: folder, command: 'true', env })})
       await executor.ended(${JSON.stringify(join(folder, 'waits'))})
       console.log('ended')
       setInterval(() => {}, 1000)`,
    )
    const server = spawn(process.execPath, [program], { stdio: ['ignore', 'pipe', 'inherit'] })
    await new Promise((done) => server.stdout.once('data', done))
    const left = () => spawnSync('pgrep', ['-f', own], { encoding: 'utf8' }).stdout.split('\n').filter(Boolean).length
    await vi.waitFor(() => expect(left()).toBe(2), 30_000)
    server.kill('SIGKILL')
    await vi.waitFor(() => expect(left()).toBe(0), 30_000)
  })

  it('carries each command out at most once, and says which, however often that process is killed meanwhile', async () => {
    const ran = join(folder, 'ran')
    let killed = 0
    let begunSince = 0
    const killing = setInterval(() => {
      // On a busy machine one takes long to come to its first command, and none would be left to count.
      if (begunSince === 0) return
      begunSince = 0
      for (const pid of launchers()) {
        process.kill(pid, 'SIGKILL')
        killed++
      }
    }, 120)
    const hundred = (from: number) =>
      Array.from({ length: 100 }, async (_, offset) => {
        await sleep(offset * 10)
        const at = from + offset
        const dir = join(folder, `often-${at}`)
        const begun = await executor.start({ dir, cwd: folder, command: `echo ${at} >> ${ran}`, env }).then(
          () => true,
          () => false,
        )
        if (begun) begunSince++
        return begun
          ? (await executor.ended(dir)).code === 0
          : (await executor.observe(dir)).state === 'absent' && undefined
      })
    const outcomes: (boolean | undefined)[] = []
    // A machine that stood still for a while would carry all of them out between two kills.
    while (killed < 2) outcomes.push(...(await Promise.all(hundred(outcomes.length))))
    clearInterval(killing)
    const lines = readFileSync(ran, 'utf8').trim().split('\n').map(Number)
    expect(lines.toSorted((a, b) => a - b)).toEqual(outcomes.flatMap((ok, at) => (ok ? [at] : [])))
    expect(outcomes).not.toContain(false)
  })

  it('does not keep its own process alive while a command runs that nobody awaits', async () => {
    const dir = join(folder, 'unref')
    const server = await startedElsewhere(dir, 'sleep 600')
    server.kill('SIGKILL')
    const program = join(folder, 'leaver.ts')
    writeFileSync(
      program,
      readFileSync(join(folder, 'server.ts'), 'utf8')
        .replace('setInterval(() => {}, 1000)', '')
        .replaceAll('/unref', '/unref2'),
    )
    // As long as the command runs, if it were kept alive.
    expect(spawnSync(process.execPath, [program], { timeout: 200_000 }).status).toBe(0)
    await Promise.all([executor.kill(dir, 0), executor.kill(join(folder, 'unref2'), 0)])
    await sleep(0)
  })

  it('does not keep its own process alive for a command whose launcher was killed while it was awaited', async () => {
    const dir = join(folder, 'orphan')
    const program = join(folder, 'orphan.ts')
    writeFileSync(
      program,
      `import { spawnSync } from 'node:child_process'
       import { LocalExecutor } from ${JSON.stringify(fileURLToPath(new URL('./local-executor.ts', import.meta.url)))}
       const executor = new LocalExecutor({ launcher: ${JSON.stringify(launcherScript)} })
       await executor.start(${JSON.stringify({ dir, cwd: folder, command: 'sleep 600', env })})
       const enough = new AbortController()
       const ended = executor.ended(${JSON.stringify(dir)}, enough.signal).catch(() => undefined)
       const launcher = spawnSync('pgrep', ['-P', String(process.pid), '-f', 'modelwright_launcher'], { encoding: 'utf8' })
       process.kill(Number(launcher.stdout.trim()), 'SIGKILL')
       // Long enough to be told of it; what waits looks by itself then.
       setTimeout(() => enough.abort(), 500)
       await ended`,
    )
    expect(spawnSync(process.execPath, [program], { timeout: 60_000 }).status).toBe(0)
    await executor.kill(dir, 0)
  })
})

const small = mkdtempSync(join(tmpdir(), 'modelwright-full-'))
const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', small]).status === 0
if (!mounted) console.warn('executor/local on a full disk: skipped, a tmpfs of 1 MB cannot be mounted here')

describe.skipIf(!mounted)('the local executor on a full disk', () => {
  afterAll(() => {
    spawnSync('umount', [small])
    rmSync(small, { recursive: true, force: true })
  })
  const executor = new LocalExecutor({ launcher: launcherScript })
  const env = { PATH: '/usr/bin:/bin' }

  it('records the exit status of the very command that filled the disk, and starts no other', async () => {
    const dir = join(small, 'filler')
    await executor.start({ dir, cwd: small, command: 'cat /dev/zero > zeros; exit 3', env })
    expect((await executor.ended(dir)).code).toBe(3)
    const next = { dir: join(small, 'next'), cwd: small, command: 'true', env }
    await expect(executor.start(next)).rejects.toSatisfy((error) => isAppError(error, 'StorageFull'))
    expect(['absent', 'lost']).toContain((await executor.observe(next.dir)).state)
  })
})
