// `npm run torture -- NAME --minutes 30 --seed 1`: length and seed go to the files of test/torture as MINUTES and SEED.
import { spawnSync } from 'node:child_process'

const args = process.argv.slice(2)
const env = { ...process.env }
for (const name of ['minutes', 'seed']) {
  const at = args.indexOf(`--${name}`)
  if (at < 0) continue
  env[name.toUpperCase()] = args[at + 1]
  args.splice(at, 2)
}
const words = ['node_modules/vitest/vitest.mjs', 'run', '--config', 'test/torture/vitest.config.ts', ...args]
process.exitCode = spawnSync(process.execPath, words, { stdio: 'inherit', env }).status ?? 1
