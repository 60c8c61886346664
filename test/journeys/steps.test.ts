import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { setSecret } from '../../src/access/step-secrets-contract.ts'
import { stepAbilities } from '../../src/compose/adapters.ts'
import { readLog, searchLog } from '../../src/executions/executions-contract.ts'
import { Family } from './support/family.ts'
import { type Execution, type Files, nodeOf, Project, statesOf } from './support/project.ts'

// What a step may do, through the public door: what it sees, how long, with how much, what it is told and what of it is kept.

let family: Family
beforeAll(async () => {
  family = await Family.start([
    '--slots',
    '4',
    '--price-per-hour',
    '36',
    '--currency',
    'CHF',
    '--step-log-limit',
    '2MB',
  ])
})
afterAll(() => family?.stop())

const { veil } = await stepAbilities()
if (!veil.holds) console.warn(`steps behind the veil: skipped, this machine hides nothing: ${veil.why}`)

const small = mkdtempSync(join(tmpdir(), 'modelwright-small-'))
const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', small]).status === 0
if (!mounted) console.warn('a step that fills the disk: skipped, a tmpfs of 1 MB cannot be mounted here')
afterAll(() => {
  if (mounted) spawnSync('umount', [small])
  rmSync(small, { recursive: true, force: true })
})

const file = (name: string, ...steps: string[]) =>
  `project: ${name}\nsteps:\n${steps.map((step) => `  ${step}\n`).join('')}`

async function carriedOut(
  name: string,
  files: Files,
  steps: string[],
): Promise<{ project: Project; execution: Execution }> {
  const project = await Project.connect(family, name, { ...files, 'modelwright.yaml': file(name, ...steps) })
  const { commit } = await project.push('one')
  const { id } = await project.started(commit)
  return { project, execution: await project.endOf(id) }
}

const workOf = (execution: Execution, node: string, attempt = 1) =>
  join(family.dataDir, 'work', execution.id, node, String(attempt))
const tagsOf = async (runId: string) => {
  const answer = await fetch(`${family.url}/api/2.0/mlflow/runs/get?run_id=${runId}`)
  const { run } = (await answer.json()) as { run: { data: { tags: { key: string; value: string }[] } } }
  return Object.fromEntries(run.data.tags.map(({ key, value }) => [key, value]))
}

describe('what a step did not declare', () => {
  it('fails it with what to declare, also where it took no harm from what was not there', async () => {
    const { execution } = await carriedOut(
      'undeclared',
      {
        'src/train.py': 'import importlib\nname = "util" + "s"\nimportlib.import_module(name)\n',
        'src/utils.py': 'x = 1\n',
        'src/open.py': 'open("config/a b.json").read()\n',
        'src/mild.py': 'try:\n  open("config/a b.json")\nexcept OSError:\n  pass\nimport glob\n',
        'src/fine.py': 'try:\n  import nowhere_at_all\nexcept ImportError:\n  open("new.txt", "w")\nopen("new.txt")\n',
        'config/a b.json': '{}',
        'table.csv': 'x\n',
      },
      [
        'module: { run: python3 src/train.py, deps: [src/train.py] }',
        'opened: { run: python3 src/open.py, deps: [src/open.py] }',
        'swallowed: { run: python3 src/mild.py, deps: [src/mild.py] }',
        'fine: { run: python3 src/fine.py, deps: [src/fine.py] }',
        'shell: { run: cat table.csv }',
        'open-to-all: { run: cat table.csv && python3 src/train.py, isolated: false }',
      ],
    )
    const errorOf = (step: string) => nodeOf(execution, step).error
    expect(errorOf('module')).toEqual({
      code: 'UndeclaredRead',
      message: '"src/utils.py" is in the commit, but step "module" did not declare it.',
      next: 'declare it: deps: [src/utils.py]',
    })
    for (const step of ['opened', 'swallowed'])
      expect(errorOf(step)).toMatchObject({
        code: 'UndeclaredRead',
        message: expect.stringContaining('config/a b.json'),
      })
    expect(errorOf('shell')).toMatchObject({ code: 'UndeclaredRead', next: 'declare it: deps: [table.csv]' })
    expect([statesOf(execution).fine, statesOf(execution)['open-to-all']]).toEqual(['succeeded', 'succeeded'])
    expect((await tagsOf(nodeOf(execution, 'open-to-all').runId!))['modelwright.isolated']).toBe('false')
  })

  it.skipIf(!veil.holds)('is not there by an absolute path either, and can be written to nowhere', async () => {
    const { execution, project } = await carriedOut('outside', { 'a.txt': 'a\n' }, [
      `peep: { run: 'ls ${family.dataDir}; ls ${family.dataDir}/work; cat ${family.dataDir}/keys/owner.token || echo none; echo x > ${family.dataDir}/planted || echo refused; echo out > out', outs: [out] }`,
    ])
    const log = await project.log(execution.id, 'peep')
    expect(log).toMatch(/none\n.*refused/s)
    expect(log).not.toContain(family.token)
    expect(log).not.toContain('modelwright.db')
    expect(existsSync(join(family.dataDir, 'planted'))).toBe(false)
    expect(statesOf(execution)).toEqual({ peep: 'succeeded' })
  })

  it.skipIf(!veil.holds)('is named where a step fails on a path outside its workspace', async () => {
    const { execution } = await carriedOut('beyond', { 'a.txt': 'a\n' }, [
      `written: { run: 'echo x > ../planted' }`,
      `wrong: { run: 'cat /nowhere/at/all.txt' }`,
      `free: { run: 'cat ${family.dataDir}/run/nothing', isolated: false }`,
    ])
    expect(nodeOf(execution, 'written').error).toMatchObject({
      code: 'OutsideWorkspace',
      message: expect.stringContaining(`"${workOf(execution, 'written')}/planted" lies outside its workspace`),
      next: expect.stringContaining('outs:'),
    })
    expect(nodeOf(execution, 'wrong').error).toMatchObject({ code: 'StepFailed' })
    expect(nodeOf(execution, 'free').error).toMatchObject({ code: 'StepFailed' })
  })

  it('is told of where it was written, and thrown away', async () => {
    const { execution, project } = await carriedOut('stray', {}, [
      `one: { run: 'mkdir d; echo 1 > d/lost.csv; echo 2 > kept', outs: [kept] }`,
    ])
    expect(await project.log(execution.id, 'one')).toBe(
      'modelwright: wrote "d/lost.csv", which no outs: names: it is thrown away\n',
    )
  })
})

