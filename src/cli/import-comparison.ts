import { compareItems, type ItemKind } from '../imports/imports-contract.ts'
import type { Client } from '../kernel/client.ts'
import type { ImportProgress } from './import-progress.ts'
import type { CliIo } from './io.ts'
import { table } from './table.ts'

type Difference = { kind: ItemKind; id: string; what: string; source: string; ours: string }
export type Comparison = { counts: { what: string; source: number; ours: number }[]; differences: Difference[] }

const idsAtOnce = 500
const shown = 50

const names: Record<ItemKind, string> = {
  experiment: 'experiments',
  run: 'runs',
  'logged-model': 'logged models',
  'registered-model': 'registered models',
  'model-version': 'model versions',
}

/** Everything that the source has against what is here: counts, and a digest of each item's parts. */
export async function compareWithSource(
  client: Client,
  importId: string,
  seen: ReadonlyMap<ItemKind, readonly string[]>,
): Promise<Comparison> {
  const counts: Comparison['counts'] = []
  const differences: Difference[] = []
  for (const [kind, ids] of seen) {
    const sums = { source: {} as Record<string, number>, ours: {} as Record<string, number> }
    let here = 0
    for (let from = 0; from < ids.length; from += idsAtOnce) {
      const body = { kind, ids: ids.slice(from, from + idsAtOnce) }
      const part = await client(compareItems, { params: { id: importId }, body })
      here += part.here
      for (const side of ['source', 'ours'] as const)
        for (const [name, value] of Object.entries(part[side])) sums[side][name] = (sums[side][name] ?? 0) + value
      differences.push(...part.differences.map((difference) => ({ kind, ...difference })))
    }
    counts.push({ what: names[kind], source: ids.length, ours: here })
    for (const [name, source] of Object.entries(sums.source))
      counts.push({ what: `  ${sumNames[name] ?? name}`, source, ours: sums.ours[name] ?? 0 })
  }
  return { counts, differences }
}

const sumNames: Record<string, string> = {
  points: 'points of metrics',
  files: 'artifact files',
  bytes: 'bytes of artifacts',
}

export function tellComparison(io: CliIo, progress: ImportProgress, { counts, differences }: Comparison): void {
  if (io.json) {
    for (const difference of differences) progress.event('differs', difference)
    progress.event('compared', {
      counts: counts.map(({ what, ...sides }) => ({ what: what.trim(), ...sides })),
      differences: differences.length,
      problems: progress.problems,
    })
    return
  }
  const number = (value: number) => value.toLocaleString('en')
  const rows = counts.map(({ what, source, ours }) => [
    what,
    number(source),
    number(ours),
    source === ours ? io.color.green('✓') : io.color.red('✗'),
  ])
  const right = (head: string) => ({ head, align: 'right' as const })
  io.out(`\n${table(['', right('SOURCE'), right('HERE'), ''], rows).join('\n')}\n`)
  if (progress.problems > 0) io.out(`\n${progress.problems} malformed entries of the source were left out.\n`)
  if (differences.length === 0) {
    io.out(`\n${io.color.green('✓')} Everything that was compared is the same here as there.\n`)
    return
  }
  const listed = differences.slice(0, shown).map(({ kind, id, what, source, ours }) => [kind, id, what, source, ours])
  io.out(`\n${table(['KIND', 'ID', 'WHAT', 'SOURCE', 'HERE'], listed).join('\n')}\n`)
  if (differences.length > shown) io.out(`… and ${differences.length - shown} more\n`)
  io.out(`\n${io.color.red('✗')} ${differences.length} differences\n`)
}
