import { execFileSync } from 'node:child_process'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ended, terminal } from './terminal.ts'

const files = {
  'modelwright.yaml': `project: demo
data:
  rows: { path: data/rows.csv, key: id }
steps:
  prepare: { run: sh src/prepare.sh, deps: [src/prepare.sh, "data:rows"], outs: [work/rows.csv] }
  train:
    run: sh src/train.sh \${params.depth}
    deps: [src/train.sh, work/rows.csv]
    params: { depth: 3 }
    metrics: metrics.json
`,
  'data/rows.csv': 'id,x\n1,2\n2,3\n',
  'src/prepare.sh': 'echo preparing\nmkdir -p work\ncp data/rows.csv work/rows.csv\n',
  'src/train.sh': `echo "depth $1"\nprintf '{"auc": 0.9%s}' "$1" > metrics.json\n`,
}

let at: Awaited<ReturnType<typeof terminal>>
let serverUrl: string

beforeAll(async () => {
  at = await terminal(files)
  const before = await at.mw(['status'])
  expect(before.code).toBe(1)
  expect(before.out).toContain('modelwright up')
  serverUrl = await at.startServer()
  expect(await at.mw(['init'])).toMatchObject({ code: 0 })
  at.git('push', '-q', 'modelwright', 'main')
})
afterAll(() => at.close())

type Executed = { id: string; state: string; endedAt?: number }

/** Newest first, asked of the server itself: a command takes its time to start. */
async function executions(): Promise<Executed[]> {
  const answer = await fetch(`${serverUrl}/api/v1/executions?project=demo`)
  return ((await answer.json()) as { items: Executed[] }).items
}

/** Until the execution of the push is over, so that what follows finds its results. */
async function pushed(): Promise<void> {
  while ((await executions()).at(-1)?.endedAt === undefined) await sleep(50)
}

describe('modelwright run', () => {
  it('runs the working tree as it is, shows each step and metric, and leaves the repository untouched', async () => {
    await pushed()
    at.write('src/train.sh', `echo "deeper $1"\nprintf '{"auc": 0.8%s}' "$1" > metrics.json\n`)
    at.write('notes.txt', 'not added yet\n')
    const before = [at.git('status', '--porcelain'), at.git('for-each-ref', 'refs/heads')]
    const { code, out } = await at.mw(['run', '--set', 'depth=5'], { cwd: join(at.repository, 'src') })
    expect(code).toBe(0)
    expect(out).toMatch(/↻ reused +prepare/)
    expect(out).toMatch(/✓ passed +train/)
    expect(out).toMatch(/train +auc +0\.85/)
    expect([at.git('status', '--porcelain'), at.git('for-each-ref', 'refs/heads')]).toEqual(before)
    const [newest] = await executions()
    expect(newest).toMatchObject({
      trigger: { kind: 'run' },
      deployable: false,
      state: 'succeeded',
      set: { depth: 5 },
    })
  })

  it('starts nothing with --dry-run, and says what would run and why', async () => {
    const before = (await executions()).length
    const { code, out } = await at.mw(['run', '--dry-run', '--set', 'depth=9'])
    expect(code).toBe(0)
    expect(out).toMatch(/prepare +reused/)
    expect(out).toMatch(/train +runs .*depth: \d → 9/)
    expect(await executions()).toHaveLength(before)
  })

  it('ends with 1 when a step fails, with the last lines that it wrote', async () => {
    at.write('src/train.sh', 'echo "no such column: radius" >&2\nexit 3\n')
    const { code, out } = await at.mw(['run'])
    expect(code).toBe(1)
    expect(out).toContain('"train" ended with exit status 3')
    expect(out).toContain('│ no such column: radius')
    const { out: log } = await at.mw(['logs', 'train'])
    expect(log).toBe('no such column: radius\n')
  })

  it('is cancelled by Ctrl-C, whole, and ends with 130', async () => {
    at.write('src/train.sh', 'echo started\nsleep 60\n')
    const child = at.start(['run'])
    const over = ended(child)
    let seen = ''
    child.stdout!.on('data', (text: string) => {
      seen += text
      if (/running +train/.test(seen) && !child.killed) child.kill('SIGINT')
    })
    const { code, err } = await over
    expect(code).toBe(130)
    expect(err).toContain('Cancelling the execution')
    expect((await executions())[0]).toMatchObject({ state: 'cancelled' })
    at.git('checkout', '-q', 'src/train.sh')
  })

  it('refuses a file that is wrong with its place, and starts nothing', async () => {
    at.write('modelwright.yaml', files['modelwright.yaml'].replace('outs:', 'outz:'))
    const { code, err } = await at.mw(['run'])
    at.git('checkout', '-q', 'modelwright.yaml')
    expect(code).toBe(1)
    expect(err).toMatch(/ConfigInvalid: .*modelwright\.yaml:5:\d+/)
    expect(err).toContain('outs')
  })
})