describe('time, memory and attempts', () => {
  it('ends what runs too long, tries again after a pause with its checkpoints, and tells each attempt', async () => {
    const { execution, project } = await carriedOut('attempts', {}, [
      `slow: { run: 'sleep 60', timeout: 300ms }`,
      `third: { run: 'cd ckpt; echo x >> tries; cat tries; test $(wc -l < tries) -ge 3', checkpoints: ckpt/, retries: { times: 3, wait: 10ms } }`,
      `never: { run: 'echo try; exit 4', retries: { times: 1, wait: 10ms, on: [error] } }`,
      `once: { run: 'exit 4', retries: { times: 3, wait: 10ms, on: [timeout] } }`,
    ])
    expect(nodeOf(execution, 'slow').error).toMatchObject({
      code: 'StepTimedOut',
      message: expect.stringMatching(/0\.3 s/),
    })
    expect(nodeOf(execution, 'third')).toMatchObject({ state: 'succeeded', attempt: 3 })
    expect(nodeOf(execution, 'never')).toMatchObject({ state: 'failed', attempt: 2, error: { code: 'StepFailed' } })
    expect(nodeOf(execution, 'once')).toMatchObject({ state: 'failed', attempt: 1 })
    const logOf = async (attempt: number) =>
      (await family.client(readLog, { params: { id: execution.id, node: 'third' }, query: { attempt } })).text
    expect(await Promise.all([1, 2, 3].map(logOf))).toEqual(['x\n', 'x\nx\n', 'x\nx\nx\n'])
    await expect(logOf(4)).rejects.toThrow('3 attempts')
    expect(await project.log(execution.id, 'third')).toBe('x\nx\nx\n')
    expect(readdirSync(workOf(execution, 'third', 2)).sort()).toEqual(['journal', 'log'])
  })

  it('ends what takes more memory than it may, and says how much that was', async () => {
    const { execution } = await carriedOut('memory', { 'eat.py': 'x = bytearray(600_000_000)\nprint(len(x))\n' }, [
      'eat: { run: python3 eat.py, deps: [eat.py], resources: { memory: 100MB } }',
      'modest: { run: python3 -c "print(1)", resources: { memory: 500MB, cpu: 2 } }',
    ])
    expect(nodeOf(execution, 'eat').error).toMatchObject({
      code: 'StepOutOfMemory',
      message: expect.stringContaining('100.0 MB'),
    })
    expect(nodeOf(execution, 'eat').failure).toBe('memory')
    expect(statesOf(execution).modest).toBe('succeeded')
  })

  it.skipIf(!mounted)('tells a full disk from any other failure', async () => {
    const { execution } = await carriedOut('full', {}, [`fill: { run: 'head -c 4000000 /dev/zero > ${small}/zeros' }`])
    expect(nodeOf(execution, 'fill').error).toMatchObject({
      code: 'StorageFull',
      message: expect.stringMatching(/no space was left/),
    })
  })

  it.skipIf(!veil.holds)('leaves nothing of what a step started, however that hid', async () => {
    const name = `lingering-${process.pid}`
    const { execution } = await carriedOut('linger', {}, [
      `fork: { run: 'for i in 1 2 3; do env -i setsid sh -c "while :; do echo late >> out; sleep 0.05; done; : ${name}" & done; sleep 0.2; echo end >> out', outs: [out] }`,
    ])
    expect(statesOf(execution)).toEqual({ fork: 'succeeded' })
    const commands = readdirSync('/proc')
      .filter((pid) => /^\d+$/.test(pid))
      .map((pid) => (existsSync(`/proc/${pid}/cmdline`) ? readFileSync(`/proc/${pid}/cmdline`, 'utf8') : ''))
    expect(commands.filter((line) => line.includes(`: ${name}`))).toEqual([])
  })

  it('tells what it cost, in the currency that was set', async () => {
    const { execution } = await carriedOut('cost', {}, [`one: { run: 'sleep 0.2' }`])
    const tags = await tagsOf(nodeOf(execution, 'one').runId!)
    expect(tags['modelwright.cost']).toMatch(/^\d+\.\d{4} CHF$/)
    expect(Number.parseFloat(tags['modelwright.cost']!)).toBeCloseTo(
      Number(tags['modelwright.machine_seconds']) / 100,
      2,
    )
  })
})

