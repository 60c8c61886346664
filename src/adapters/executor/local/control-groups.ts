import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** What a command may use at most. */
export type Limits = { memoryBytes?: number; cpus?: number }

/** How this machine holds a command to its memory: `none` leaves the address space of each process (RLIMIT_AS). */
export type ControlGroups =
  | { kind: 'v1'; memory: string; cpu: string | undefined }
  | { kind: 'v2'; folder: string }
  | { kind: 'none'; why: string }

const hierarchy = '/sys/fs/cgroup'
const periodUs = 100_000

/** The groups that this process may make groups in: tried by making one. */
export function findControlGroups(): ControlGroups {
  try {
    const own = ownGroups()
    const memory = own.memory === undefined ? undefined : firstThatTakes('memory', own.memory)
    if (memory) return { kind: 'v1', memory, cpu: firstThatTakes('cpu', own.cpu ?? '/') }
    const folder = join(hierarchy, own[''] ?? '/')
    return takesMemory(folder) ? { kind: 'v2', folder } : { kind: 'none', why: 'no control group may be made here' }
  } catch {
    return { kind: 'none', why: 'this system has no control groups' }
  }
}

/** proc(5): `4:memory:/path`, and `0::/path` of version 2. */
function ownGroups(): Record<string, string> {
  const lines = readFileSync('/proc/self/cgroup', 'utf8').trim().split('\n')
  return Object.fromEntries(
    lines.flatMap((line) => {
      const [, controllers, path] = line.split(':')
      return controllers!.split(',').map((name) => [name, path!])
    }),
  )
}

/** In a container the path may be one that is not seen from inside; then the top is the container's own. */
const firstThatTakes = (controller: string, path: string): string | undefined =>
  [join(hierarchy, controller, path), join(hierarchy, controller)].find((folder) =>
    takes(folder, controller === 'cpu' ? 'cpu.cfs_quota_us' : 'memory.limit_in_bytes'),
  )

function takesMemory(folder: string): boolean {
  try {
    writeFileSync(join(folder, 'cgroup.subtree_control'), '+memory +cpu')
  } catch {
    // It may have been given on already, or another process may stand in this group.
  }
  return takes(folder, 'memory.max')
}

function takes(folder: string, file: string): boolean {
  const probe = join(folder, `modelwright-probe-${process.pid}`)
  try {
    mkdirSync(probe)
    return existsSync(join(probe, file))
  } catch {
    return false
  } finally {
    removed(probe)
  }
}

/** The group of one attempt: the same for every server that looks for it. */
const nameFor = (dir: string): string => `modelwright-${createHash('sha256').update(dir).digest('hex').slice(0, 24)}`

const foldersOf = (groups: ControlGroups, dir: string): { memory: string[]; cpu: string[] } => {
  if (groups.kind === 'v2') return { memory: [join(groups.folder, nameFor(dir))], cpu: [] }
  if (groups.kind === 'none') return { memory: [], cpu: [] }
  return { memory: [join(groups.memory, nameFor(dir))], cpu: groups.cpu ? [join(groups.cpu, nameFor(dir))] : [] }
}

/** What the launcher is to do so that a command, with all that it starts, is held to its limits. */
export function limited(
  groups: ControlGroups,
  dir: string,
  { memoryBytes, cpus }: Limits,
): { groups: string[]; addressSpaceBytes?: number } {
  if (memoryBytes === undefined && cpus === undefined) return { groups: [] }
  const { memory, cpu } = foldersOf(groups, dir)
  const folders = [...memory, ...(cpus === undefined ? [] : cpu)]
  for (const folder of folders) mkdirSync(folder, { recursive: true })
  if (groups.kind === 'v1') {
    if (memoryBytes !== undefined) writeLimit(memory[0]!, 'memory.limit_in_bytes', memoryBytes)
    // Swap counts too, where the kernel counts it.
    if (memoryBytes !== undefined) tryLimit(memory[0]!, 'memory.memsw.limit_in_bytes', memoryBytes)
    if (cpus !== undefined && cpu[0]) writeLimit(cpu[0], 'cpu.cfs_quota_us', Math.round(cpus * periodUs))
  }
  if (groups.kind === 'v2') {
    if (memoryBytes !== undefined) writeLimit(memory[0]!, 'memory.max', memoryBytes)
    if (memoryBytes !== undefined) tryLimit(memory[0]!, 'memory.swap.max', 0)
    if (cpus !== undefined) tryLimit(memory[0]!, 'cpu.max', `${Math.round(cpus * periodUs)} ${periodUs}`)
  }
  return {
    groups: folders.map((folder) => join(folder, 'cgroup.procs')),
    ...(groups.kind === 'none' && memoryBytes !== undefined ? { addressSpaceBytes: memoryBytes } : {}),
  }
}

const writeLimit = (folder: string, file: string, value: number | string): void =>
  writeFileSync(join(folder, file), String(value))

function tryLimit(folder: string, file: string, value: number | string): void {
  try {
    writeLimit(folder, file, value)
  } catch {
    // Not counted by this kernel.
  }
}

/** How often the kernel ended a process of the attempt for its memory, and the most that it used; undefined where nobody counted. */
export function memoryStory(groups: ControlGroups, dir: string): { kills: number; peakBytes?: number } | undefined {
  const [folder] = foldersOf(groups, dir).memory
  if (!folder || !existsSync(folder)) return undefined
  const [events, peak] =
    groups.kind === 'v1' ? ['memory.oom_control', 'memory.max_usage_in_bytes'] : ['memory.events', 'memory.peak']
  const kills = /^oom_kill (\d+)$/m.exec(textOf(join(folder, events!)))?.[1]
  const peakBytes = Number(textOf(join(folder, peak!)).trim())
  return { kills: Number(kills ?? 0), ...(peakBytes > 0 ? { peakBytes } : {}) }
}

export function processesIn(groups: ControlGroups, dir: string): number[] {
  const [folder] = foldersOf(groups, dir).memory
  if (!folder || !existsSync(folder)) return []
  return textOf(join(folder, 'cgroup.procs')).split('\n').filter(Boolean).map(Number)
}

/** Once nothing of the attempt runs any more. */
export function dissolve(groups: ControlGroups, dir: string): void {
  const { memory, cpu } = foldersOf(groups, dir)
  for (const folder of [...memory, ...cpu]) removed(folder)
}

function removed(folder: string): void {
  try {
    rmdirSync(folder)
  } catch {
    // Not there, or not empty yet.
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
