import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Bench, median } from './support/bench.ts'
import { remove, root, type Started, start } from './support/family.ts'

const steps = 50

/**
 * A chain of 50 steps whose work is next to nothing, first run and nothing changed, beside `dvc repro` on the same chain, both in turn.
 * Each step makes one small file from the one before it: `dvc` refuses a step whose output is missing.
 */
export const bench: Bench = async ({ runs, say }) => {
  const dvc = dvcProgram(say)
  const times = { ours: [] as number[], oursAgain: [] as number[], dvc: [] as number[], dvcAgain: [] as number[] }
  for (let run = 1; run <= runs; run++) {
    say(`run ${run} of ${runs}`)
    const server = await start('server')
    const ours = await ourTimes(server)
    times.ours.push(ours.first)
    times.oursAgain.push(ours.again)
    await server.end()
    remove(server.dataDir)
    if (!dvc) continue
    const theirs = dvcTimes(dvc)
    times.dvc.push(theirs.first)
    times.dvcAgain.push(theirs.again)
  }
  const first = median(times.ours)
  const again = median(times.oursAgain)
  return [
    { what: 'ours: overhead a step, chain of 50', value: first / steps, unit: 'ms', aim: '≤ 50, better 20' },
    { what: 'ours: nothing changed, all 50', value: again, unit: 'ms', aim: '≤ 300' },
    ...(dvc
      ? [
          { what: 'dvc repro: a step', value: median(times.dvc) / steps, unit: 'ms' },
          { what: 'dvc repro: nothing changed, all 50', value: median(times.dvcAgain), unit: 'ms' },
          { what: 'ratio, first run', value: median(times.dvc) / first, unit: '×' },
          { what: 'ratio, nothing changed', value: median(times.dvcAgain) / again, unit: '×' },
        ]
      : []),
  ]
}

/** From the execution's record, created to ended: what the push itself costs is Git's. */
async function ourTimes(server: Started): Promise<{ first: number; again: number }> {
  const folder = mkdtempSync(join(tmpdir(), 'mw-chain-'))
  const git = (...words: string[]) =>
    execFileSync('git', ['-c', 'user.name=bench', '-c', 'user.email=bench@localhost', ...words], {
      cwd: folder,
      stdio: 'pipe',
    })
  const authorization = { authorization: `Bearer ${server.token}`, 'content-type': 'application/json' }
  await fetch(`${server.url}/api/v1/projects`, { method: 'POST', headers: authorization, body: '{"name":"chain"}' })
  git('init', '-q', '-b', 'main')
  writeFileSync(join(folder, 'seed.txt'), 'seed\n')
  writeFileSync(
    join(folder, 'modelwright.yaml'),
    `project: chain\nsteps:\n${chain((i, before) => `  s${i}: { run: cp ${before} o${i}.txt, deps: [${before}], outs: [o${i}.txt] }\n`)}`,
  )
  const remote = server.url.replace('://', `://owner:${server.token}@`)
  const push = async (message: string) => {
    git('add', '-A')
    git('commit', '-qm', message)
    git('push', '-q', `${remote}/git/chain.git`, 'main')
    return executionTime(server, git('rev-parse', 'HEAD').toString().trim())
  }
  const first = await push('first')
  writeFileSync(join(folder, 'README.md'), 'nothing that a step takes\n')
  const again = await push('second')
  remove(folder)
  return { first, again }
}

async function executionTime(server: Started, commit: string): Promise<number> {
  for (;;) {
    const { items } = (await (await fetch(`${server.url}/api/v1/executions?commit=${commit}`)).json()) as {
      items: { state: string; createdAt: number; endedAt?: number }[]
    }
    const [execution] = items
    if (execution?.state === 'failed') throw new Error('the chain failed')
    if (execution?.endedAt) return execution.endedAt - execution.createdAt
    await sleep(20)
  }
}

function dvcTimes(dvc: string): { first: number; again: number } {
  const folder = mkdtempSync(join(tmpdir(), 'mw-dvc-'))
  const env = { ...process.env, DVC_NO_ANALYTICS: '1' }
  execFileSync('git', ['init', '-q'], { cwd: folder })
  execFileSync(dvc, ['init', '-q'], { cwd: folder, env })
  writeFileSync(join(folder, 'seed.txt'), 'seed\n')
  writeFileSync(
    join(folder, 'dvc.yaml'),
    `stages:\n${chain((i, before) => `  s${i}: { cmd: cp ${before} o${i}.txt, deps: [${before}], outs: [o${i}.txt] }\n`)}`,
  )
  const repro = () => {
    const began = performance.now()
    execFileSync(dvc, ['repro', '-q'], { cwd: folder, env, stdio: 'pipe' })
    return performance.now() - began
  }
  const times = { first: repro(), again: repro() }
  remove(folder)
  return times
}

const chain = (line: (i: number, before: string) => string): string =>
  Array.from({ length: steps }, (_, i) => line(i, i === 0 ? 'seed.txt' : `o${i - 1}.txt`)).join('')

/** DVC in an environment of its own, made once. */
function dvcProgram(say: (line: string) => void): string | undefined {
  const folder = join(root, 'node_modules', '.cache', 'bench-dvc')
  const dvc = join(folder, 'bin', 'dvc')
  if (existsSync(dvc)) return dvc
  say('installing dvc …')
  mkdirSync(folder, { recursive: true })
  const made =
    spawnSync('python3', ['-m', 'venv', folder]).status === 0 &&
    spawnSync(join(folder, 'bin', 'pip'), ['install', '-q', 'dvc'], { stdio: 'inherit' }).status === 0
  if (!made) say('dvc could not be installed: measured without it')
  return made ? dvc : undefined
}
