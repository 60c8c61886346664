import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Family, processesOf } from '../journeys/support/family.ts'

const program = fileURLToPath(new URL('../../src/main.ts', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'modelwright-start-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

type Ended = { code: number | null; said: string }

/** A command that must end by itself, with everything that it said. */
function modelwright(...words: string[]): Promise<Ended> {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', program, ...words], {
    cwd: folder,
    env: { PATH: process.env.PATH },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 200_000,
  })
  let said = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk) => {
      said += String(chunk)
    })
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, said })))
}

describe('a start that cannot work ends with 1 and says why', () => {
  let taken: Server
  let port: number
  beforeAll(async () => {
    taken = createServer()
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', () => resolve()))
    port = (taken.address() as { port: number }).port
  })
  afterAll(() => taken.close())

  it.each<[what: string, words: (port: number) => string[], code: string, values: RegExp]>([
    ['the server, its port taken', (p) => ['server', '--port', `${p}`], 'PortTaken', /--port/],
    ['the gateway, its port taken', (p) => ['gateway', '--gateway-port', `${p}`], 'PortTaken', /--gateway-port/],
    ['up, one port taken', (p) => ['up', '--port', '0', '--gateway-port', `${p}`], 'PortTaken', /--gateway-port/],
    ['an address that is none', () => ['server', '--host', '999.1.1.1', '--port', '0'], 'BadRequest', /999\.1\.1\.1/],
    ['a port that is none', () => ['up', '--port', '70000'], 'BadRequest', /--port .*70000/],
    ['a log level that is none', () => ['server', '--log-level', 'loud'], 'BadRequest', /--log-level .*loud/],
  ])('%s', async (what, words, code, values) => {
    const { code: status, said } = await modelwright('--data-dir', join(folder, what), ...words(port))
    expect(status, said).toBe(1)
    expect(said).toContain(code)
    expect(said).toMatch(values)
    expect(said).not.toMatch(/^\s+at /m)
    expect(await processesOf(join(folder, what))).toEqual([])
  })

  it.each(['server', 'gateway', 'up'])('%s on a data folder that is a file', async (command) => {
    const file = join(folder, 'file')
    writeFileSync(file, '')
    const { code, said } = await modelwright('--data-dir', file, command, '--port', '0', '--gateway-port', '0')
    expect(code, said).toBe(1)
    expect(said).toMatch(/DataFolderUnusable: .*file.*(ENOTDIR|EEXIST)/)
    expect(said).toContain('--data-dir')
  })
})

describe('a second one on the same data folder', () => {
  let family: Family
  beforeAll(async () => {
    family = await Family.start()
  })
  afterAll(() => family?.stop())

  it.each(['server', 'gateway', 'up'])('%s is refused and the first goes on', async (command) => {
    const words = ['--data-dir', family.dataDir, command, '--port', '0', '--gateway-port', '0']
    const { code, said } = await modelwright(...words)
    expect(code, said).toBe(1)
    expect(said).toMatch(/DataFolderBusy: .*modelwright down/s)
    expect(said).not.toContain('Modelwright is up')
    expect((await fetch(`${family.url}/health`)).ok).toBe(true)
    expect((await fetch(`${family.gatewayUrl}/health`)).ok).toBe(true)
  })
})

const disk = mkdtempSync(join(tmpdir(), 'modelwright-small-'))
const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', disk]).status === 0
if (!mounted) console.warn('A data folder of 1 MB: skipped, a tmpfs cannot be mounted here')

describe.skipIf(!mounted)('a data folder on a disk of 1 MB', () => {
  afterAll(() => {
    spawnSync('umount', ['--lazy', disk])
    rmSync(disk, { recursive: true, force: true })
  })

  it('is told as a full disk by server and up, also when what is left of the first start fills it', async () => {
    for (const command of ['server', 'up', 'server']) {
      const words = ['--data-dir', join(disk, 'data'), command, '--port', '0', '--gateway-port', '0']
      const { code, said } = await modelwright(...words)
      expect(code, said).toBe(1)
      expect(said).toMatch(/StorageFull: .*full/)
      expect(said).toMatch(/Free (some )?space/)
    }
    expect(await processesOf(disk)).toEqual([])
  })

  it('never stops a process because its log has no room', async () => {
    const log = openSync(join(disk, 'log'), 'a')
    try {
      for (;;) writeSync(log, Buffer.alloc(1000))
    } catch {
      // Full.
    }
    const script = join(folder, 'logs.ts')
    const source = fileURLToPath(new URL('../../src/compose/log.ts', import.meta.url))
    writeFileSync(
      script,
      `import { writeFileSync } from 'node:fs'
       import { createLog } from ${JSON.stringify(source)}
       const log = createLog('server', { logLevel: 'info' })
       for (let line = 0; line < 1000; line++) log.error({ line, text: 'x'.repeat(1000) }, 'a pass failed')
       setTimeout(() => { log.error('again'); writeFileSync(${JSON.stringify(join(folder, 'lived'))}, '') }, 50)`,
    )
    const { status } = spawnSync(process.execPath, [script], { stdio: ['ignore', log, 'inherit'], timeout: 200_000 })
    expect(status).toBe(0)
    expect(existsSync(join(folder, 'lived'))).toBe(true)
  })
})
