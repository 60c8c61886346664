import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { post, serveModel } from '../dialects/serving/serve-model.ts'

// A worker that is quick to write and, here, slow to load.
describe('a model served alone, with a spare', { timeout: 30_000 }, () => {
  let folder: string
  let served: Awaited<ReturnType<typeof serveModel>>
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'mw-spare-'))
    const worker = fileURLToPath(new URL('models/small-worker.ts', import.meta.url))
    const pythonPath = join(folder, 'python')
    writeFileSync(pythonPath, `#!/bin/sh\nexec ${process.execPath} ${worker} "$3"\n`, { mode: 0o755 })
    writeFileSync(join(folder, 'MLmodel'), 'flavors:\n  python_function:\n    loader_module: mlflow.sklearn\n')
    writeFileSync(join(folder, 'behaviour.json'), JSON.stringify({ loadMs: 3_000, log: join(folder, 'ready.log') }))
    served = await serveModel(folder, { pythonPath, workers: 2, spare: true })
  })
  afterAll(async () => {
    await served?.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  const ask = async (question: object) => {
    const answer = await post(
      `${served.url}/invocations`,
      { dataframe_records: [question] },
      { 'content-type': 'application/json' },
    )
    return answer.status === 200
      ? ((await answer.json()) as { predictions: { pid: number }[] }).predictions[0]!.pid
      : answer.status
  }
  const both = async () => new Set(await Promise.all([ask({ ms: 300 }), ask({ ms: 300 })]))
  const ready = () => readFileSync(join(folder, 'ready.log'), 'utf8').trim().split('\n').length

  it('computes with as many processes as were asked for, and when one dies the spare is there before another could be loaded', async () => {
    for (const end = Date.now() + 20_000; ready() < 3 && Date.now() < end; ) await sleep(20)
    const computing = new Set(await Promise.all([ask({ ms: 300 }), ask({ ms: 300 }), ask({ ms: 300 })]))
    expect(computing.size, 'the spare is left alone').toBe(2)
    const [first] = computing as Set<number>
    const killedAt = Date.now()
    process.kill(first!, 'SIGKILL')
    await sleep(50)
    const after = await both()
    // As long as a process takes to load.
    expect(Date.now() - killedAt).toBeLessThan(3_000)
    expect(after.size).toBe(2)
    expect(after).not.toContain(first)
  })
})
