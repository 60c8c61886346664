// biome-ignore-all lint/suspicious/noTemplateCurlyInString: ${matrix.x} is a word of modelwright.yaml
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Bench, median } from './support/bench.ts'
import { remove, root, type Started, start } from './support/family.ts'

const steps = 50
const cores = availableParallelism()
const napSeconds = 0.2
const idealWideMs = (steps * napSeconds * 1000) / cores
const planned = 10_000

type Times = { first: number; again: number; wide: number }
type Peer = { name: string; times: () => Times }

/**
 * A chain of 50 steps whose work is next to nothing, first run and nothing changed; 50 side by side that each rest for 0.2 s, on as many cores as there are;
 * beside DVC, Snakemake and make on the same, all in turn. Each step of the chain makes one small file from the one before it: the peers
 * know a chain only by its files. DVC has no way to run stages side by side. Then the plan of 10,000 steps.
 */
export const bench: Bench = async ({ runs, say }) => {
  const peers = peersHere(say)
  const ours: Times[] = []
  const plans: number[] = []
  const theirs = new Map(peers.map((peer) => [peer, [] as Times[]]))
  for (let run = 1; run <= runs; run++) {
    say(`run ${run} of ${runs}`)
    const server = await start('server')
    ours.push(await ourTimes(server))
    plans.push(await planTime(server))
    await server.end()
    remove(server.dataDir)
    for (const peer of peers) theirs.get(peer)!.push(peer.times())
  }
  const of = (times: readonly Times[], what: keyof Times) => median(times.map((one) => one[what]))
  return [
    {
      what: 'ours: overhead a step, chain of 50',
      value: of(ours, 'first') / steps,
      unit: 'ms',
      aim: '≤ 50, better 20',
    },
    { what: 'ours: nothing changed, all 50', value: of(ours, 'again'), unit: 'ms', aim: '≤ 200' },
    {
      what: `ours: 50 wide on ${cores} cores, of the ideal`,
      value: of(ours, 'wide') / idealWideMs,
      unit: '×',
      aim: 'near 1',
    },
    { what: 'ours: a plan of 10,000 steps', value: median(plans), unit: 'ms', aim: '≤ 1,000' },
    ...peers.flatMap((peer) => {
      const times = theirs.get(peer)!
      return [
        { what: `${peer.name}: a step`, value: of(times, 'first') / steps, unit: 'ms' },
        { what: `${peer.name}: nothing changed, all 50`, value: of(times, 'again'), unit: 'ms' },
        { what: `${peer.name}: 50 wide, of the ideal`, value: of(times, 'wide') / idealWideMs, unit: '×' },
        { what: `ratio to ${peer.name}, first run`, value: of(times, 'first') / of(ours, 'first'), unit: '×' },
        { what: `ratio to ${peer.name}, nothing changed`, value: of(times, 'again') / of(ours, 'again'), unit: '×' },
      ]
    }),
  ]
}

/** From the executions' records, created to ended: what the push itself costs is Git's. */
async function ourTimes(server: Started): Promise<Times> {
  const project = await connect(server, 'chain')
  writeFileSync(join(project.folder, 'seed.txt'), 'seed\n')
  project.write(
    chain((i, before) => `  s${i}: { run: cp ${before} o${i}.txt, deps: [${before}], outs: [o${i}.txt] }\n`),
  )
  const first = await executionTime(server, project.push('first'))
  writeFileSync(join(project.folder, 'README.md'), 'nothing that a step takes\n')
  const again = await executionTime(server, project.push('second'))
  project.write(wide((i) => `  w${i}: { run: sleep ${napSeconds}; touch w${i}, outs: [w${i}] }\n`))
  const beside = await executionTime(server, project.push('third'))
  remove(project.folder)
  return { first, again, wide: beside }
}

/** The push itself runs nothing of it: its condition holds only for the plan that is asked for. */
async function planTime(server: Started): Promise<number> {
  const project = await connect(server, 'large')
  const hundred = Array.from({ length: 100 }, (_, i) => i).join(', ')
  const run = 'run: "true ${matrix.a} ${matrix.b}", outs: ["o/${matrix.a}/${matrix.b}"], when: "trigger == run"'
  project.write(`  a: { ${run}, matrix: { a: [${hundred}], b: [${hundred}] } }\n`)
  const commit = project.push('large')
  await executionTime(server, commit)
  const began = performance.now()
  const answer = await fetch(`${server.url}/api/v1/projects/large/plan`, {
    method: 'POST',
    headers: headersOf(server),
    body: JSON.stringify({ commit }),
  })
  const { nodes } = (await answer.json()) as { nodes: { decision: { outcome: string } }[] }
  const took = performance.now() - began
  if (nodes.filter(({ decision }) => decision.outcome === 'runs').length !== planned) throw new Error('not planned')
  remove(project.folder)
  return took
}

const headersOf = (server: Started) => ({
  authorization: `Bearer ${server.token}`,
  'content-type': 'application/json',
})

