import { createHash, randomUUID } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, open, readdir, rename, rm } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'
import { pipeline } from 'node:stream/promises'
import type { ArtifactService, TreeManifest } from '../artifacts/index.ts'
import { type Digest, shortDigest } from '../kernel/digest.ts'
import { AppError } from '../kernel/errors.ts'

export type ModelTrees = Pick<ArtifactService, 'tree' | 'materialiseTree'>

/** `<data>/gateway/models/<hex of the tree>`: whole and verified before anyone is told of it. */
export class ModelFolders {
  readonly #root: string
  readonly #trees: ModelTrees
  readonly #verified = new Set<Digest>()
  /** Two versions may have one tree. */
  readonly #underWay = new Map<Digest, Promise<string>>()

  constructor(root: string, trees: ModelTrees) {
    this.#root = root
    this.#trees = trees
  }

  path(tree: Digest): string {
    return join(this.#root, tree.replace(/^sha256:/, ''))
  }

  /** Makes the folder unless it stands whole. The first time in a process its bytes are read and compared. */
  ensure(digest: Digest): Promise<string> {
    const underWay = this.#underWay.get(digest) ?? this.#ensure(digest).finally(() => this.#underWay.delete(digest))
    this.#underWay.set(digest, underWay)
    return underWay
  }

  async #ensure(digest: Digest): Promise<string> {
    const path = this.path(digest)
    const tree = await this.#trees.tree(digest)
    const problem = await this.#firstProblem(path, tree, !this.#verified.has(digest))
    if (problem) await this.#make(path, digest, tree)
    this.#verified.add(digest)
    return path
  }

  async #make(path: string, digest: Digest, tree: TreeManifest): Promise<void> {
    await mkdir(this.#root, { recursive: true, mode: 0o700 })
    await this.#removeHalfMade(path)
    const half = `${path}.half-${randomUUID()}`
    try {
      await this.#trees.materialiseTree(digest, half)
      const problem = await this.#firstProblem(half, tree, true)
      if (problem)
        throw new AppError(
          'ObjectCorrupt',
          `The model ${shortDigest(digest)} did not reach the gateway's folder whole: ${problem}.`,
          "Look at the data folder's disk; then `modelwright doctor`.",
        )
      await rm(path, { recursive: true, force: true })
      await rename(half, path)
      await synchronise(this.#root)
    } finally {
      await rm(half, { recursive: true, force: true })
    }
  }

  async #removeHalfMade(path: string): Promise<void> {
    for (const name of await readdir(this.#root))
      if (join(this.#root, name).startsWith(`${path}.half-`))
        await rm(join(this.#root, name), { recursive: true, force: true })
  }

  /** What is wrong with a folder; undefined: it holds exactly the tree. */
  async #firstProblem(path: string, { files }: TreeManifest, readBytes: boolean): Promise<string | undefined> {
    const there = await filesUnder(path)
    if (!there) return 'it is not there'
    const expected = new Set(files.map((file) => file.path))
    const surplus = there.find((file) => !expected.has(file))
    if (surplus) return `${surplus} does not belong there`
    const found = new Set(there)
    for (const file of files) {
      if (!found.has(file.path)) return `${file.path} is missing`
      if (readBytes && (await digestOfFile(join(path, file.path))) !== file.digest)
        return `${file.path} has other bytes`
    }
    return undefined
  }
}

/** Python writes its byte code beside the model's code: that is no change of the model. */
const isByteCode = (path: string): boolean => /(^|\/)__pycache__\//.test(path)

async function filesUnder(path: string): Promise<string[] | undefined> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true }).catch(() => undefined)
  return entries
    ?.filter((entry) => !entry.isDirectory())
    .map((entry) => relative(path, join(entry.parentPath, entry.name)).split(sep).join('/'))
    .filter((file) => !isByteCode(file))
}

async function digestOfFile(path: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(path), hash)
  return `sha256:${hash.digest('hex')}`
}

async function synchronise(folder: string): Promise<void> {
  const handle = await open(folder)
  await handle.sync().finally(() => handle.close())
}
