import { randomUUID } from 'node:crypto'
import { access, mkdir, rm, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { parse } from 'yaml'
import { z } from 'zod'
import { digestOfJson } from '../../../kernel/digest.ts'
import { AppError } from '../../../kernel/errors.ts'
import type { EnvironmentLock } from '../../../ports/environments.ts'
import { runTool, type ToolResult } from './run-tool.ts'

type Where = {
  toolsDir: string
  cacheDir: string
  env: Record<string, string>
  onLine: (line: string) => void
  signal?: AbortSignal
}

/** In this order: they take the same words for what is asked of them here. */
const programs = ['micromamba', 'mamba', 'conda']

/**
 * Solved now, without installing anything: of each package its file, by address and hash. The packages' folder of the solver is a new
 * one, because what lies in it already is left out of its answer.
 */
export async function resolveConda(text: string, where: Where): Promise<EnvironmentLock> {
  const { channels, specs } = readCondaFile(text)
  const program = await condaProgram(where.env)
  const folder = join(where.toolsDir, `conda-${randomUUID().slice(0, 8)}`)
  try {
    await mkdir(join(folder, 'pkgs'), { recursive: true })
    const from = channels.length > 0 ? ['--override-channels', ...channels.flatMap((one) => ['-c', one])] : []
    const args = ['create', '--dry-run', '--json', '--yes', '-p', join(folder, 'env'), ...from, ...specs]
    const said = await runTool({ ...callOf(where, join(folder, 'pkgs')), command: program, args })
    return lockOf(answerOf(said, 'The conda environment could not be solved'))
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** The very files of the lock, each held against its hash by the program that installs it. */
export async function installConda(lock: EnvironmentLock, path: string, where: Where): Promise<void> {
  const program = await condaProgram(where.env)
  await mkdir(where.cacheDir, { recursive: true })
  const list = `${path}.explicit.txt`
  try {
    await writeFile(list, `@EXPLICIT\n${lockedFiles(lock.requirements).join('\n')}\n`)
    const args = ['create', '--yes', '--quiet', '-p', path, '--file', list]
    const said = await runTool({ ...callOf(where, where.cacheDir), command: program, args })
    if (said.code !== 0) throw failed('The locked conda packages could not be installed', said)
  } finally {
    await rm(list, { force: true })
  }
}

export const isCondaLock = ({ requirements }: Pick<EnvironmentLock, 'requirements'>): boolean =>
  /^[^\n]* --conda=/.test(requirements)

const condaFile = z.object({
  channels: z.array(z.string()).default([]),
  dependencies: z.array(z.union([z.string(), z.record(z.string(), z.unknown())])),
})

/** @throws AppError EnvironmentFailed where it is no environment.yml, NotYetSupported where it asks for packages of pip. */
function readCondaFile(text: string): { channels: string[]; specs: string[] } {
  const read = condaFile.safeParse(parsed(text))
  if (!read.success)
    throw new AppError(
      'EnvironmentFailed',
      'The conda file has no list of dependencies.',
      'Write it as conda reads it: channels: and dependencies:.',
    )
  const specs = read.data.dependencies.map((one) => {
    if (typeof one === 'string' && /^[A-Za-z0-9_*]/.test(one.trim())) return one.trim()
    if (typeof one === 'object' && 'pip' in one)
      throw new AppError(
        'NotYetSupported',
        'The conda file has packages of pip (pip:), which this version does not carry out.',
        'Name them as conda packages, or name a requirements.txt under python: instead.',
      )
    throw new AppError('EnvironmentFailed', `"${String(one)}" is no conda package.`, 'Correct the conda file.')
  })
  const channels = read.data.channels.filter((one) => one !== 'nodefaults')
  const odd = channels.find((one) => !/^[A-Za-z0-9]/.test(one) || holdsSecret(one))
  if (odd !== undefined) throw secretChannel()
  return { channels, specs }
}

function parsed(text: string): unknown {
  try {
    return parse(text)
  } catch {
    return undefined
  }
}

const record = z.object({
  name: z.string(),
  version: z.string(),
  url: z.string(),
  md5: z.string().optional(),
  sha256: z.string().optional(),
})
const answer = z.object({
  actions: z.object({ FETCH: z.array(record).default([]), LINK: z.array(z.object({ name: z.string() })).default([]) }),
})

function answerOf(said: ToolResult, failure: string): z.output<typeof answer>['actions'] {
  const read = said.code === 0 ? answer.safeParse(parsed(said.stdout)) : undefined
  if (!read?.success) throw failed(failure, said)
  return read.data.actions
}

/** One package a line, in the form of the other locks, its file behind `--conda=`. */
function lockOf({ FETCH, LINK }: z.output<typeof answer>['actions']): EnvironmentLock {
  const files = new Map(FETCH.map((one) => [one.name, one]))
  const unknown = LINK.find(({ name }) => !files.has(name))?.name ?? FETCH.find(({ md5 }) => !md5)?.name
  if (unknown !== undefined)
    throw new AppError('EnvironmentFailed', `conda tells no hash of "${unknown}".`, 'Use another channel for it.')
  const python = files.get('python')
  if (!python)
    throw new AppError('EnvironmentFailed', 'The conda file leads to no Python.', 'Add python to its dependencies.')
  const lines = [...files.values()].map(({ name, version, url, md5, sha256 }) => {
    if (holdsSecret(url)) throw secretChannel()
    return `${name}==${version}${sha256 ? ` --hash=sha256:${sha256}` : ''} --md5=${md5} --conda=${url}`
  })
  const exact = { pythonVersion: python.version, requirements: `${lines.sort().join('\n')}\n` }
  return { digest: digestOfJson(exact), ...exact }
}

const lockedFiles = (requirements: string): string[] =>
  [...requirements.matchAll(/--md5=(\S+) --conda=(\S+)/g)].map(([, md5, url]) => `${url}#${md5}`)

/** `https://user:pw@…`, or the token that anaconda.org puts into a path. */
const holdsSecret = (url: string): boolean => /^[a-z]+:\/\/[^/]*@|\/t\/[^/]+\//.test(url)

const secretChannel = (): AppError =>
  new AppError(
    'EnvironmentFailed',
    'A channel of the conda file is no name or address, or holds a token, which would stand in the lock.',
    "Name the channel without it, and give the token to the server's own conda configuration.",
  )

const callOf = ({ toolsDir, env, onLine, signal }: Where, packages: string) => ({
  cwd: toolsDir,
  env: { ...env, CONDA_PKGS_DIRS: packages, MAMBA_ROOT_PREFIX: join(toolsDir, 'conda-root') },
  onLine,
  ...(signal ? { signal } : {}),
})

async function condaProgram({ PATH = '' }: Record<string, string>): Promise<string> {
  for (const name of programs)
    for (const folder of PATH.split(delimiter).filter(Boolean)) {
      const program = join(folder, name)
      const isThere = await access(program).then(
        () => true,
        () => false,
      )
      if (isThere) return program
    }
  throw new AppError(
    'EnvironmentFailed',
    `The project names a conda file, but none of ${programs.join(', ')} is on the server's PATH.`,
    'Install micromamba where the server runs, or name a requirements.txt under python: instead.',
  )
}

/** With --json the reason stands in the answer, and nowhere else. */
function failed(what: string, { stdout, words }: ToolResult): AppError {
  const told = z
    .object({ message: z.string().optional(), solver_problems: z.array(z.string()).optional() })
    .safeParse(parsed(stdout))
  const reasons = told.success ? [told.data.message ?? '', ...(told.data.solver_problems ?? [])] : []
  const text = [...reasons.filter(Boolean), ...words].join('\n').trim() || stdout.trim().slice(-2000)
  if (/No space left on device|Disk quota exceeded/.test(text))
    return new AppError('StorageFull', `${what}: the disk is full.`, 'Free some space, then try again.')
  return new AppError('EnvironmentFailed', `${what}:\n${text}`, 'Mend the conda file that modelwright.yaml names.')
}
