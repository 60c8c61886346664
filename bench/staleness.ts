import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { changes, type Place, writeCode } from './staleness/changes.ts'
import { type Peer, peers } from './staleness/peers.ts'
import type { Bench } from './support/bench.ts'
import { remove, root } from './support/family.ts'

/** The two Pythons that a step is run with; each in an environment of its own, with one small package. */
const pythons = ['python3.11', 'python3.12']
const packageName = 'iniconfig'

/**
 * What others do where something has changed: whether the step runs again. What Modelwright does is the table of
 * test/journeys/staleness.test.ts. Prints a table in Markdown; `runs` does not matter.
 */
export const bench: Bench = async ({ say }) => {
  const answers = new Map<string, (boolean | undefined)[]>()
  const versions = new Map<string, string>()
  for (const peer of peers) {
    const bin = environmentOf(peer.package, say)
    if (!bin) continue
    versions.set(peer.name, versionOf(bin, peer.package))
    answers.set(peer.name, answersOf(peer, bin, say))
  }
  const names = [...answers.keys()]
  console.log(`| changed | must run | ${names.map((name) => `${name} ${versions.get(name)}`).join(' | ')} |`)
  console.log(`|---|---|${names.map(() => '---|').join('')}`)
  const word = (ran: boolean | undefined) => (ran === undefined ? 'not measured' : ran ? 'runs' : 'reused')
  for (const [index, { what, matters }] of changes.entries())
    console.log(
      `| ${what} | ${matters ? 'yes' : 'no'} | ${names.map((name) => word(answers.get(name)![index])).join(' | ')} |`,
    )
  return names.flatMap((name) => {
    const measured = answers.get(name)!
    const wrong = (matters: boolean) =>
      changes.filter((change, i) => change.matters === matters && measured[i] === !matters).length
    return [
      { what: `${name}: stale results reused`, value: wrong(true), unit: '' },
      { what: `${name}: runs without need`, value: wrong(false), unit: '' },
    ]
  })
}

function answersOf(peer: Peer, bin: string, say: (line: string) => void): (boolean | undefined)[] {
  const folder = mkdtempSync(join(tmpdir(), 'mw-staleness-'))
  const runs = join(folder, '..', `${folder.split('/').at(-1)}-runs.txt`)
  mkdirSync(join(folder, 'src', 'pkg'), { recursive: true })
  writeCode(folder)
  writeFileSync(runs, '')
  const [first, second] = pythons.map((python) => stepEnvironment(python, folder))
  const path = process.env.PATH ?? ''
  const place: Place = {
    folder,
    env: {
      ...(process.env as Record<string, string>),
      DVC_NO_ANALYTICS: '1',
      METAFLOW_USER: 'bench',
      PATH: `${first}:${path}`,
      STALENESS_RUNS: runs,
      STALENESS_DECLARED: 'one',
      STALENESS_UNDECLARED: 'one',
    },
    params: { depth: 3, unused: 1, theirs: 1, seed: 7 },
    command: { blanks: false, extra: false },
    write: () => peer.write(place),
    installPackage: (version) => install(first!, version),
    otherPython: () => {
      install(second!, '2.1.0')
      place.env.PATH = `${second}:${path}`
    },
  }
  install(first!, '2.0.0')
  place.write()
  peer.prepare?.(place, bin)
  peer.run(place, bin)
  const answers = changes.map(({ what, make }) => {
    const before = readFileSync(runs, 'utf8').length
    make(place)
    try {
      peer.run(place, bin)
    } catch (error) {
      say(`${peer.name}, ${what}: ${error instanceof Error ? error.message : error}`)
      return undefined
    }
    const ran = readFileSync(runs, 'utf8').length > before
    say(`${peer.name}: ${what}: ${ran ? 'runs' : 'reused'}`)
    return ran
  })
  remove(folder)
  remove(runs)
  return answers
}

function stepEnvironment(python: string, folder: string): string {
  const path = join(`${folder}-${python}`)
  execFileSync(python, ['-m', 'venv', path], { stdio: 'pipe' })
  return join(path, 'bin')
}

const install = (bin: string, version: string) =>
  execFileSync(join(bin, 'pip'), ['install', '-q', `${packageName}==${version}`], { stdio: 'pipe' })

const versionOf = (bin: string, name: string): string =>
  execFileSync(join(bin, 'python'), ['-c', `from importlib.metadata import version; print(version("${name}"))`], {
    encoding: 'utf8',
  }).trim()

/** Each peer in an environment of its own, made once. */
function environmentOf(name: string, say: (line: string) => void): string | undefined {
  const folder = join(root, 'node_modules', '.cache', `bench-${name}`)
  if (existsSync(join(folder, 'bin', 'pip')) && existsSync(join(folder, 'ready'))) return join(folder, 'bin')
  say(`installing ${name} …`)
  mkdirSync(folder, { recursive: true })
  const made =
    spawnSync('python3', ['-m', 'venv', folder]).status === 0 &&
    spawnSync(join(folder, 'bin', 'pip'), ['install', '-q', name], { stdio: 'inherit' }).status === 0
  if (!made) {
    say(`${name} could not be installed: measured without it`)
    return undefined
  }
  writeFileSync(join(folder, 'ready'), '')
  return join(folder, 'bin')
}
