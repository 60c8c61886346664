import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { post, serveModel } from '../dialects/serving/serve-model.ts'

// A worker that is quick to write and, here, slow to load.
describe('a model served alone, with a spare', () => {
  let folder: string
  let log: string
  let served: Awaited<ReturnType<typeof serveModel>>
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'mw-spare-'))
    log = join(folder, 'ready.log')
    const worker = fileURLToPath(new URL('models/small-worker.ts', import.meta.url))
    const pythonPath = join(folder, 'python')
    writeFileSync(pythonPath, `#!/bin/sh\nexec ${process.execPath} ${worker} "$3"\n`, { mode: 0o755 })
    writeFileSync(join(folder, 'MLmodel'), 'flavors:\n  python_function:\n    loader_module: mlflow.sklearn\n')
    writeFileSync(join(folder, 'behaviour.json'), JSON.stringify({ loadMs: 1_000, log }))
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
  const loaded = () => (existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n').map(Number) : [])
  async function until(holds: () => boolean): Promise<void> {
    while (!holds()) await sleep(20)
  }
  let asked = 0
  /** So many questions at once, of which the first two are computed before any is answered: who answered. */
  async function computers(count: number): Promise<Set<number>> {
    const files = Array.from({ length: count }, () => join(folder, `go-${asked++}`))
    const answers = files.map((file) => ask({ until: file }))
    await until(() => files.filter((file) => existsSync(`${file}.begun`)).length >= 2)
    for (const file of files) writeFileSync(file, '')
    return new Set(await Promise.all(answers))
  }

  it('computes with as many processes as were asked for, and when one dies the spare is there before another could be loaded', async () => {
    await until(() => loaded().length === 3)
    const three = loaded()
    const computing = await computers(3)
    expect(computing.size, 'the spare is left alone').toBe(2)
    const [first] = computing
    process.kill(first!, 'SIGKILL')
    await until(() => !existsSync(`/proc/${first}`))
    // And until that is noticed here.
    await sleep(50)
    // None of them a process that had yet to be loaded.
    expect(await computers(2)).toEqual(new Set(three.filter((pid) => pid !== first)))
  })
})
