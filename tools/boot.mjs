// The one entry of npm's scripts, plain JavaScript for whatever Node ≥ 20 there is: brings what is missing, then goes on under Node 24.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const node = join(root, 'node_modules', '.bin', 'node')
const [task, ...args] = process.argv.slice(2)

const run = (command, words, options = {}) => {
  const { status, signal, error } = spawnSync(command, words, { cwd: root, stdio: 'inherit', ...options })
  if (error) throw error
  return signal ? 1 : (status ?? 1)
}

const must = (command, words, options) => {
  const code = run(command, words, options)
  if (code !== 0) process.exit(code)
}

/**
 * When the lock has changed since the last time, or nothing was installed yet. Not `npm ci`: it refuses a lock that lacks other
 * platforms' optional packages, and mirrors of the registry often have only some platforms.
 */
function install() {
  const lock = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex')
  const stamp = join(root, 'node_modules', '.modelwright-lock')
  if (existsSync(node) && existsSync(stamp) && readFileSync(stamp, 'utf8') === lock) return
  console.log('Installing packages (once per lock file) …')
  must('npm', ['install', '--no-save', '--no-fund', '--no-audit', '--loglevel', 'error'])
  writeFileSync(stamp, lock)
}

const under24 = (script, words = args, options = {}) =>
  run(node, ['--disable-warning=ExperimentalWarning', join(root, script), ...words], {
    ...options,
    env: { ...process.env, PATH: `${dirname(node)}:${process.env.PATH}` },
  })

/** Whether any source is newer than the bundle. */
function isBuilt() {
  const built = statSync(join(root, 'dist', 'main.js'), { throwIfNoEntry: false })
  return built !== undefined && under24('tools/newer.mjs', [String(built.mtimeMs)]) === 0
}

const tasks = {
  start() {
    install()
    if (!isBuilt() && under24('tools/build.mjs', []) !== 0) return 1
    return under24('dist/main.js', ['demo', ...args])
  },
  build() {
    install()
    return under24('tools/build.mjs')
  },
  test() {
    install()
    return under24('tools/test.mjs')
  },
  'test:real'() {
    install()
    return under24('tools/test-real.mjs')
  },
  check() {
    install()
    return under24('tools/check.mjs')
  },
  torture() {
    install()
    return under24('tools/torture.mjs')
  },
  soak() {
    install()
    return under24('tools/soak.mjs')
  },
  differential() {
    install()
    return under24('tools/differential.mjs')
  },
  bench() {
    install()
    if (under24('tools/build.mjs', []) !== 0) return 1
    return under24('bench/run.ts')
  },
  dev() {
    install()
    return run(node, [
      '--disable-warning=ExperimentalWarning',
      '--watch-path',
      join(root, 'src'),
      join(root, 'src', 'main.ts'),
      'up',
      ...args,
    ])
  },
}

// Ctrl-C reaches the child as well: what it leaves behind is for it to clear up, and this waits until it has.
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => {})

if (!Object.hasOwn(tasks, task)) {
  console.error(`Unknown task ${task}; there are: ${Object.keys(tasks).join(', ')}.`)
  process.exit(2)
}
process.exitCode = tasks[task]()
