// What needs no run: format and lint, types, import rules, unused code, generated files. All are told, not only the first.
import { spawnSync } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const bin = (name) => join(root, 'node_modules', '.bin', name)

export const checks = [
  ['format and lint', bin('biome'), ['check', '.']],
  ['types', join(root, 'node_modules/typescript-7/bin/tsc'), ['-p', '.', '--noEmit']],
  ["types of the pages' tests", join(root, 'node_modules/typescript-7/bin/tsc'), ['-p', 'test/ui', '--noEmit']],
  ['types of the pages', join(root, 'node_modules/typescript-7/bin/tsc'), ['-p', 'ui', '--noEmit']],
  ['import rules', bin('depcruise'), ['src', '--config', '.dependency-cruiser.cjs']],
  ['unused code', bin('knip'), []],
  ['generated files', process.execPath, ['--disable-warning=ExperimentalWarning', 'tools/generate.ts', '--check']],
]

export function runChecks() {
  const failed = []
  for (const [name, command, words] of checks) {
    const started = Date.now()
    const { status, stdout, stderr } = spawnSync(command, words, { cwd: root, encoding: 'utf8', maxBuffer: 64e6 })
    console.log(`${status === 0 ? 'ok    ' : 'FAILED'} ${name} (${((Date.now() - started) / 1000).toFixed(1)} s)`)
    if (status !== 0) {
      failed.push(name)
      console.log(`${stdout}${stderr}`.trimEnd())
    }
  }
  return { passed: checks.length - failed.length, failed: failed.length }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exitCode = runChecks().failed === 0 ? 0 : 1