describe('secrets', () => {
  const token = 'sk-9f8e7d6c5b4a'

  it('are given to the step that asks, and stand in no log, in whatever form', async () => {
    await family.client(setSecret, {
      params: { name: 'API_TOKEN' },
      query: { project: 'secrets' },
      body: { value: token },
    })
    const { execution, project } = await carriedOut('secrets', {}, [
      `tell: { run: 'echo "it is $API_TOKEN"; printf %s "$API_TOKEN" | base64; printf ":%s" "$API_TOKEN" | base64; printf "%.5s" "$API_TOKEN"; sleep 0.3; printf "%s" "$API_TOKEN" | tail -c +6; echo; printf %s "$API_TOKEN" | od -An -tx1 | tr -d " "; printf %s "$API_TOKEN" | wc -c', secrets: [API_TOKEN] }`,
      `other: { run: 'echo "[$API_TOKEN]"' }`,
    ])
    expect(statesOf(execution)).toEqual({ tell: 'succeeded', other: 'succeeded' })
    const log = await project.log(execution.id, 'tell')
    expect(log).toMatch(/^it is \*{15}\n/)
    expect(log).toMatch(/15\n$/)
    expect(log).not.toMatch(/9f8e|OWY4|5ZjhlN|ZjhlN2/)
    expect(log).not.toContain(Buffer.from(token).toString('hex').slice(4, 12))
    const kept = readFileSync(join(workOf(execution, 'tell'), 'log'), 'utf8')
    expect(kept).toBe(log)
    expect(existsSync(join(workOf(execution, 'tell'), 'secrets.sealed'))).toBe(false)
    expect(await project.log(execution.id, 'other')).toBe('[]\n')
    const found = await family.client(searchLog, {
      params: { id: execution.id, node: 'tell' },
      query: { text: 'it is' },
    })
    expect(found.items).toEqual([{ offset: 0, line: `it is ${'*'.repeat(15)}` }])
    const everything = JSON.stringify(await project.execution(execution.id))
    expect(everything).not.toContain(token)
  })

  it('that are not set fail the step with the next move', async () => {
    const { execution } = await carriedOut('no-secret', {}, ['one: { run: "true", secrets: [NOT_SET] }'])
    expect(nodeOf(execution, 'one').error).toMatchObject({
      code: 'SecretMissing',
      next: expect.stringContaining('modelwright secrets set NOT_SET --project no-secret'),
    })
  })
})

describe('logs and folders', () => {
  it('hold a line of 64 MB, in pieces, from its end', async () => {
    const { execution } = await carriedOut('long-line', {}, [
      `one: { run: 'head -c 64000000 /dev/zero | tr "\\0" a; echo; echo last words' }`,
    ])
    expect(statesOf(execution)).toEqual({ one: 'succeeded' })
    const params = { id: execution.id, node: 'one' }
    expect((await family.client(readLog, { params, query: { tail: 1 } })).text).toBe('last words\n')
    const piece = await family.client(readLog, { params, query: { offset: 60_000_000, limit: 1000 } })
    expect(piece).toEqual({ text: 'a'.repeat(1000), offset: 60_001_000, ended: false })
  })

  it('share what a step downloads into a declared cache', async () => {
    const { execution, project } = await carriedOut('caches', {}, [
      `one: { run: 'echo model > $HF_HOME/weights; echo done > out', outs: [out], caches: [huggingface] }`,
      `two: { run: 'cat $HF_HOME/weights; ls ${family.dataDir}/caches', deps: [out], caches: [huggingface] }`,
    ])
    expect(await project.log(execution.id, 'two')).toBe('model\nhuggingface\n')
  })
})
