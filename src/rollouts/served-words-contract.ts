import type { OutputOf } from '../kernel/route.ts'
import { formatBytes } from '../kernel/units.ts'
import type { getDeployment, getGateway } from './rollouts-contract.ts'

export type ServedEndpoint = NonNullable<OutputOf<typeof getDeployment>['endpoint']>
export type ServedVersion = ServedEndpoint['versions'][number]
export type Gateway = OutputOf<typeof getGateway>

/** `ready`; of what is not in memory with the word for why: `asleep, idle`. The same in CLI and pages. */
export const servedWord = ({ state, cause }: ServedVersion): string => (cause ? `${state}, ${cause}` : state)

/** `ONNX`, `Python`, `Python, 2 processes`. */
export function computedText({ computes, workers = [] }: ServedVersion): string {
  if (computes === 'onnx') return 'ONNX'
  return workers.length > 1 ? `Python, ${workers.length} processes` : 'Python'
}

/** What its processes take together, else what is reserved for it; undefined where nothing was measured. */
export function memoryOf({ workers = [], memoryBytes: reserved }: ServedVersion): number | undefined {
  const measured = workers.flatMap(({ memoryBytes }) => memoryBytes ?? [])
  return measured.length === 0 ? reserved : measured.reduce((sum, bytes) => sum + bytes, 0)
}

/** `range 12`, `missing 3`: most first. */
export const kindTexts = (byKind: Record<string, number>): string[] =>
  Object.entries(byKind)
    .sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1))
    .map(([kind, n]) => `${kind} ${number(n)}`)

const number = (n: number): string => n.toLocaleString('en')

export const sumOf = (byKind: Record<string, number>): number => Object.values(byKind).reduce((sum, n) => sum + n, 0)

/** Who is there now, and who was told to come again; undefined where nobody had to wait. */
export function crowdText({
  inside,
  waiting,
  turnedAway,
}: NonNullable<ServedEndpoint['requests']>): string | undefined {
  if (waiting + turnedAway === 0) return undefined
  return `requests: ${number(inside)} inside, ${number(waiting)} waiting, ${number(turnedAway)} turned away`
}

/** One text for each way in which inputs were wrong; none where none was. */
export function inputsTexts({ refused, warned, imputed }: NonNullable<ServedEndpoint['inputs']>): string[] {
  return [
    ...(sumOf(refused) > 0 ? [`inputs refused: ${kindTexts(refused).join(', ')}`] : []),
    ...(sumOf(warned) > 0 ? [`answered with warnings: ${kindTexts(warned).join(', ')}`] : []),
    ...(imputed > 0 ? [`${number(imputed)} ${imputed === 1 ? 'value' : 'values'} imputed`] : []),
  ]
}

export const replacedText = (processes: number): string =>
  processes === 1
    ? '1 process was replaced because it took more memory than it may'
    : `${processes} processes were replaced because they took more memory than they may`

/** `1.2 GB of 4.0 GB`. */
export const budgetText = ({ used, budget }: NonNullable<Gateway['memory']>): string =>
  budget === undefined ? formatBytes(used) : `${formatBytes(used)} of ${formatBytes(budget)}`

/** `3 processes`, or how many of them answer; undefined where it is one. */
export function processesText({ processes }: Gateway): string | undefined {
  if (!processes) return undefined
  const { of, answering } = processes
  return answering.length === of ? `${of} processes` : `${answering.length} of ${of} processes answer`
}

export const isWhole = ({ processes }: Gateway): boolean => !processes || processes.answering.length === processes.of
