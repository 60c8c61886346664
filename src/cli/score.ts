import { AppError } from '../kernel/errors.ts'
import type { CliContext } from './context.ts'
import { envManagerOf } from './convert.ts'
import { localModelParts } from './local-model.ts'

export type ScoreFlags = {
  keep?: string
  checks?: string
  onBad: string
  restart?: boolean
  threads?: string
  python?: string
  envManager: string
  passEnv?: string
  record: boolean
}

/** `modelwright score MODEL INPUT OUTPUT`: a whole table, of any size, in bounded memory. */
export async function score(
  context: CliContext,
  model: string,
  input: string,
  output: string,
  flags: ScoreFlags,
): Promise<number> {
  const { io } = context
  const { scoreWithModel } = await import('../compose/score.ts')
  const list = (text: string | undefined) => (text ?? '').split(',').filter((one) => one !== '')
  const told = await scoreWithModel(
    {
      model: modelUri(model),
      input,
      output,
      keep: flags.keep === undefined ? undefined : flags.keep === 'all' ? 'all' : list(flags.keep),
      ...(flags.checks === undefined ? {} : { checks: flags.checks }),
      onBad: onBadOf(flags.onBad),
      restart: flags.restart ?? false,
      ...(flags.threads === undefined ? {} : { threads: threadsOf(flags.threads) }),
      ...(flags.python === undefined ? {} : { python: flags.python }),
      envManager: envManagerOf(flags.envManager),
      passEnv: list(flags.passEnv),
      record: flags.record,
    },
    localModelParts(context),
    progressOn(context),
  )
  if (io.json) io.out(`${JSON.stringify(told)}\n`)
  else {
    const resumed = told.resumedRows > 0 ? ` (${told.resumedRows} of them before it was interrupted)` : ''
    io.out(
      `${told.output}: ${told.answered} of ${told.rows} rows answered${resumed}, in ${(told.tookMs / 1000).toFixed(1)} s.\n`,
    )
    if (told.rejects) io.out(`${told.rejects}: ${told.rejected} rows that could not be, and why.\n`)
    if (told.runId) io.out(`Recorded as run ${told.runId}.\n`)
  }
  return 0
}

/** `NAME@ALIAS` and `NAME/VERSION` mean registered models, unless a folder has that name. */
function modelUri(model: string): string {
  return /^[^/.:@][^/:@]*(@[^/@]+|\/(\d+|latest))$/.test(model) ? `models:/${model}` : model
}

function onBadOf(text: string): 'reject' | 'fail' {
  if (text === 'reject' || text === 'fail') return text
  throw new AppError('BadRequest', `--on-bad is "${text}".`, 'There are: reject, fail.')
}

function threadsOf(text: string): number {
  if (/^[1-9]\d{0,3}$/.test(text)) return Number(text)
  throw new AppError('BadRequest', `--threads is "${text}".`, 'Say a whole number from 1.')
}

/** At most once a second, on a line of its own that is overwritten where there is a terminal. */
function progressOn({ io, now }: CliContext): (rows: number) => void {
  const began = now()
  let toldAt = began
  return (rows) => {
    if (io.json || now() - toldAt < 1_000) return
    toldAt = now()
    const perSecond = Math.round((rows * 1000) / Math.max(1, toldAt - began))
    io.err(`${io.isTty ? '\r' : ''}${rows} rows, ${perSecond} per second${io.isTty ? '  ' : '\n'}`)
  }
}
