import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { runVariable } from '../../support/postgres-server.ts'

/** What a data folder has of environments and of what makes them; records in it name folders beside them, so that it may lie anywhere. */
const parts = ['envs', 'tools']

/**
 * The environment that most projects of the tests share takes most of a minute to build: the first family of a run builds it, and its
 * bytes are linked into the data folders of the others. Gone with the run (postgres-server.ts is its set-up).
 */
const sharedEnvironment = (): string => join(tmpdir(), `modelwright-environment-${process.env[runVariable]}`)

/** `build` makes it in the data folder given, where no other family of this run has. */
export async function withSharedEnvironment(dataDir: string, build: () => Promise<void>): Promise<void> {
  const shared = sharedEnvironment()
  while (!existsSync(shared)) {
    if (await isMine(`${shared}.building`)) return buildFor(shared, dataDir, build)
    await sleep(200)
  }
  await link(shared, dataDir)
}

async function buildFor(shared: string, dataDir: string, build: () => Promise<void>): Promise<void> {
  try {
    await build()
    await link(dataDir, `${shared}.building`)
    await rename(`${shared}.building`, shared)
  } finally {
    // Where that failed the next family tries.
    await rm(`${shared}.building`, { recursive: true, force: true })
  }
}

const isMine = (folder: string): Promise<boolean> =>
  mkdir(folder).then(
    () => true,
    () => false,
  )

async function link(from: string, to: string): Promise<void> {
  for (const part of parts) {
    await mkdir(join(to, part), { recursive: true })
    await promisify(execFile)('cp', ['-al', join(from, part, '.'), join(to, part)])
  }
}
