import { spawnSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { linesOf, pidOf } from '../crash/support/kill.ts'
import { eventually } from '../journeys/support/eventually.ts'
import { Family } from '../journeys/support/family.ts'
import { Project, statesOf } from '../journeys/support/project.ts'
import { json, sendRaw } from './raw.ts'

const disk = mkdtempSync(join(tmpdir(), 'modelwright-disk-'))
const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=40m', 'tmpfs', disk]).status === 0
if (!mounted) console.warn('A disk that fills up: skipped, a tmpfs cannot be mounted here')

describe.skipIf(!mounted)('a disk that fills up while everything runs', () => {
  const temporary = process.env.TMPDIR
  let family: Family
  let project: Project
  beforeAll(async () => {
    process.env.TMPDIR = disk
    family = await Family.start(['--slots', '2']).finally(() => {
      if (temporary === undefined) delete process.env.TMPDIR
      else process.env.TMPDIR = temporary
    })
    project = await Project.connect(family, 'cramped', {
      'modelwright.yaml': `project: cramped
steps:
  waits: { run: 'echo $$ >> ${seen}; while [ ! -e ${go} ]; do sleep 0.05; done; head -c 300000 /dev/urandom > out || echo no room; echo said', outs: [out] }
  after: { run: cp out copy, deps: [out], outs: [copy] }
`,
    })
  })
  afterAll(async () => {
    await family?.stop()
    spawnSync('umount', ['--lazy', disk])
    rmSync(disk, { recursive: true, force: true })
    rmSync(elsewhere, { recursive: true, force: true })
  })

  const elsewhere = mkdtempSync(join(tmpdir(), 'modelwright-witness-'))
  const [seen, go] = [join(elsewhere, 'seen'), join(elsewhere, 'go')]
  const filler = join(disk, 'filler')
  const fill = () => {
    const file = openSync(filler, 'a')
    for (let block = 1_048_576; block >= 1; block = Math.floor(block / 2))
      try {
        for (;;) if (writeSync(file, Buffer.alloc(block)) < block) break
      } catch {
        // No room for a block of that size.
      }
    closeSync(file)
  }

  it('refuses what it cannot keep, says why, keeps serving what it has, and goes on when there is room', async () => {
    const first = await project.push('one')
    const { id } = await project.started(first.commit)
    await project.eventually('the step runs', async () => linesOf(seen).length === 1)
    const later = await project.commit('two', { 'README.md': 'x'.repeat(100_000) })
    const server = pidOf(family, 'server')
    const auth = { authorization: `Bearer ${family.token}` }
    fill()

    const big = Buffer.alloc(2_000_000, 'x')
    const upload = await sendRaw(family.url, {
      method: 'PUT',
      path: '/api/2.0/mlflow-artifacts/artifacts/0/run/artifacts/big.bin',
      headers: auth,
      body: big,
    })
    expect(upload.status, upload.body).toBe(503)
    expect(upload.body).toMatch(/disk.*full/)

    const answers = []
    for (let n = 0; n < 200; n++) {
      const made = await sendRaw(family.url, {
        path: '/api/2.0/mlflow/experiments/create',
        ...json({ name: `experiment ${n} ${'x'.repeat(400)}` }, auth),
      })
      answers.push(made)
      if (made.status !== 200) break
    }
    expect(answers.at(-1)!.status, answers.at(-1)!.body + (await family.explain())).toBe(503)
    expect(answers.at(-1)!.body).toMatch(/disk is full/)

    // What was refused may have left some room again.
    fill()
    const push = await project.tryPush()
    expect(push.code, push.output).toBe(1)
    expect(push.output).toMatch(/full|No space left/)
    expect(await project.remoteHead()).toBe(first.commit)

    expect((await sendRaw(family.url, { path: '/api/v1/projects' })).body).toContain('cramped')
    spawnSync('touch', [go])
    await eventually('the step has ended', {
      look: async () => (await project.log(id, 'waits').catch(() => '')) !== undefined,
      explain: () => family.explain(),
    })
    expect(pidOf(family, 'server')).toBe(server)

    rmSync(filler)
    const execution = await project.eventually('the execution ends once there is room', async () => {
      const now = await project.execution(id)
      return ['succeeded', 'failed'].includes(now.state) && now
    })
    expect(linesOf(seen)).toHaveLength(1)
    expect(['succeeded', 'failed']).toContain(execution.state)
    if (execution.state === 'succeeded') expect(statesOf(execution)).toEqual({ waits: 'succeeded', after: 'succeeded' })
    const again = await project.tryPush()
    expect(again.code, again.output).toBe(0)
    expect(await project.remoteHead()).toBe(later)
    await project.ended(later)
    expect(pidOf(family, 'server')).toBe(server)
  })
})
