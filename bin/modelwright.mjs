#!/usr/bin/env node
// Runs the program on the Node that it was made for: this one if it is new enough, else the one that npm installed beside it.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const main = [join(root, 'dist', 'main.js'), join(root, 'src', 'main.ts')].find((path) => existsSync(path))
if (Number(process.versions.node.split('.')[0]) >= 24) {
  process.argv[1] = main
  await import(main)
} else {
  const node = join(root, 'node_modules', '.bin', 'node')
  const { status, signal } = spawnSync(
    node,
    ['--disable-warning=ExperimentalWarning', main, ...process.argv.slice(2)],
    { stdio: 'inherit' },
  )
  process.exitCode = signal ? 1 : (status ?? 1)
}
