import type { ArtifactService } from '../artifacts/index.ts'
import type { Digest } from '../kernel/digest.ts'
import { isAppError } from '../kernel/errors.ts'
import type { ObjectStore } from '../ports/object-store.ts'
import type { StepResult } from './plan.ts'

const treesKept = 20_000
const filesKeptOfTree = 100

type FileInTree = { digest: Digest; size: number }

/** Whether what an earlier step wrote is all still there: a hit whose bytes are gone is no hit. */
export class KeptOutputs {
  readonly #objects: ObjectStore
  readonly #artifacts: ArtifactService
  readonly #trees = new Map<Digest, { size: number; files: readonly FileInTree[] }>()

  constructor({ objects, artifacts }: { objects: ObjectStore; artifacts: ArtifactService }) {
    this.#objects = objects
    this.#artifacts = artifacts
  }

  /** By sizes: what a loss of power took of a file is seen before somebody reads it, and then is made again. */
  async areWhole(result: StepResult): Promise<boolean> {
    for (const tree of [...Object.values(result.outs), ...(result.model ? [result.model.tree] : [])]) {
      const files = await this.#filesIn(tree)
      for (const { digest, size } of files ?? []) if ((await this.#objects.sizeIfKept(digest)) !== size) return false
      if (!files) return false
    }
    return true
  }

  /** What a tree names never changes; whether it is still there is asked each time. Undefined where it is not, or altered. */
  async #filesIn(tree: Digest): Promise<readonly FileInTree[] | undefined> {
    const size = await this.#objects.sizeIfKept(tree)
    const known = this.#trees.get(tree)
    if (known) return known.size === size ? known.files : undefined
    const read = size === undefined ? undefined : await this.#artifacts.tree(tree).catch(undefinedIfAltered)
    if (!read || size === undefined) return undefined
    const files = [...new Map(read.files.map((file) => [file.digest, file])).values()]
    if (this.#trees.size >= treesKept) this.#trees.clear()
    if (files.length <= filesKeptOfTree) this.#trees.set(tree, { size, files })
    return files
  }
}

function undefinedIfAltered(error: unknown): undefined {
  if (!isAppError(error, 'ObjectCorrupt') && !isAppError(error, 'NotFound')) throw error
}
