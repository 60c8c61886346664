// One Python environment with the real clients for all suites, made once per list of packages, outside the checkout.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

export function testPython(root) {
  if (process.env.MODELWRIGHT_TEST_PYTHON) return { path: process.env.MODELWRIGHT_TEST_PYTHON }
  const list = join(root, 'test', 'requirements.txt')
  const cache =
    process.env.MODELWRIGHT_TEST_CACHE ??
    join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'modelwright-test')
  const folder = join(cache, `venv-${createHash('sha256').update(readFileSync(list)).digest('hex').slice(0, 12)}`)
  const path = join(folder, 'bin', 'python')
  const uvCache = join(cache, 'uv')
  if (existsSync(join(folder, 'complete'))) return { path, cache: uvCache }
  mkdirSync(cache, { recursive: true })
  rmSync(folder, { recursive: true, force: true })
  console.log('Making the Python environment of the tests (once per test/requirements.txt) …')
  for (const [command, words] of [
    ['python3', ['-m', 'venv', folder]],
    [path, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '-r', list]],
  ]) {
    const { status, error } = spawnSync(command, words, { stdio: 'inherit' })
    if (status !== 0)
      return { reason: `"${command} ${words.join(' ')}" ended with ${error?.message ?? `status ${status}`}` }
  }
  writeFileSync(join(folder, 'complete'), '')
  return { path, cache: uvCache }
}
