export type SymbolicLink = { path: string; target: string }

/** As many as Linux follows before it gives up (ELOOP); whoever follows such a link gets an error, not a file outside. */
const mostFollowed = 40

/**
 * Those of a tree's symbolic links (paths relative to its root) that would lead out of the repository or into its .git
 * folder, wherever it is checked out: by an absolute target, by `..`, or by way of another link, as Linux resolves them
 * (path_resolution(7)). Targets need not exist. A link in a circle leads nowhere, so not out.
 */
export function escapingSymlinks(links: readonly SymbolicLink[]): SymbolicLink[] {
  const targets = new Map(links.map(({ path, target }) => [path, target]))
  return links.filter(({ path }) => leaves(path, targets))
}

function leaves(path: string, targets: ReadonlyMap<string, string>): boolean {
  const todo = path.split('/')
  const at: string[] = []
  for (let followed = 0; todo.length > 0; ) {
    const part = todo.shift()!
    if (part === '' || part === '.') continue
    if (part === '..') {
      if (at.length === 0) return true
      at.pop()
      continue
    }
    if (at.length === 0 && part.toLowerCase() === '.git') return true
    at.push(part)
    const target = targets.get(at.join('/'))
    if (target === undefined) continue
    if (target.startsWith('/')) return true
    if (++followed > mostFollowed) return false
    at.pop()
    todo.unshift(...target.split('/'))
  }
  return false
}
