import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { digestOf } from '../../src/kernel/digest.ts'
import { PythonModel, type WorkerLimits } from '../../src/serving/models/python-model.ts'

const script = fileURLToPath(new URL('models/small-worker.ts', import.meta.url))
const clock = {
  now: () => Date.now(),
  sleep: (ms: number, signal?: AbortSignal) => sleep(ms, undefined, signal ? { signal } : {}).catch(() => undefined),
}
const usual = { queueLength: 256, waitMs: 60_000, answerMs: 60_000, loadMs: 60_000 }

describe('the processes of a model', () => {
  let folder: string
  let model: PythonModel
  let ticking: NodeJS.Timeout
  const said: string[] = []
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'mw-processes-'))
    // `python -u SCRIPT FOLDER`, carried out by Node.
    writeFileSync(join(folder, 'python'), `#!/bin/sh\nshift\nexec ${process.execPath} "$@"\n`, { mode: 0o755 })
  })
  afterEach(async () => {
    clearInterval(ticking)
    await model.stop()
    rmSync(folder, { recursive: true, force: true })
    said.length = 0
  })

  async function open(limits: Partial<WorkerLimits> = {}, behaviour: object = {}): Promise<void> {
    writeFileSync(join(folder, 'behaviour.json'), JSON.stringify(behaviour))
    model = new PythonModel(
      {
        model: 'm',
        version: 1,
        digest: digestOf('m'),
        modelPath: folder,
        pythonPath: join(folder, 'python'),
        inputs: { columns: [], checks: [] },
      },
      { platform: '', signature: 'none', inputs: [], outputs: [], params: [] },
      {
        clock,
        log: { info: () => undefined, warn: (_, text) => said.push(text), error: () => undefined },
        limits: { ...usual, ...limits },
        script,
        folder,
        env: {},
        changed: () => undefined,
      },
    )
    model.start()
    ticking = setInterval(() => model.expire(Date.now()), 50)
    await until('it settles', () => model.state === 'ready' || model.state === 'failed')
  }
  async function until(what: string, holds: () => boolean): Promise<void> {
    for (const end = Date.now() + 180_000; !holds(); await sleep(10))
      if (Date.now() > end) throw new Error(`never: ${what}`)
  }
  const ready = (count: number) =>
    until(`${count} are ready`, () => model.workers.filter(({ state }) => state === 'ready').length === count)
  const ask = async (question: object): Promise<number | string> => {
    const answer = await model.score({ body: Buffer.from(JSON.stringify(question)), form: 'json', drop: [] })
    return answer.ok
      ? (JSON.parse(answer.body.toString()) as { predictions: { pid: number }[] }).predictions[0]!.pid
      : answer.kind
  }

  it('compute as many questions at once as there are workers; the next one goes to the first that is free', async () => {
    await open({ workers: 2 })
    await ready(2)
    const [one, other] = [join(folder, 'one'), join(folder, 'other')]
    const [first, second, third] = [ask({ until: one }), ask({ until: other }), ask({})]
    writeFileSync(one, '')
    // Both before the second is let go.
    const pid = await first
    expect(await third).toBe(pid)
    writeFileSync(other, '')
    expect(await second).not.toBe(pid)
  })

  it('keep a spare that takes over at once when one is killed: only what was computed there is lost, and a new spare begins', async () => {
    await open({ spare: true }, { loadMs: 300 })
    await ready(2)
    const first = (await ask({})) as number
    expect(await ask({}), 'the spare is left alone').toBe(first)
    const spare = model.workers.find(({ pid }) => pid !== first)!.pid
    const begun = ask({ until: join(folder, 'never') })
    const waiting = [ask({}), ask({}), ask({})]
    await sleep(100)
    process.kill(first, 'SIGKILL')
    // None waits for a process that has yet to be loaded.
    expect(await Promise.all(waiting)).toEqual([spare, spare, spare])
    expect(await begun).toBe('died')
    expect(model.state).toBe('ready')
    await ready(2)
    expect(model.workers.map(({ pid }) => pid)).not.toContain(first)
  })

  it('are replaced when one takes more memory than it may: first another is ready, then it goes, and no question fails', async () => {
    await open({ memoryBytes: 250_000_000 }, { loadMs: 300 })
    const large = (await ask({ megabytes: 400 })) as number
    const answers: (number | string)[] = []
    const clients = Array.from({ length: 3 }, async () => {
      do answers.push(await ask({ ms: 20 }))
      while (answers.at(-1) === large)
    })
    await Promise.all(clients)
    expect(answers.every((answer) => typeof answer === 'number')).toBe(true)
    await until('the large one is gone', () => model.workers.length === 1)
    expect(model.replacedForMemory).toBe(1)
    expect(said).toContain('model worker is replaced')
    await until('it is measured', () => model.workers[0]!.memoryBytes !== undefined)
    expect(model.workers[0]!.memoryBytes).toBeLessThan(250_000_000)
  })

  it('are replaced, too, when what one began takes more memory than both may, and that ends with it', async () => {
    await open({ memoryBytes: 300_000_000 }, { loadMs: 300 })
    const large = (await ask({ helperMegabytes: 350 })) as number
    const [helper] = readFileSync(`/proc/${large}/task/${large}/children`, 'utf8').trim().split(' ')
    await until('another one has taken its place', () => model.replacedForMemory === 1 && model.workers.length === 1)
    expect(await ask({})).not.toBe(large)
    await until('the helper is gone', () => !existsSync(`/proc/${helper}`))
  })

  it('say once what the machine does not keep from them, however many there are', async () => {
    await open({ workers: 3 }, { lacks: 'it may end processes of its user (no such space)' })
    await ready(3)
    expect(said).toEqual(["this machine does not keep a model's process apart"])
  })

  it('fail with both numbers where one takes too much as soon as it is loaded, instead of being replaced for ever', async () => {
    await open({ memoryBytes: 250_000_000 }, { loadMegabytes: 400 })
    expect(model.state).toBe('failed')
    expect(model.reason).toMatch(/^Its process takes \d+\.\d MB once it is loaded; serve\.memory allows 250\.0 MB\.$/)
    expect(await ask({})).toBe('unavailable')
  })

  it('become more and fewer as Git says, without a question lost', async () => {
    await open()
    const answers = Array.from({ length: 6 }, () => ask({ ms: 200 }))
    model.adjust({ ...usual, workers: 3, spare: true })
    await ready(4)
    model.adjust({ ...usual, workers: 1 })
    expect((await Promise.all(answers)).every((answer) => typeof answer === 'number')).toBe(true)
    await until('one is left', () => model.workers.length === 1)
    expect(typeof (await ask({}))).toBe('number')
  })
})
