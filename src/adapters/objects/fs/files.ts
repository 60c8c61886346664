import { open, readdir } from 'node:fs/promises'

export function absentOrThrow(error: unknown): undefined {
  if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
  throw error
}

/** Sorted; none where there is no such folder. */
export async function namesIn(folder: string): Promise<string[]> {
  return readdir(folder).then(
    (names) => names.sort(),
    (error) => absentOrThrow(error) ?? [],
  )
}

/** Makes what was put into the folder, or taken out of it, survive a power loss. */
export async function synchroniseFolder(path: string): Promise<void> {
  const folder = await open(path, 'r')
  await folder.sync().finally(() => folder.close())
}