/** A repository with a project of its own on the server. */
async function connect(server: Started, name: string) {
  const folder = mkdtempSync(join(tmpdir(), `mw-${name}-`))
  const git = (...words: string[]) =>
    execFileSync('git', ['-c', 'user.name=bench', '-c', 'user.email=bench@localhost', ...words], {
      cwd: folder,
      stdio: 'pipe',
    })
  await fetch(`${server.url}/api/v1/projects`, {
    method: 'POST',
    headers: headersOf(server),
    body: JSON.stringify({ name }),
  })
  git('init', '-q', '-b', 'main')
  const remote = server.url.replace('://', `://owner:${server.token}@`)
  return {
    folder,
    write: (lines: string) => writeFileSync(join(folder, 'modelwright.yaml'), `project: ${name}\nsteps:\n${lines}`),
    push: (message: string): string => {
      git('add', '-A')
      git('commit', '-qm', message)
      git('push', '-q', `${remote}/git/${name}.git`, 'main')
      return git('rev-parse', 'HEAD').toString().trim()
    },
  }
}

async function executionTime(server: Started, commit: string): Promise<number> {
  for (;;) {
    const { items } = (await (await fetch(`${server.url}/api/v1/executions?commit=${commit}`)).json()) as {
      items: { state: string; createdAt: number; endedAt?: number }[]
    }
    const [execution] = items
    if (execution?.state === 'failed') throw new Error('the pipeline failed')
    if (execution?.endedAt) return execution.endedAt - execution.createdAt
    await sleep(20)
  }
}

const chain = (line: (i: number, before: string) => string): string =>
  Array.from({ length: steps }, (_, i) => line(i, i === 0 ? 'seed.txt' : `o${i - 1}.txt`)).join('')

const wide = (line: (i: number) => string): string => Array.from({ length: steps }, (_, i) => line(i)).join('')

/** One of the peers: a file for the chain, one for what stands side by side, and the line that carries a file out. */
type Described = {
  name: string
  file: string
  chain: string
  wide: string
  prepare: (folder: string) => void
  run: [program: string, ...words: string[]]
}

const peerOf = ({ name, file, run: [program, ...words], ...described }: Described): Peer => ({
  name,
  times: () => {
    const folder = mkdtempSync(join(tmpdir(), `mw-${name}-`))
    const timed = () => {
      const began = performance.now()
      execFileSync(program, words, { cwd: folder, env: { ...process.env, DVC_NO_ANALYTICS: '1' }, stdio: 'pipe' })
      return performance.now() - began
    }
    writeFileSync(join(folder, 'seed.txt'), 'seed\n')
    described.prepare(folder)
    writeFileSync(join(folder, file), described.chain)
    const [first, again] = [timed(), timed()]
    writeFileSync(join(folder, file), described.wide)
    const beside = timed()
    remove(folder)
    return { first, again, wide: beside }
  },
})

function peersHere(say: (line: string) => void): Peer[] {
  const dvc = fromPip('dvc', say)
  const snakemake = fromPip('snakemake', say)
  const last = `o${steps - 1}.txt`
  const sides = Array.from({ length: steps }, (_, i) => `w${i}`)
  const make = spawnSync('make', ['--version']).status === 0
  if (!make) say('there is no make here: measured without it')
  return [
    ...(dvc
      ? [
          peerOf({
            name: 'dvc',
            file: 'dvc.yaml',
            chain: `stages:\n${chain((i, before) => `  s${i}: { cmd: cp ${before} o${i}.txt, deps: [${before}], outs: [o${i}.txt] }\n`)}`,
            wide: `stages:\n${wide((i) => `  w${i}: { cmd: "sleep ${napSeconds}; touch w${i}", outs: [w${i}] }\n`)}`,
            prepare: (folder) => {
              execFileSync('git', ['init', '-q'], { cwd: folder })
              execFileSync(dvc, ['init', '-q'], { cwd: folder })
            },
            run: [dvc, 'repro', '-q'],
          }),
        ]
      : []),
    ...(snakemake
      ? [
          peerOf({
            name: 'snakemake',
            file: 'Snakefile',
            chain: `rule all:\n  input: "${last}"\n${chain((i, before) => `rule s${i}:\n  input: "${before}"\n  output: "o${i}.txt"\n  shell: "cp {input} {output}"\n`)}`,
            wide: `rule all:\n  input: ${sides.map((side) => `"${side}"`).join(', ')}\n${wide((i) => `rule w${i}:\n  output: "w${i}"\n  shell: "sleep ${napSeconds}; touch {output}"\n`)}`,
            prepare: () => {},
            run: [snakemake, '--quiet', 'all', '--cores', String(cores)],
          }),
        ]
      : []),
    ...(make
      ? [
          peerOf({
            name: 'make',
            file: 'Makefile',
            chain: `all: ${last}\n${chain((i, before) => `o${i}.txt: ${before}\n\tcp ${before} o${i}.txt\n`)}`,
            wide: `all: ${sides.join(' ')}\n${wide((i) => `w${i}:\n\tsleep ${napSeconds}; touch w${i}\n`)}`,
            prepare: () => {},
            run: ['make', '-s', '-j', String(cores)],
          }),
        ]
      : []),
  ]
}

/** A program from its package, in an environment of its own, made once. */
function fromPip(name: string, say: (line: string) => void): string | undefined {
  const folder = join(root, 'node_modules', '.cache', `bench-${name}`)
  const program = join(folder, 'bin', name)
  if (existsSync(program)) return program
  say(`installing ${name} …`)
  mkdirSync(folder, { recursive: true })
  const made =
    spawnSync('python3', ['-m', 'venv', folder]).status === 0 &&
    spawnSync(join(folder, 'bin', 'pip'), ['install', '-q', name], { stdio: 'inherit' }).status === 0
  if (!made) say(`${name} could not be installed: measured without it`)
  return made ? program : undefined
}
