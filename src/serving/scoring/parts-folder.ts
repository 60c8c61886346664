import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { replaceFileSync } from '../../files/replace-file.ts'
import { AppError } from '../../kernel/errors.ts'

const partFacts = z.object({
  fromRow: z.int(),
  toRow: z.int(),
  answered: z.int(),
  rejected: z.int(),
})
export type PartFacts = z.output<typeof partFacts>

/** What a job was begun with; another job does not go on with its parts. */
export type JobKey = Record<string, unknown>

/**
 * Finished pieces of a job, each a run of input rows: `part-FROM.parquet`, `rejects-FROM.parquet` where rows were rejected, and
 * `part-FROM.json`, written last: without it the others are remains of a process that died.
 */
export class PartsFolder {
  readonly path: string
  readonly parts: PartFacts[]

  private constructor(path: string, parts: PartFacts[]) {
    this.path = path
    this.parts = parts
  }

  /** @throws AppError Conflict where the folder holds another job's parts */
  static open(path: string, key: JobKey, restart: boolean): PartsFolder {
    if (restart) rmSync(path, { recursive: true, force: true })
    mkdirSync(path, { recursive: true })
    const keyPath = join(path, 'job.json')
    const text = JSON.stringify(key, null, 2)
    const before = readText(keyPath)
    if (before !== undefined && before !== text)
      throw new AppError(
        'Conflict',
        `${path} holds parts of another scoring: ${differing(before, key)} differs.`,
        'Begin anew with --restart, or name another output.',
      )
    if (before === undefined) writeFileSync(keyPath, text, { flush: true })
    return new PartsFolder(path, finishedParts(path))
  }

  /** Input rows that need not be scored again. */
  get doneRows(): number {
    return this.parts.at(-1)?.toRow ?? 0
  }

  file(kind: 'part' | 'rejects', { fromRow }: Pick<PartFacts, 'fromRow'>): string {
    return join(this.path, `${kind}-${String(fromRow).padStart(12, '0')}.parquet`)
  }

  /** Its files are there and whole. */
  async finish(facts: PartFacts): Promise<void> {
    const files = [
      ...(facts.answered > 0 ? [this.file('part', facts)] : []),
      ...(facts.rejected > 0 ? [this.file('rejects', facts)] : []),
    ]
    for (const file of files) await syncFile(file)
    const path = join(this.path, `part-${String(facts.fromRow).padStart(12, '0')}.json`)
    replaceFileSync(path, JSON.stringify(facts))
    this.parts.push(facts)
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true })
  }
}

export async function syncFile(path: string): Promise<void> {
  const file = await open(path, 'r+')
  await file.sync().finally(() => file.close())
}

function finishedParts(path: string): PartFacts[] {
  const parts = readdirSync(path)
    .filter((name) => /^part-\d+\.json$/.test(name))
    .sort()
    .map((name) => partFacts.parse(JSON.parse(readFileSync(join(path, name), 'utf8'))))
  const gap = parts.findIndex((part, index) => part.fromRow !== (parts[index - 1]?.toRow ?? 0))
  return gap < 0 ? parts : parts.slice(0, gap)
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

function differing(before: string, key: JobKey): string {
  const earlier = JSON.parse(before) as JobKey
  return Object.keys(key)
    .filter((name) => JSON.stringify(earlier[name]) !== JSON.stringify(key[name]))
    .join(', ')
}
