/** `times`: errors of ours in a row, counted from 1, while one and the same step was carried. */
export type AfterTrouble = { outcome: 'again' | 'ends'; waitMs: number }

const firstWaitMs = 1_000
const longestWaitMs = 60_000
/** About four minutes: a full table of descriptors or a restart of what we ask takes less. */
const mostTries = 10

/**
 * What follows when Modelwright itself failed at a step: the same again, after a pause that doubles up to a minute, and in the end the
 * step's end. `isPassing`: storage that does not answer ends nothing, for it comes back, and nothing could be written down meanwhile.
 */
export function afterTrouble(times: number, { isPassing }: { isPassing: boolean }): AfterTrouble {
  const waitMs = Math.min(longestWaitMs, firstWaitMs * 2 ** (times - 1))
  return { outcome: times >= mostTries && !isPassing ? 'ends' : 'again', waitMs }
}
