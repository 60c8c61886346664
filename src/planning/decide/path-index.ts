import { matchesPattern } from '../../projects/decide/path-pattern.ts'
import { isGlob } from '../../projects/decide/repository-path.ts'

/** All paths of one commit, asked in time that does not grow with their number (globs apart, which are remembered). */
export class PathIndex {
  readonly paths: readonly string[]
  readonly #known: ReadonlySet<string>
  readonly #matching = new Map<string, readonly string[]>()

  /** `paths`: normalised, sorted as JavaScript compares texts. */
  constructor(paths: readonly string[]) {
    this.paths = paths
    this.#known = new Set(paths)
  }

  has(path: string): boolean {
    return this.#known.has(path)
  }

  hasFolder(folder: string): boolean {
    return folder === '.'
      ? this.paths.length > 0
      : this.paths[this.#from(`${folder}/`)]?.startsWith(`${folder}/`) === true
  }

  /** The files that a path, folder or glob names; sorted. */
  named(dep: string): readonly string[] {
    if (isGlob(dep)) return this.#globbed(dep)
    if (dep === '.') return this.paths
    if (this.#known.has(dep)) return [dep]
    // '0' is the character after '/': all that lies in the folder stands between the two.
    return this.paths.slice(this.#from(`${dep}/`), this.#from(`${dep}0`))
  }

  #globbed(pattern: string): readonly string[] {
    const known = this.#matching.get(pattern)
    if (known) return known
    const found = this.paths.filter((path) => matchesPattern(path, pattern))
    this.#matching.set(pattern, found)
    return found
  }

  /** Where the first path stands that is not before `path`. */
  #from(path: string): number {
    let [low, high] = [0, this.paths.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.paths[middle]! < path) low = middle + 1
      else high = middle
    }
    return low
  }
}