describe('questions', () => {
  it('shows the project, its execution and what comes next', async () => {
    const { code, out } = await at.mw(['status'])
    expect(code).toBe(0)
    expect(out).toMatch(/server +✓ running +http/)
    expect(out).toContain('demo  main at')
    expect(out).toMatch(/execution +✓ passed +push to main/)
    const status = await at.json('status')
    expect(status).toMatchObject({
      processes: [
        { name: 'server', url: serverUrl, answers: true },
        { name: 'gateway', answers: false },
      ],
      gateway: { answers: false },
      projects: [{ project: { name: 'demo' }, next: { who: 'nobody' } }],
    })
  })

  it("erases a person's rows from the log and lists what was erased, without naming the person", async () => {
    const erased = await at.mw(['predictions', 'erase', '--subject', 'patient-4711'])
    expect(erased.code).toBe(0)
    expect(erased.out).toMatch(/^0 rows removed \(hmac:[0-9a-f]{16}\)\.$/m)
    const listed = await at.mw(['predictions', 'erasures'])
    expect(listed.out).toMatch(/ASKED +ENVIRONMENT +WHOSE +ROWS +STATE\n\S+ +all +hmac:[0-9a-f]{16} +0 +done/)
    expect(JSON.stringify(await at.json('predictions', 'erasures'))).not.toContain('4711')
    expect((await at.mw(['predictions', 'erase'])).code).not.toBe(0)
  })

  it('compares an execution with another by the ends of their ids', async () => {
    const done = (await executions()).filter(({ state }) => state === 'succeeded')
    const [newer, older] = done.map(({ id }) => id.slice(-8))
    const { code, out } = await at.mw(['diff', older!, newer!])
    expect(code).toBe(0)
    expect(out).toMatch(/train\.auc +0\.93 +0\.85 +−0\.08/)
    expect(out).toMatch(/train\.depth +3 +→ +5/)
    expect(out).toContain('~ src/train.sh')
    expect(out).toContain('+ notes.txt')
  })

  it('lists executions with their metrics, as a table and as JSON', async () => {
    const { out } = await at.mw(['runs'])
    expect(out).toMatch(/^EXECUTION +STATE +COMMIT +TRIGGER +STARTED +TOOK +METRICS\n/)
    expect(out).toMatch(/✓ passed +[0-9a-f]{12} +push to main .*train\.auc 0\.93/)
    const { items } = await at.json('runs', '--limit', '1')
    expect(items).toHaveLength(1)
  })

  it('shows all logs with the names of their steps', async () => {
    const first = (await executions()).at(-1)!
    const { out } = await at.mw(['logs', first.id])
    expect(out).toBe('prepare │ preparing\ntrain   │ depth 3\n')
    expect((await at.mw(['logs', first.id, '--grep', 'depth'])).out).toBe('train   │ depth 3\n')
    expect((await at.mw(['logs', first.id, '--grep', 'nowhere'])).code).toBe(1)
    expect((await at.mw(['logs', first.id, 'train', '--tail', '1'])).out).toBe('depth 3\n')
    expect(JSON.parse((await at.mw(['logs', first.id, 'train', '--tail', '1', '--json'])).out).steps).toEqual([
      { step: 'train', text: 'depth 3\n' },
    ])
  })

  it('plans a commit of the repository here by any name of it', async () => {
    expect(await at.json('plan', 'train', '--commit', 'HEAD')).toMatchObject({
      nodes: [{ id: 'prepare', decision: { outcome: 'reused' } }, { id: 'train' }],
    })
  })

  it('says what is not there, and what to look at', async () => {
    const { code, err, out } = await at.mw(['why', 'production', '--json'])
    expect(code).toBe(1)
    expect(err).toContain('demo has no deployment "production"')
    expect(JSON.parse(out)).toMatchObject({ error: { code: 'NotFound', next: expect.any(String) } })
  })

  it('finds nothing wrong with a machine that is well', async () => {
    const { ok, findings } = await at.json('doctor')
    expect(ok).toBe(true)
    const wells = findings
      .filter(({ level }: { level: string }) => level === 'ok')
      .map(({ what }: { what: string }) => what)
    expect(wells).toEqual(
      expect.arrayContaining(['git', 'data folder', "owner's token", 'server', 'clock', 'events', 'audit trail']),
    )
  })
})

describe('the program', () => {
  it('names the nearest command for one that is not there', async () => {
    const { code, err } = await at.mw(['stauts'])
    expect(code).toBe(1)
    expect(err).toContain('Did you mean status?')
  })

  it('tells its version', async () => {
    expect((await at.mw(['--version'])).out).toMatch(/^\d+\.\d+\.\d+\n$/)
  })

  it('shows the owner’s token to its own server and to no other that is named', async () => {
    const tokens: (string | undefined)[] = []
    const stranger = createServer((request, response) => {
      tokens.push(request.headers.authorization)
      response.end('{"items":[]}')
    }).listen(0, '127.0.0.1')
    await new Promise((resolve) => stranger.once('listening', resolve))
    const url = `http://127.0.0.1:${(stranger.address() as AddressInfo).port}`
    await at.mw(['runs', '--server', url])
    stranger.close()
    expect(tokens).toEqual([undefined])
  })

  it('says where the token lies without showing it', async () => {
    const { out, err } = await at.mw(['token'])
    expect(out).toBe(`${join(at.dataDir, 'keys', 'owner.token')}\n`)
    expect(err).toContain('secret')
  })

  it('writes a completion that bash can read and that knows every command', async () => {
    const { code, out } = await at.mw(['completion', 'bash'])
    expect(code).toBe(0)
    for (const word of ['status', 'approve', '--dry-run', '--gateway-port', 'continue']) expect(out).toContain(word)
    expect(out).not.toContain('git-credential')
    expect(() => execFileSync('bash', ['-n'], { input: out })).not.toThrow()
  })
})
