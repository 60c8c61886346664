import { existsSync } from 'node:fs'
import { open, readFile, statfs } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { AppError } from '../kernel/errors.ts'
import { formatBytes } from '../kernel/units.ts'
import type { KeyParts } from '../planning/index.ts'
import type { CommandEnd } from '../ports/executor.ts'
import type { FailureKind, ProjectFile, Step } from '../projects/index.ts'
import { failureOf } from './decide/after-failure.ts'
import {
  asDependency,
  inCommit,
  type OutsideFacts,
  outsideInLog,
  type Tried,
  triedInLog,
  undeclaredReads,
} from './decide/undeclared-reads.ts'
import { timedOut, timedOutMark } from './step-watch.ts'
import type { AttemptFolders } from './workspace.ts'

export type Ended = {
  executionId: string
  node: string
  step: Step
  file: ProjectFile
  folders: AttemptFolders
  key: KeyParts
  /** What steps do not see of this machine, and what of it they do all the same. */
  veil: () => Promise<Omit<OutsideFacts, 'workspace'>>
  /** All paths of the commit: asked for only where something is to be explained. */
  commitPaths: () => Promise<ReadonlySet<string>>
  /** The last lines of the log, secrets masked. */
  tail: () => Promise<string>
}

export type Failure = {
  kind: FailureKind
  error: AppError /** Another attempt would end in the same way. */
  final: boolean
}

/** Why a command failed, in the words of who can mend it. */
export async function failureOfAttempt(ended: Ended, end: CommandEnd & { code: number }): Promise<Failure> {
  const { step, node, folders } = ended
  const tail = await ended.tail()
  const logs = `modelwright logs ${ended.executionId} ${node}`
  const { memoryBytes } = step.resources
  const kind = failureOf({
    code: end.code,
    timedOut: existsSync(timedOutMark(folders.dir)),
    memoryLimited: memoryBytes !== undefined,
    ...(end.memory ? { memoryKills: end.memory.kills } : {}),
    tail,
  })
  if (kind === 'timeout') return { kind, error: timedOut(node, step.timeoutMs ?? 0, logs), final: false }
  if (kind === 'memory') return { kind, error: outOfMemory(node, memoryBytes, end), final: false }
  const unread = await undeclared(ended, triedInLog(tail))
  if (unread) return { kind, error: unread, final: true }
  // Before what may only be a warning in the same log: a disk may have room for the next attempt.
  const full = await diskFull(ended, end, tail)
  if (full) return { kind, error: full, final: false }
  const outside = await outsideWorkspace(ended, end, tail)
  // Read off the log, where it may have been but a warning: what is to be tried again is.
  if (outside) return { kind, error: outside, final: false }
  return { kind, error: commandFailed(node, end, tail, logs), final: false }
}

/** A file of the repository that the step looked for and did not declare; undefined where there is none. */
export async function undeclared(ended: Ended, more: readonly Tried[] = []): Promise<AppError | undefined> {
  const { step, file, folders, key } = ended
  if (!step.isolated) return undefined
  const tried = [...(await triedInNotes(folders)), ...more]
  if (tried.length === 0) return undefined
  const declared = [
    ...Object.keys(key.files),
    ...step.outs,
    ...(step.checkpoints ? [step.checkpoints] : []),
    ...(typeof step.metrics === 'string' ? [step.metrics] : ['metrics.json']),
  ]
  const found = undeclaredReads({ workspace: folders.workspace, tried, commit: await ended.commitPaths(), declared })
  if (found.length === 0) return undefined
  const names = found.map((path) => `"${path}"`).join(', ')
  return new AppError(
    'UndeclaredRead',
    `${names} ${found.length === 1 ? 'is' : 'are'} in the commit, but step "${step.name}" did not declare ${found.length === 1 ? 'it' : 'them'}.`,
    `declare it: deps: [${found.map((path) => asDependency(path, file.data)).join(', ')}]`,
  )
}

/** Said only of what is really there on this machine, so that a wrong name stays a wrong name. */
async function outsideWorkspace(ended: Ended, end: CommandEnd, tail: string): Promise<AppError | undefined> {
  const { step, node, folders, veil } = ended
  if (!step.isolated) return undefined
  const found = outsideInLog(tail, { workspace: folders.workspace, ...(await veil()) })
    .filter(({ path, refused }) => refused || existsSync(path) || existsSync(dirname(path)))
    .map(({ path }) => path)
  const [path] = found
  if (path === undefined) return undefined
  const meant = inCommit(path, await ended.commitPaths())
  return new AppError(
    'OutsideWorkspace',
    `"${node}" ended with exit status ${end.code}: ${found.map((one) => `"${one}"`).join(', ')} ${found.length === 1 ? 'lies' : 'lie'} outside its workspace, where a step sees nothing and can write nothing. Its last words: ${lastWords(tail)}`,
    meant === undefined
      ? 'Read and write below the working folder: what it reads comes by deps:, data: or caches:, what it writes is kept by outs:. isolated: false lets it see the machine.'
      : `Name it as the repository does ("${meant}"), and declare it: deps: [${asDependency(meant, ended.file.data)}] where it is read, outs: where it is written.`,
  )
}

/** What the bootstrap noted of Python. */
async function triedInNotes({ notes }: AttemptFolders): Promise<Tried[]> {
  const reads = join(notes, 'reads')
  const text = existsSync(reads) ? await readFile(reads, 'utf8').catch(() => '') : ''
  return text
    .split('\n')
    .map((line) => /^(path|module) (.+)$/.exec(line))
    .flatMap((match) => (match ? [{ kind: match[1] as Tried['kind'], path: match[2]! }] : []))
}

const outOfMemory = (node: string, limit: number | undefined, { memory }: CommandEnd): AppError =>
  new AppError(
    'StepOutOfMemory',
    `"${node}" took more memory than its ${limit === undefined ? 'limit' : formatBytes(limit)}${memory?.peakBytes ? ` (at most ${formatBytes(memory.peakBytes)} were used, and the system ended ${memory.kills} of its processes)` : ''}.`,
    'Give it more (resources: { memory: … }), or let it read less at a time.',
  )

async function diskFull({ node, folders }: Ended, end: CommandEnd, tail: string): Promise<AppError | undefined> {
  if (!/No space left on device|ENOSPC|Disk quota exceeded|Errno 28\b/.test(tail)) return undefined
  const { bavail, bsize } = await statfs(folders.dir)
  return new AppError(
    'StorageFull',
    `"${node}" ended with exit status ${end.code}: no space was left where it wrote (the data folder's disk has ${formatBytes(bavail * bsize)} free).`,
    'Free space, or let the step write less; what was kept before is whole.',
  )
}

const commandFailed = (node: string, end: CommandEnd, tail: string, logs: string): AppError =>
  new AppError(
    'StepFailed',
    `"${node}" ended with exit status ${end.code}.${tail ? ` Its last words: ${lastWords(tail)}` : ''}`,
    `Read its log: ${logs}`,
  )

const lastWords = (tail: string): string =>
  tail
    .split('\n')
    .filter((line) => line.trim())
    .slice(-3)
    .join(' ⏎ ')
    .slice(-500)

/** The executed notebook, where the step was one. */
export async function executedNotebook({
  notes,
}: AttemptFolders): Promise<Awaited<ReturnType<typeof open>> | undefined> {
  return open(join(notes, 'executed.ipynb')).catch(() => undefined)
}
