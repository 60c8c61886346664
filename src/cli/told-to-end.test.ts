import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'

const folder = mkdtempSync(join(tmpdir(), 'modelwright-told-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** What becomes of a program that is told to end at once, and told it again by what it does `afterwards`. */
function ended({ before = '', afterwards = '' }: { before?: string; afterwards?: string }) {
  const program = join(folder, 'program.ts')
  writeFileSync(
    program,
    `import { whenToldToEnd } from ${JSON.stringify(import.meta.resolve('./told-to-end.ts'))}
     const busy = setInterval(() => {}, 1000)
     whenToldToEnd(() => setTimeout(() => { ${afterwards}; clearInterval(busy); process.exitCode = 7 }, 200))
     ${before}
     process.kill(process.pid, 'SIGTERM')`,
  )
  const { status, signal } = spawnSync(process.execPath, [program], { timeout: 200_000, killSignal: 'SIGKILL' })
  return { status, signal }
}

it('lets a process that is told to end finish what it does, also beside packages that end it where nobody else listens', () => {
  // As signal-exit does, which many packages bring.
  const before = `process.on('SIGTERM', function alone() {
    if (process.listenerCount('SIGTERM') > 1) return
    process.off('SIGTERM', alone)
    process.kill(process.pid, 'SIGTERM')
  })`
  expect(ended({ before })).toEqual({ status: 7, signal: null })
})

it('ends at once what is told a second time', () => {
  const afterwards = "process.kill(process.pid, 'SIGTERM'); while (true);"
  expect(ended({ afterwards })).toEqual({ status: null, signal: 'SIGTERM' })
})
