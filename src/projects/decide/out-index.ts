import { depSeesOut, isGlob, patternsMeet } from './repository-path.ts'
import { asPattern, holdsItem } from './templates.ts'

type Folder<T> = { inside: Map<string, Folder<T>>; here: T[] }

/**
 * Who writes what, asked in time that does not grow with the number of outputs (patterns apart): ten thousand steps are planned
 * within a second. Paths are normalised; one with `${item}` stands for all that it may become.
 */
export class OutIndex<T> {
  readonly #root: Folder<T> = { inside: new Map(), here: [] }
  readonly #patterns: { out: string; owner: T }[] = []
  readonly #outs = new Map<T, string[]>()
  readonly #seen = new Map<string, readonly T[]>()

  /** `owner` is what the questions answer with; one owner may have several outputs. */
  add(out: string, owner: T): void {
    if (this.#seen.size > 0) this.#seen.clear()
    this.#outs.set(owner, [...(this.#outs.get(owner) ?? []), out])
    if (holdsItem(out)) {
      this.#patterns.push({ out, owner })
      return
    }
    let folder = this.#root
    for (const part of out.split('/')) {
      const next = folder.inside.get(part) ?? { inside: new Map(), here: [] }
      folder.inside.set(part, next)
      folder = next
    }
    folder.here.push(owner)
  }

  /** The owners of outputs that a dep (file, folder or glob) names; each once. */
  seenBy(dep: string): readonly T[] {
    const known = this.#seen.get(dep)
    if (known) return known
    const found = this.#seenBy(dep)
    this.#seen.set(dep, found)
    return found
  }

  #seenBy(dep: string): readonly T[] {
    if (dep === '.') return []
    const patterned = this.#patterns.filter(({ out }) => depSeesOut(dep, out)).map(({ owner }) => owner)
    const plain = this.#near(isGlob(dep) ? fixedPart(dep) : dep)
    const seen = isGlob(dep)
      ? plain.filter((owner) => this.#outs.get(owner)!.some((out) => depSeesOut(dep, out)))
      : plain
    return [...new Set([...seen, ...patterned])]
  }

  /** The owners of outputs that are the path, lie in it, or hold it; `${item}` is matched too. */
  overlapping(path: string): readonly T[] {
    if (!holdsItem(path)) return this.#seenBy(path)
    const pattern = asPattern(path)
    const patterned = this.#patterns.filter(({ out }) => patternsMeet(pattern, asPattern(out)))
    return [
      ...new Set([
        ...this.#near(fixedPart(pattern)).filter((owner) =>
          this.#outs.get(owner)!.some((out) => depSeesOut(out, path)),
        ),
        ...patterned.map(({ owner }) => owner),
      ]),
    ]
  }

  /** Owners on the way to a path, at it and below it. */
  #near(path: string): T[] {
    const found: T[] = []
    let folder: Folder<T> | undefined = this.#root
    for (const part of path === '' ? [] : path.split('/')) {
      folder = folder.inside.get(part)
      if (!folder) return found
      found.push(...folder.here)
    }
    const below = [...folder.inside.values()]
    for (let next = below.pop(); next; next = below.pop()) {
      for (const owner of next.here) found.push(owner)
      below.push(...next.inside.values())
    }
    return found
  }
}

/** The folders of a pattern before its first `*`, `?` or `[`. */
function fixedPart(pattern: string): string {
  const parts = pattern.split('/')
  const first = parts.findIndex(isGlob)
  return parts.slice(0, first === -1 ? parts.length : first).join('/')
}
