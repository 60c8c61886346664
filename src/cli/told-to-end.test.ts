import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'

const folder = mkdtempSync(join(tmpdir(), 'modelwright-told-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const ended = (afterwards: string) => {
  const program = join(folder, 'program.ts')
  writeFileSync(
    program,
    `import writeFileAtomic from ${JSON.stringify(import.meta.resolve('write-file-atomic'))}
     import { whenToldToEnd } from ${JSON.stringify(import.meta.resolve('./told-to-end.ts'))}
     const busy = setInterval(() => {}, 1000)
     whenToldToEnd(() => setTimeout(() => { ${afterwards}; clearInterval(busy); process.exitCode = 7 }, 200))
     const writes = Array.from({ length: 20 }, (_, n) => writeFileAtomic(${JSON.stringify(folder)} + '/' + n, Buffer.alloc(1_000_000)))
     process.kill(process.pid, 'SIGTERM')
     await Promise.all(writes)`,
  )
  const { status, signal } = spawnSync(process.execPath, [program], { timeout: 60_000 })
  return { status, signal }
}

it('lets a process that is told to end in the midst of writing finish what it does', () => {
  expect(ended('')).toEqual({ status: 7, signal: null })
})

it('ends at once what is told a second time', () => {
  expect(ended("process.kill(process.pid, 'SIGTERM'); while (true);")).toEqual({
    status: null,
    signal: 'SIGTERM',
  })
})
