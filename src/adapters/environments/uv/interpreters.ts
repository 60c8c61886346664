import { execFile } from 'node:child_process'
import { readdir } from 'node:fs/promises'
import { isAbsolute, join } from 'node:path'
import { compareVersions } from './python-range.ts'

export type Interpreter = { path: string; version: string }

const probe =
  'import sys; print(getattr(sys, "_base_executable", sys.executable)); print(".".join(map(str, sys.version_info[:3])))'

/** The Pythons of this machine, the default `python3` first, then the newest. Shims and broken ones answer nothing and drop out. */
export async function findInterpreters(env: Record<string, string>, given?: string[]): Promise<Interpreter[]> {
  const candidates = given ?? (await onPath(env.PATH ?? '/usr/local/bin:/usr/bin:/bin'))
  const probed = await Promise.all(candidates.map((path) => probeInterpreter(path, env)))
  const found = probed.filter((one) => one !== undefined)
  const [first, ...others] = found.filter((one, at) => found.findIndex((other) => other.path === one.path) === at)
  if (!first) return []
  return [first, ...others.sort((a, b) => compareVersions(b.version, a.version))]
}

async function onPath(path: string): Promise<string[]> {
  const found = ['python3']
  for (const folder of path.split(':').filter(isAbsolute)) {
    const names = await readdir(folder).catch(() => [])
    found.push(...names.filter((name) => /^python3(\.\d+)?$/.test(name)).map((name) => join(folder, name)))
  }
  return found
}

function probeInterpreter(path: string, env: Record<string, string>): Promise<Interpreter | undefined> {
  return new Promise((done) => {
    execFile(path, ['-I', '-c', probe], { env, timeout: 10_000 }, (error, stdout) => {
      const [executable, version] = stdout.trim().split('\n')
      done(error || !executable || !version ? undefined : { path: executable, version })
    })
  })
}
