// `npm test`: checks, then all suites; the last line counts both truly.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runChecks } from './check.mjs'
import { testPython } from './test-python.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const built = spawnSync(process.execPath, ['tools/build.mjs'], { cwd: root, stdio: 'inherit' }).status === 0
const counted = runChecks()
const python = testPython(root)
if (python.reason) console.log(`Python suites are skipped: ${python.reason}`)

const folder = mkdtempSync(join(tmpdir(), 'modelwright-test-'))
const report = join(folder, 'report.json')
const vitest = spawnSync(
  process.execPath,
  [
    join(root, 'node_modules/vitest/vitest.mjs'),
    'run',
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${report}`,
  ],
  {
    cwd: root,
    stdio: 'inherit',
    env: {
      ...process.env,
      ...(python.path ? { MODELWRIGHT_TEST_PYTHON: python.path } : {}),
      ...(python.cache ? { MODELWRIGHT_UV_CACHE_DIR: python.cache } : {}),
    },
  },
)
const results = existsSync(report) ? JSON.parse(readFileSync(report, 'utf8')) : undefined
rmSync(folder, { recursive: true, force: true })

// A suite that could not even be loaded has no test to count: it counts as one that failed.
const brokenSuites = results
  ? results.testResults.filter((suite) => suite.status === 'failed' && suite.assertionResults.length === 0).length
  : 1
const passed = counted.passed + (built ? 1 : 0) + (results?.numPassedTests ?? 0)
const failed = counted.failed + (built ? 0 : 1) + (results?.numFailedTests ?? 0) + brokenSuites
const skipped = results?.numPendingTests ?? 0
console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`)
process.exitCode = failed === 0 && vitest.status === 0 ? 0 : 1
