import { AppError, isAppError } from '../kernel/errors.ts'
import type { OutputOf } from '../kernel/route.ts'
import { formatMetric } from '../kernel/units.ts'
import { whyEnvironment, whyPrediction, whyVersion } from '../lineage/lineage-contract.ts'
import { deploymentState, promotionState, reproductionState, rolloutState } from '../lineage/shown-states-contract.ts'
import type { CliContext } from './context.ts'
import { triggerText } from './find-execution.ts'
import type { CliIo } from './io.ts'
import { verdictLines } from './run.ts'
import { stateText } from './state-text.ts'
import { authorName } from './status.ts'
import { aligned } from './table.ts'
import { digestOfVersion } from './versions.ts'
import { count, percent, shortCommit, shortId, timeAgo, timeText, tookText } from './words.ts'

type EnvironmentStory = OutputOf<typeof whyEnvironment>
type PredictionStory = OutputOf<typeof whyPrediction>
type VersionStory = OutputOf<typeof whyVersion>
type Color = CliIo['color']

const isPredictionId = (text: string): boolean => /^[0-9a-hjkmnp-tv-z]{40}(:\d+)?$/i.test(text)

/** `modelwright why production`, `why PREDICTION_ID`, `why MODEL@VERSION`, `why sha256:…`. */
export async function why(context: CliContext, what: string): Promise<number> {
  const client = await context.client()
  const version = /^(.+)@v?(\d+)$/.exec(what)
  if (what.startsWith('sha256:')) return tellVersion(context, what)
  if (version) return tellVersion(context, await digestOfVersion(context, version[1]!, Number(version[2])))
  if (isPredictionId(what)) {
    const story = await client(whyPrediction, { params: { id: what } })
    return tell(context, story, () => predictionLines(story, context.now(), context.io.color))
  }
  const project = await context.project()
  try {
    const story = await client(whyEnvironment, { params: { project, environment: what } })
    return tell(context, story, () => environmentLines(story, context.now(), context.io.color))
  } catch (error) {
    if (!isAppError(error, 'NotFound')) throw error
    throw new AppError('NotFound', error.message, `${error.next} Or name a prediction id, or MODEL@VERSION.`, {
      cause: error,
    })
  }
}

async function tellVersion(context: CliContext, digest: string): Promise<number> {
  const story = await (await context.client())(whyVersion, { params: { digest } })
  return tell(context, story, () => versionLines(story, context.now(), context.io.color))
}

function tell({ io }: CliContext, story: object, lines: () => string[]): number {
  io.out(io.json ? `${JSON.stringify(story)}\n` : `${lines().join('\n')}\n`)
  return 0
}

export function environmentLines(story: EnvironmentStory, now: number, color: Color): string[] {
  const { deployment, environment } = story
  const shares = deployment.weights.map(({ version, weight }) => `v${version} ${percent(weight)}`).join(', ')
  return [
    story.sentence,
    '',
    ...chain(
      [
        [
          environment,
          `${stateText(color, deploymentState[deployment.state], deployment.state)}${shares ? `  ${shares}` : ''}${deployment.reason ? `  ${color.dim(deployment.reason)}` : ''}`,
        ],
        ...placeRows(story, now, color),
        ...(story.version ? versionRows(story.version, now, color) : []),
      ],
      color,
    ),
    ...verdictPart(story.version, color),
    ...rolloutPart(story.rollout, now, color),
  ]
}

export function predictionLines(story: PredictionStory, now: number, color: Color): string[] {
  const { decoded, record } = story
  const rows = record?.rows
    .slice(0, 5)
    .map(({ input, output }) => `${shortJson(input)} ${color.dim('→')} ${shortJson(output)}`)
  return [
    story.sentence,
    '',
    ...chain(
      [
        ['prediction', `${story.id}  ${timeText(decoded.at)}, ${timeAgo(decoded.at, now)}`],
        ...(record
          ? [
              [
                'answer',
                `${record.outcome} in ${formatMetric(record.latencyMs)} ms${record.error ? `: ${record.error}` : ''}`,
              ] as const,
            ]
          : []),
        ...(rows ?? []).map((row) => ['', row] as const),
        ...placeRows(story, now, color),
        ...(story.version ? versionRows(story.version, now, color) : []),
      ],
      color,
    ),
    ...verdictPart(story.version, color),
  ]
}

export function versionLines(story: VersionStory, now: number, color: Color): string[] {
  return [...chain(versionRows(story, now, color), color), ...verdictPart(story, color)]
}

type Row = readonly [string, string]

