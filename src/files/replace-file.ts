import { renameSync, rmSync, writeFileSync } from 'node:fs'
import { rename, rm, writeFile } from 'node:fs/promises'

let count = 0

/** No two processes and no two calls write beside a file under the same name. */
const besideOf = (path: string): string => `${path}.${process.pid}-${count++}`

/**
 * Replaces a small file whole: who reads it finds the old content or the new one, also after a loss of power. (Packages for this tidy up
 * at signals, and would end a server that is answering its last requests.)
 */
export async function replaceFile(path: string, content: string | Uint8Array, mode = 0o600): Promise<void> {
  const beside = besideOf(path)
  try {
    await writeFile(beside, content, { mode, flush: true })
    await rename(beside, path)
  } catch (error) {
    await rm(beside, { force: true })
    throw error
  }
}

export function replaceFileSync(path: string, content: string | Uint8Array, mode = 0o600): void {
  const beside = besideOf(path)
  try {
    writeFileSync(beside, content, { mode, flush: true })
    renameSync(beside, path)
  } catch (error) {
    rmSync(beside, { force: true })
    throw error
  }
}
