import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, realpathSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'

/**
 * What a command does not see of this machine, and what of it it does all the same. A visible path inside a hidden one stays
 * visible, a hidden one inside that is hidden again; of equal paths the hidden one counts.
 */
export type VeilPaths = { hidden: readonly string[]; visible: readonly string[] }

/** `root` may mount by itself, `user` inside a user namespace of its own. */
export type VeilMeans = { kind: 'root' | 'user'; unshare: string; mount: string }

type Mount = { kind: 'hide'; at: string; root: number } | { kind: 'show'; at: string; root: number }

/** dash knows the descriptors 3–9 only. */
const mostRoots = 7

/**
 * In which order things are hidden and shown, outer before inner. `roots` are the outermost hidden folders: what lies in one is
 * reached through a descriptor of it that was opened before it was hidden.
 */
export function veilPlan({ hidden, visible }: VeilPaths): { roots: string[]; mounts: Mount[] } {
  const hide = new Set(hidden)
  const paths = [...new Set([...hidden, ...visible])].sort((a, b) => a.length - b.length || (a < b ? -1 : 1))
  const roots: string[] = []
  const mounts: Mount[] = []
  for (const path of paths) {
    const around = mounts.findLast((mount) => isInside(path, mount.at))
    const isHidden = around?.kind === 'hide'
    if (hide.has(path) === isHidden || (!hide.has(path) && !around)) continue
    if (hide.has(path)) {
      if (roots.length === mostRoots) continue
      mounts.push({ kind: 'hide', at: path, root: roots.push(path) - 1 })
    } else mounts.push({ kind: 'show', at: path, root: around!.root })
  }
  return { roots, mounts }
}

const isInside = (path: string, folder: string): boolean => path === folder || path.startsWith(`${folder}/`)

/** The words before a command that carry it out behind the veil. Its parts are laid under `dir`. */
export function veiled(means: VeilMeans, dir: string, cwd: string, paths: VeilPaths): string[] {
  const { roots, mounts } = veilPlan({ hidden: paths.hidden.flatMap(real), visible: paths.visible.flatMap(real) })
  const veil = join(dir, 'veil')
  mkdirSync(veil, { recursive: true })
  for (const [root] of roots.entries()) mkdirSync(join(veil, String(root)), { recursive: true })
  for (const mount of mounts) if (mount.kind === 'show') makeMountPoint(veil, roots[mount.root]!, mount)
  const table = join(veil, 'fstab')
  writeFileSync(table, [...mounts.map((mount) => line(mount, roots, veil)), procLine].join('\n'))
  const script = veilScript({ means, roots, table, cwd: real(cwd)[0] ?? cwd })
  // A process id space of its own: when the command ends, the kernel ends all that it started, whatever that did to hide.
  const apart = ['-m', '-p', '-f', '--kill-child']
  return [means.unshare, ...(means.kind === 'user' ? ['-U', '-r'] : []), ...apart, '/bin/sh', '-c', script, 'step']
}

/** Where a visible path is shown inside what hides the folder around it, something of its kind must lie. */
function makeMountPoint(veil: string, root: string, { at, root: number }: Mount): void {
  const point = join(veil, String(number), relative(root, at))
  if (statSync(at).isDirectory()) mkdirSync(point, { recursive: true })
  else {
    mkdirSync(dirname(point), { recursive: true })
    writeFileSync(point, '')
  }
}

function line(mount: Mount, roots: readonly string[], veil: string): string {
  const from = mount.kind === 'hide' ? join(veil, String(mount.root)) : mount.at
  return `${escaped(byDescriptor(from, roots))} ${escaped(mount.at)} none ${mount.kind === 'hide' ? 'bind,ro' : 'rbind'} 0 0`
}

/** Through the descriptor of the outermost hidden folder around it, if there is one: by its own name it is hidden already. */
function byDescriptor(path: string, roots: readonly string[]): string {
  const number = roots.findIndex((root) => isInside(path, root))
  return number < 0 ? path : join(`/proc/self/fd/${number + 3}`, relative(roots[number]!, path))
}

// Named otherwise than the one that is there, which mount would take it for.
const procLine = 'step-proc /proc proc nosuid,nodev,noexec 0 0\n'

/** fstab(5): octal for what separates its words. */
const escaped = (path: string): string =>
  path.replace(/[\s\\#]/g, (character) => `\\${character.charCodeAt(0).toString(8).padStart(3, '0')}`)

type ScriptFacts = { means: VeilMeans; roots: readonly string[]; table: string; cwd: string }

/**
 * Descriptors of what is about to be hidden, all mounts by one call, and into the working folder anew: through the old one `..`
 * would lead behind the veil. As a user the namespace in which it may mount is left for one in which it is itself again.
 */
function veilScript({ means, roots, table, cwd }: ScriptFacts): string {
  const descriptors = roots.map((_, number) => number + 3)
  const asItself = `${means.unshare} -U --map-user=${process.getuid?.()} --map-group=${process.getgid?.()} `
  return `
${roots.length > 0 ? `exec ${descriptors.map((fd, number) => `${fd}<${quoted(roots[number]!)}`).join(' ')}` : ''}
${means.mount} -a -c -T ${quoted(table)} || exit 125
${roots.length > 0 ? `exec ${descriptors.map((fd) => `${fd}<&-`).join(' ')}` : ''}
cd ${quoted(cwd)} || exit 125
${means.kind === 'user' ? asItself : ''}"$@"
`
}

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`

/**
 * Links would lead around the veil; what is not there needs neither hiding nor showing. By the system's own call: Node's walk looks
 * at each part of each path, which took longer than the step.
 */
function real(path: string): string[] {
  try {
    return [realpathSync.native(path)]
  } catch {
    return []
  }
}

/** Tries, once, what this machine allows: a file that is hidden must not be read, and one that is shown must. */
export function findVeil(): { means: VeilMeans } | { why: string } {
  const unshare = ['/usr/bin/unshare', '/bin/unshare'].find(exists)
  const mount = ['/usr/bin/mount', '/bin/mount'].find(exists)
  if (!unshare || !mount) return { why: 'util-linux (unshare, mount) is not installed' }
  const means: VeilMeans = { kind: process.getuid?.() === 0 ? 'root' : 'user', unshare, mount }
  const folder = mkdtempSync(join(tmpdir(), 'modelwright-veil-'))
  try {
    const [secret, open] = [join(folder, 'hidden', 'secret'), join(folder, 'hidden', 'shown')]
    for (const path of [join(folder, 'hidden'), open]) mkdirSync(path)
    writeFileSync(secret, '')
    const words = veiled(means, folder, open, { hidden: [dirname(secret)], visible: [open] })
    const look = ['/bin/sh', '-c', `test ! -e ${quoted(secret)} && touch ${quoted(join(open, 'written'))}`]
    const { status, stderr } = spawnSync(words[0]!, [...words.slice(1), ...look], { encoding: 'utf8', timeout: 5_000 })
    if (status === 0 && exists(join(open, 'written'))) return { means }
    return { why: stderr.trim().split('\n').at(-1) || 'namespaces are not allowed here' }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function exists(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined
}