/** The chain reads downwards: each line is where the one above comes from. */
const chain = (rows: readonly Row[], color: Color): string[] =>
  aligned(rows.map(([name, text]) => [name === '' ? '' : color.bold(name), text]))

function placeRows(
  { promotion, declared, rollout }: Pick<EnvironmentStory, 'promotion' | 'declared' | 'rollout'>,
  now: number,
  color: Color,
): Row[] {
  const rows: Row[] = []
  if (rollout)
    rows.push([
      'rollout',
      `${stateText(color, rolloutState[rollout.state], rollout.state)}  ${rollout.straight ?? `canary ${rollout.canary.map(percent).join(', ')}`}, began ${timeAgo(rollout.createdAt, now)}`,
    ])
  if (promotion) {
    const who = promotion.decidedBy ?? (promotion.state === 'committed' ? 'Modelwright, as the file says' : '')
    rows.push([
      'promotion',
      `${stateText(color, promotionState[promotion.state], promotion.state)}${who ? ` by ${who}` : ''}, ${timeAgo(promotion.updatedAt, now)}${promotion.commit ? `, commit ${shortCommit(promotion.commit)}` : ''}`,
    ])
    if (promotion.reasons.length > 0) rows.push(['', color.dim(promotion.reasons.join('; '))])
  }
  if (declared)
    rows.push([
      'declared',
      `in Git by ${declared.actor}, ${timeAgo(declared.at, now)}, commit ${shortCommit(declared.commit)}`,
    ])
  return rows
}

function versionRows(story: VersionStory, now: number, color: Color): Row[] {
  const { run, execution, commit, data, environment, params, seed } = story
  const rows: Row[] = [['model', `${story.model} version ${story.version ?? '?'}  ${color.dim(story.digest)}`]]
  if (run)
    rows.push([
      'run',
      `${run.name} ${run.id}${run.endedAt === undefined ? '' : `, took ${tookText(run.startedAt, run.endedAt)}`}, ${timeAgo(run.startedAt, now)}`,
    ])
  if (execution)
    rows.push(['execution', `${shortId(execution.id)}  ${triggerText(execution.trigger)}, by ${execution.requestedBy}`])
  if (commit)
    rows.push([
      'commit',
      `${shortCommit(commit.id)}  ${commit.subject}  ${color.dim(`${authorName(commit.author)}, ${timeAgo(commit.at, now)}`)}`,
    ])
  if (story.unisolated) rows.push(['not isolated', `${story.unisolated.join(', ')}: saw the whole checkout`])
  for (const one of data) {
    rows.push([
      'data',
      `${one.dataset}  ${one.text}${one.rows === undefined ? '' : `, ${count(one.rows, 'row')}`}  ${color.dim(short(one.digest))}`,
    ])
    for (const part of one.parts)
      rows.push([
        '',
        `  of ${part.text}${part.rows === undefined ? '' : `, ${count(part.rows, 'row')}`}  ${color.dim(short(part.digest))}`,
      ])
  }
  rows.push([
    'environment',
    environment.digest === 'none'
      ? 'none declared'
      : `${environment.python ? `Python ${environment.python}, ${count(environment.packages ?? 0, 'package')}, locked` : 'locked'}  ${color.dim(short(environment.digest))}`,
  ])
  const given = Object.entries(params).flatMap(([step, values]) =>
    Object.entries(values).map(([name, value]) => `${step}.${name}=${value}`),
  )
  rows.push(['params', [...given, `seed ${seed}`].join(', ')])
  if (story.reproduced) {
    const { outcome, text, sentence } = story.reproduced
    rows.push(['made again', outcome ? stateText(color, reproductionState[outcome], text) : text])
    if (sentence) rows.push(['', color.dim(sentence)])
  }
  if (story.conversion) rows.push(['computed as', story.conversion.text])
  return rows
}

const verdictPart = (version: VersionStory | undefined, color: Color): string[] =>
  version?.verdict ? ['', ...verdictLines({ color }, version.verdict)] : []

function rolloutPart(rollout: EnvironmentStory['rollout'], now: number, color: Color): string[] {
  if (!rollout || rollout.decisions.length === 0) return []
  const rows = rollout.decisions.map(({ at, outcome, reasons }) => [
    timeAgo(at, now),
    outcome,
    color.dim(reasons.join('; ')),
  ])
  return ['', color.bold('how it went out'), ...aligned(rows).map((line) => `  ${line}`)]
}

const short = (digest: string): string => digest.replace(/^sha256:/, '').slice(0, 12)

function shortJson(value: unknown): string {
  const text = JSON.stringify(value) ?? '–'
  return text.length > 160 ? `${text.slice(0, 159)}…` : text
}
