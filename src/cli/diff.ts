import type { OutputOf } from '../kernel/route.ts'
import { formatMetric } from '../kernel/units.ts'
import { diffRuns } from '../lineage/lineage-contract.ts'
import type { CliContext } from './context.ts'
import { findExecution } from './find-execution.ts'
import type { CliIo } from './io.ts'
import { aligned, table } from './table.ts'
import { count, shortCommit, shortId, signed, timeAgo } from './words.ts'

type Diff = OutputOf<typeof diffRuns>
type Color = CliIo['color']

const shownFiles = 30

/** `modelwright diff [A] [B]`: A is the earlier one; with one name it is compared with the newest, with none the last two. */
export async function diff(context: CliContext, a: string | undefined, b: string | undefined): Promise<number> {
  const [idA, idB] = await Promise.all([meant(context, a ?? 'latest~1'), meant(context, b ?? 'latest')])
  const found = await (await context.client())(diffRuns, { query: { a: idA, b: idB } })
  if (context.io.json) context.io.out(`${JSON.stringify(found)}\n`)
  else context.io.out(`${diffLines(found, context.now(), context.io.color).join('\n')}\n`)
  return 0
}

/** A run has 32 hex digits; everything else is an execution. */
const meant = async (context: CliContext, which: string): Promise<string> =>
  /^[0-9a-f]{32}$/.test(which) ? which : findExecution(context, which)

export function diffLines(found: Diff, now: number, color: Color): string[] {
  const sections: [string, string[]][] = [
    ['metrics', metricLines(found, color)],
    ['params', changeLines(found.params, String)],
    ['tags', changeLines(found.tags, String)],
    [
      'data',
      changeLines(
        found.data,
        (data) =>
          `${digest(data.digest)}${data.rows === undefined ? '' : `, ${count(data.rows, 'row')}`} (${data.text})`,
      ),
    ],
    ['environment', environmentLines(found)],
    ['code', codeLines(found, now, color)],
  ]
  const same = sections.filter(([, lines]) => lines.length === 0).map(([name]) => name)
  return [
    ...aligned([sideRow('A', found.a, now, color), sideRow('B', found.b, now, color)]),
    ...sections.flatMap(([name, lines]) =>
      lines.length === 0 ? [] : ['', color.bold(name), ...lines.map((line) => `  ${line}`)],
    ),
    ...(same.length > 0 ? ['', color.dim(`no difference in ${same.join(', ')}`)] : []),
  ]
}

function sideRow(letter: string, side: Diff['a'], now: number, color: Color): string[] {
  return [
    color.bold(letter),
    side.kind,
    side.kind === 'run' ? side.id : shortId(side.id),
    side.state.toLowerCase(),
    side.commit ? shortCommit(side.commit.id) : '',
    side.name,
    color.dim(timeAgo(side.at, now)),
  ]
}

/** Whether more is better is not known here: only the gate says that, so the sign has no colour. */
function metricLines({ metrics }: Diff, color: Color): string[] {
  const right = (head: string) => ({ head, align: 'right' as const })
  return table(
    ['', right('A'), right('B'), right('B − A')],
    metrics.map(({ name, a, b, difference }) => [
      name,
      formatMetric(a),
      formatMetric(b),
      difference === 0 ? color.dim('±0') : signed(difference),
    ]),
  )
}

function changeLines<T>(
  changes: readonly { name: string; a?: T | undefined; b?: T | undefined }[],
  text: (value: T) => string,
): string[] {
  return aligned(
    changes.map(({ name, a, b }) => [name, a === undefined ? '–' : text(a), '→', b === undefined ? '–' : text(b)]),
  )
}

function environmentLines({ environment }: Diff): string[] {
  const { a, b, packages } = environment
  if (a?.digest === b?.digest) return []
  const lock = (side: typeof a) =>
    side
      ? `${side.digest === 'none' ? 'none' : digest(side.digest)}${side.python ? `, Python ${side.python}` : ''}`
      : '–'
  return [`${lock(a)} → ${lock(b)}`, ...changeLines(packages, String)]
}

function codeLines({ code, a, b }: Diff, now: number, color: Color): string[] {
  if (a.commit && b.commit && a.project !== b.project)
    return [`${a.project} and ${b.project} are different repositories`]
  const commits = (letter: string, list: Diff['code']['onlyA']) =>
    list.map(({ id, subject, author, at }) => [
      `only ${letter}`,
      shortCommit(id),
      subject,
      color.dim(`${author.replace(/\s*<.*$/, '')}, ${timeAgo(at, now)}`),
    ])
  const signs = { added: color.green('+'), changed: color.yellow('~'), removed: color.red('−') }
  const files = code.files.slice(0, shownFiles).map(({ path, change }) => `${signs[change]} ${path}`)
  const rest = code.files.length - files.length
  return [
    ...aligned([...commits('A', code.onlyA), ...commits('B', code.onlyB)]),
    ...files,
    ...(rest > 0 ? [`… and ${count(rest, 'more file', 'more files')}`] : []),
  ]
}

const digest = (text: string): string => text.replace(/^sha256:/, '').slice(0, 12)
