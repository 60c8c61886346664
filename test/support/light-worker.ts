// A model worker without Python: speaks the frames of python/worker/modelwright_worker.py, so that tests of swaps load and answer in
// milliseconds. What it is comes from light.json in the model's folder, if there is one. Each computation is a line of `log`: the ids of the
// request's rows, and the answer; each start is a line of `starts`. It is not loaded, and does not answer, before the file is there that
// `loadAfter` and `answerAfter` name.
import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

export type Light = {
  answer: string
  loadMs?: number
  loadAfter?: string
  answerMs?: number
  answerAfter?: string
  megabytes?: number
  fails?: boolean
  dies?: boolean
  log?: string
  starts?: string
}

const folder = process.argv.at(-1)!
const path = join(folder, 'light.json')
const light: Light = existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as Light) : { answer: folder }

function write(header: object, body = Buffer.alloc(0)): void {
  const head = Buffer.from(JSON.stringify(header))
  const lengths = Buffer.alloc(8)
  lengths.writeUInt32BE(4 + head.length + body.length, 0)
  lengths.writeUInt32BE(head.length, 4)
  process.stdout.write(Buffer.concat([lengths, head, body]))
}

async function thereIs(path: string | undefined): Promise<void> {
  while (path !== undefined && !existsSync(path)) await sleep(5)
}

async function answer({ id }: { id: number }, body: Buffer): Promise<void> {
  const { dataframe_records: rows = [] } = JSON.parse(body.toString()) as { dataframe_records?: { id?: string }[] }
  if (light.log) appendFileSync(light.log, rows.map((row) => `${row.id} ${light.answer}\n`).join(''))
  if (light.answerMs) await sleep(light.answerMs)
  await thereIs(light.answerAfter)
  write({ op: 'answer', id, ok: true }, Buffer.from(JSON.stringify({ predictions: rows.map(() => light.answer) })))
}

let input = Buffer.alloc(0)
let queue = Promise.resolve()
process.stdin.on('data', (chunk: Buffer) => {
  input = Buffer.concat([input, chunk])
  while (input.length >= 8 && input.length >= 4 + input.readUInt32BE(0)) {
    const [total, head] = [input.readUInt32BE(0), input.readUInt32BE(4)]
    const header = JSON.parse(input.subarray(8, 8 + head).toString()) as { id: number }
    const body = Buffer.from(input.subarray(8 + head, 4 + total))
    input = input.subarray(4 + total)
    queue = queue.then(() => answer(header, body))
  }
})
process.stdin.on('end', () => process.exit(0))

// Random, so that it takes as much memory as it says.
const ballast = Buffer.alloc((light.megabytes ?? 0) * 1_000_000, 7)
if (light.starts) appendFileSync(light.starts, `${process.pid}\n`)
await sleep(light.loadMs ?? 0)
await thereIs(light.loadAfter)
if (light.dies) process.exit(9)
if (light.fails) {
  write({ op: 'failed', stage: 'load', message: `it does not load (${ballast.length} bytes)` })
  process.exit(3)
}
write({ op: 'ready', warmed: true, mlflow: '0' })
