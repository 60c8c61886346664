import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it, vi } from 'vitest'
import { readConfig } from './config.ts'
import { supervise } from './supervisor.ts'

const folder = mkdtempSync(join(tmpdir(), 'modelwright-supervisor-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

it('lets a gateway that was told to end give its last answers, though it takes no more questions', async () => {
  const program = join(folder, 'member.mjs')
  const config = readConfig({ dataDir: join(folder, 'data'), gatewayPatience: '3s' }, process.env)
  const [up, answered] = [join(config.runDir, 'gateway.json'), join(folder, 'answered')]
  // Told to end, it closes its door at once and is busy for longer than the supervisor is patient with silence.
  writeFileSync(
    program,
    `import { writeFileSync } from 'node:fs'
     import { createServer } from 'node:http'
     const isGateway = process.argv[2] === 'gateway'
     const server = createServer((_, response) => response.end()).listen(0, '127.0.0.1', () => {
       const facts = { pid: process.pid, url: 'http://127.0.0.1:' + server.address().port }
       if (isGateway) writeFileSync(${JSON.stringify(up)}, JSON.stringify(facts))
     })
     process.once('SIGTERM', () => {
       if (!isGateway) process.exit(0)
       server.close()
       server.closeAllConnections()
       setTimeout(() => { writeFileSync(${JSON.stringify(answered)}, ''); process.exit(0) }, 3000)
     })`,
  )
  const enough = new AbortController()
  const ended = supervise({ config, flags: {}, program, signal: enough.signal, say: () => undefined })
  await vi.waitFor(() => expect(existsSync(up)).toBe(true), 60_000)
  enough.abort()
  await ended
  expect(existsSync(answered)).toBe(true)
})
