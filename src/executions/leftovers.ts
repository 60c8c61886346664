import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Log } from '../ports/log.ts'
import { type AttemptFolders, removeFolder, removeSmall } from './workspace.ts'

const foldersAtOnce = 16

/** Folders of attempts that ended well: small ones go while something else runs, the others at the end of their execution. */
export class Leftovers {
  readonly #log: Log
  readonly #folders: string[] = []
  #removing: Promise<void> = Promise.resolve()

  constructor(log: Log) {
    this.#log = log
  }

  add(folders: AttemptFolders): void {
    this.#folders.push(...foldersOf(folders))
  }

  /** Begins with it; nobody waits. */
  removeSmall(): void {
    const folders = this.#folders.splice(0)
    this.#removing = this.#removing.then(() => removeSmall(folders))
  }

  /** Before `removeAll`, which must not meet it: what is under way ends, and no more of it is begun. */
  async rest(): Promise<void> {
    this.#folders.length = 0
    await this.#removing
  }

  async removeAll(attempts: readonly AttemptFolders[]): Promise<void> {
    const left = attempts
      .flatMap((folders) => [...foldersOf(folders), join(folders.dir, 'checkpoints')])
      .filter((folder) => existsSync(folder))
    for (let from = 0; from < left.length; from += foldersAtOnce)
      await Promise.all(left.slice(from, from + foldersAtOnce).map((folder) => this.#remove(folder)))
  }

  /** What cannot be removed (a file of another user) must not keep the execution open. */
  #remove(folder: string): Promise<void> {
    return removeFolder(folder).catch((error: unknown) =>
      this.#log.error({ err: error, folder }, 'a workspace could not be removed'),
    )
  }
}

const foldersOf = ({ workspace, home, temporary, notes }: AttemptFolders): string[] => [
  workspace,
  home,
  temporary,
  notes,
]
