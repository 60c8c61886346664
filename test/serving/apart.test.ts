import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, it } from 'vitest'
import { processMemory, treeMemory } from '../../src/serving/models/process-memory.ts'

const worker = fileURLToPath(new URL('../../python/worker', import.meta.url))
const isRoot = process.getuid?.() === 0
const mark = `apart-${randomUUID()}`

// What a worker does before it touches a model, then what `ACT` says in the place of the model's code.
const program = `# ${mark}
import json, os, signal, subprocess, sys, time
sys.path.insert(0, ${JSON.stringify(worker)})
import modelwright_apart
say = lambda **told: os.write(1, (json.dumps(told) + "\\n").encode())
modelwright_apart.stand_apart(network=False, tell=lambda **told: say(**told))
seen = [int(name) for name in os.listdir("/proc") if name.isdigit()]
say(own=os.getpid(), seen=seen)
exec(os.environ["ACT"])
`
/** `through`: a command that begins it; `lines`: of what it says, before it is let go. */
type How = { lines?: number; through?: string[]; uid?: number; gid?: number }
type Told = { pid?: number; lacks?: string; own?: number; seen?: number[]; begun?: number }

describe.skipIf(process.platform !== 'linux')('the process of a model', () => {
  const running: ChildProcess[] = []
  afterEach(() => {
    for (const child of running.splice(0)) child.kill('SIGKILL')
  })

  async function begin(act: string, { lines = 2, through = [], ...more }: How = {}) {
    const [command, ...words] = [...through, 'python3', '-c', program]
    const child = spawn(command!, words, {
      env: { PATH: process.env.PATH, ACT: act },
      cwd: '/',
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: true,
      ...more,
    })
    running.push(child)
    const ended = once(child, 'exit') as Promise<[number | null, string | null]>
    child.stderr.pipe(process.stderr)
    const told: Told = {}
    const input = createInterface({ input: child.stdout })
    let count = 0
    for await (const line of input) {
      Object.assign(told, JSON.parse(line))
      if (++count === lines) break
    }
    return { child, told, ended }
  }
  const isAlive = (pid: number) => existsSync(`/proc/${pid}/stat`)
  /** All that came of the program; a zombie has no words any more. */
  const family = () => readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && wordsOf(pid).includes(mark))

  const users = [
    ['the user who serves', {}],
    ...(isRoot ? [['an ordinary user', { uid: 65_534, gid: 65_534 }]] : []),
  ] as [string, object][]
  describe.each(users)('of %s', (who, user) => {
    const unshare = who === 'an ordinary user' || !isRoot ? ['--user', '--map-root-user'] : []
    const tried = spawnSync('unshare', [...unshare, '--pid', '--fork', '--mount-proc', 'true'], user)
    if (tried.status !== 0) return it.skip(`skipped, this machine gives no process id space: ${tried.stderr}`)

    const wild = `
sys.stdin.read()
try:
    os.kill(-1, signal.SIGKILL)
except ProcessLookupError:
    sys.exit(7)`
    it('sees none but its own, can be measured by the number that it has outside, and takes nobody with it by a wild kill', async () => {
      const { told, child, ended } = await begin(wild, user)
      expect(told.lacks).toBeUndefined()
      expect(told.pid).not.toBe(child.pid)
      expect(told.own).toBe(2)
      expect(told.seen).toEqual([1, 2])
      expect(await processMemory(told.pid!)).toBeGreaterThan(1_000_000)
      child.stdin!.end()
      expect(await ended).toEqual([7, null])
    })

    it('cannot end another process of its user, not even the one that waits for it', async () => {
      const other = spawn('sleep', ['600'], { stdio: 'ignore', ...user })
      running.push(other)
      const act = `
for pid in (${other.pid}, ${process.pid}, os.getppid() or 99999999):
    try:
        os.kill(pid, signal.SIGKILL)
        say(begun=pid)
    except ProcessLookupError:
        pass
say(begun=0)
time.sleep(30)`
      const { told, child } = await begin(act, { ...user, lines: 3 })
      expect(told.begun).toBe(0)
      expect([isAlive(other.pid!), child.exitCode]).toEqual([true, null])
    })

    it('takes all with it that it began, also what went into a session of its own, when the gateway dies', async () => {
      const act = `
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(60)
    os._exit(0)
os.wait()
time.sleep(60)`
      const { child } = await begin(act, user)
      // Who waits, who keeps their space, the worker, and what was orphaned in it.
      await eventually(() => family().length === 4)
      // As when the gateway is killed: nobody tells the worker anything.
      process.kill(child.pid!, 'SIGKILL')
      await eventually(() => family().length === 0)
    })
  })

  it.skipIf(!isRoot)(
    'goes on where the machine allows no namespaces, and says what the model may do for want of them',
    async () => {
      const { told, ended } = await begin('sys.exit(7)', { through: ['setpriv', '--bounding-set', '-sys_admin'] })
      expect(told.lacks).toMatch(/^it may end processes of its user \(.+\); it may use the network \(.+\)$/)
      expect(told.seen).toContain(process.pid)
      expect(await ended).toEqual([7, null])
    },
  )

  it('ends as the model’s code ended: by the same signal', async () => {
    const { ended } = await begin('os.kill(os.getpid(), signal.SIGSEGV)')
    expect(await ended).toEqual([null, 'SIGSEGV'])
    const killed = await begin('time.sleep(30)')
    process.kill(killed.told.pid!, 'SIGKILL')
    expect(await killed.ended).toEqual([null, 'SIGKILL'])
  })

  it('is not ended by what its code sends to its own group', async () => {
    const { ended } = await begin('signal.signal(15, signal.SIG_IGN); os.kill(0, 15); time.sleep(0.3); sys.exit(3)')
    expect(await ended).toEqual([3, null])
  })

  it('is measured with all that it began, orphans too', async () => {
    const take = 'bytearray(os.urandom(1) * 60_000_000)'
    const act = `
kept = ${take}
if os.fork() == 0:
    if os.fork() == 0:
        more = ${take}
        say(begun=1)
        time.sleep(60)
    os._exit(0)
os.wait()
time.sleep(60)`
    const { child, told } = await begin(act, { lines: 3 })
    expect(await processMemory(told.pid!)).toBeLessThan(90_000_000)
    expect(await treeMemory(child.pid!)).toBeGreaterThan(115_000_000)
  })
})

function wordsOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
  } catch {
    return ''
  }
}

async function eventually(holds: () => boolean): Promise<void> {
  for (const end = Date.now() + 120_000; !holds(); await sleep(10)) if (Date.now() > end) throw new Error('never')
}
