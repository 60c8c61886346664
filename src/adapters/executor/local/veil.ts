import { realpathSync } from 'node:fs'

/**
 * What a command does not see of this machine, and what of it it does all the same. A visible path inside a hidden one stays
 * visible, a hidden one inside that is hidden again; of equal paths the hidden one counts.
 */
export type VeilPaths = { hidden: readonly string[]; visible: readonly string[]; readOnly?: readonly string[] }

/** `root` may mount by itself, `user` inside a user namespace of its own. */
export type VeilMeans = { kind: 'root' | 'user' }

export type VeilMount = { kind: 'hide' | 'show' | 'show read-only'; at: string }

/** As the launcher draws it. `user`: the numbers of user and group that the command is to have. */
export type VeilDrawn = VeilMeans & { user: [number, number]; mounts: VeilMount[] }

/** In which order things are hidden and shown, outer before inner. */
export function veilMounts({ hidden, visible, readOnly = [] }: VeilPaths): VeilMount[] {
  const hide = new Set(hidden)
  const keep = new Set(readOnly)
  const paths = [...new Set([...hidden, ...visible, ...readOnly])].sort(
    (a, b) => a.length - b.length || (a < b ? -1 : 1),
  )
  const mounts: VeilMount[] = []
  for (const at of paths) {
    const around = mounts.findLast((mount) => isInside(at, mount.at))
    const isHidden = around?.kind === 'hide'
    if (keep.has(at) && !hide.has(at)) mounts.push({ kind: 'show read-only', at })
    else if (hide.has(at) ? !isHidden : isHidden) mounts.push({ kind: hide.has(at) ? 'hide' : 'show', at })
  }
  return mounts
}

const isInside = (path: string, folder: string): boolean => path === folder || path.startsWith(`${folder}/`)

export const veilFor = (means: VeilMeans, paths: VeilPaths): VeilDrawn => ({
  ...means,
  user: [process.getuid!(), process.getgid!()],
  mounts: veilMounts({
    hidden: paths.hidden.flatMap(real),
    visible: paths.visible.flatMap(real),
    readOnly: (paths.readOnly ?? []).flatMap(real),
  }),
})

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
