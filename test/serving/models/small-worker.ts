// Stands in for python/worker in tests of what carries it: small-worker.ts FOLDER. What a question's body, or its first record, says is
// done: {"ms": 50} answers after 50 ms, {"until": PATH} once that file is there (PATH.begun says that it waits for it), {"megabytes": 100}
// first takes so much memory and keeps it,
// {"helperMegabytes": 100} begins a process that does. Each answer says which process gave it and what it was given.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { encodeFrame, FrameReader } from '../../../src/serving/models/frames.ts'

type Asked = { ms?: number; until?: string; megabytes?: number; helperMegabytes?: number; dataframe_records?: Asked[] }

const kept: Buffer[] = []
const say = (header: Record<string, unknown>, body = Buffer.alloc(0)) => process.stdout.write(encodeFrame(header, body))
const take = (megabytes: number) => kept.push(Buffer.alloc(megabytes * 1_000_000, 1))
async function beginHelper(megabytes: number): Promise<void> {
  const program = `const kept = Buffer.alloc(${megabytes} * 1_000_000, 1); console.log(kept.length); setInterval(() => kept, 1_000)`
  const helper = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(helper.stdout, 'data')
}

const frames = new FrameReader(async ({ header, body }) => {
  const given = JSON.parse(body.toString()) as Asked
  const { ms = 0, until, megabytes = 0, helperMegabytes = 0 } = given.dataframe_records?.[0] ?? given
  if (megabytes > 0) take(megabytes)
  if (helperMegabytes > 0) await beginHelper(helperMegabytes)
  await sleep(ms)
  if (until) writeFileSync(`${until}.begun`, '')
  while (until && !existsSync(until)) await sleep(5)
  const predictions = [{ pid: process.pid, given }]
  say({ op: 'answer', id: header.id, ok: true }, Buffer.from(JSON.stringify({ predictions })))
})
process.stdin.on('data', (chunk: Buffer) => frames.push(chunk))
process.stdin.on('end', () => process.exit(0))

const behaviour = join(process.argv[2]!, 'behaviour.json')
const {
  loadMs = 0,
  loadMegabytes = 0,
  lacks,
  log,
} = (existsSync(behaviour) ? JSON.parse(readFileSync(behaviour, 'utf8')) : {}) as {
  loadMs?: number
  loadMegabytes?: number
  lacks?: string
  log?: string
}
if (lacks) say({ op: 'apart', lacks })
if (loadMegabytes > 0) take(loadMegabytes)
await sleep(loadMs)
say({ op: 'ready', warmed: true })
if (log) appendFileSync(log, `${process.pid}\n`)
