import { readFile } from 'node:fs/promises'
import {
  evaluateSlo,
  parseSlo,
  readPreviousEvaluations,
  readSliValues,
  type SloObjectiveReport,
  type SloReport,
  type SloTarget,
} from '../gates/index.ts'
import { AppError } from '../kernel/errors.ts'

/**
 * `modelwright gate eval --slo FILE --values FILE [--previous FILE] [--json] [--keptn]`: judges values by a Keptn SLO
 * file, on this machine, without a server. `--keptn` leaves out our deliberate differences (see evaluateSlo).
 * Returns the exit code: 0 when there is a result, whichever it is; 1 when the SLO cannot be carried out as written
 * (printed as `error`, as Keptn does). Throws AppError for a file that cannot be read.
 */
export async function gateEval(
  options: { slo: string; values: string; previous?: string; json: boolean; keptn: boolean },
  io: { out(text: string): void },
): Promise<number> {
  const slo = parseSlo(await read(options.slo), options.slo)
  const values = readSliValues(await read(options.values), options.values)
  const previous = options.previous ? readPreviousEvaluations(await read(options.previous), options.previous) : []

  const report = evaluateSlo(slo, values, previous, { mode: options.keptn ? 'keptn' : 'modelwright' })

  io.out(options.json ? `${JSON.stringify(report, null, 2)}\n` : table(report))
  return 'error' in report ? 1 : 0
}

async function read(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
    const why =
      code === 'ENOENT' ? 'there is no such file' : code === 'EISDIR' ? 'it is a folder' : `it cannot be read (${code})`
    throw new AppError('NotFound', `${file}: ${why}.`, 'Name a file that can be read.', { cause })
  }
}

function table(report: SloReport): string {
  if ('error' in report) return `error: ${report.error}\n`
  const head = ['OBJECTIVE', 'STATUS', 'SCORE', 'COMPARED', 'CRITERIA']
  const rows = (report.objectives ?? []).map((one) => [
    one.sli,
    one.status,
    show(one.score),
    show(one.compared),
    criteria(one),
  ])
  const lines = [
    `${report.result}  score ${show(report.score)}${report.key_sli_failed ? '  a key objective failed' : ''}`,
    ...(rows.length > 0 ? ['', ...aligned([head, ...rows])] : []),
    ...(report.reasons ? ['', ...report.reasons] : []),
  ]
  return `${lines.join('\n')}\n`
}

function criteria(one: SloObjectiveReport): string {
  const parts = [
    ...(one.pass_targets ?? []).map((target) => criterion('pass', target)),
    ...(one.warning_targets ?? []).map((target) => criterion('warn', target)),
  ]
  return parts.join(', ')
}

function criterion(level: string, { criteria: text, target, violated, left_out }: SloTarget): string {
  if (left_out) return `${level} ${text} (left out)`
  return `${level} ${text} (${violated ? 'missed' : 'met'}, ${show(target)})`
}

function aligned(rows: string[][]): string[] {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join('  ')
      .trimEnd(),
  )
}

const show = (value: number): string => String(Number(value.toPrecision(6)))
