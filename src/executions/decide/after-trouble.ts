/** `times`: errors in a row, counted from 1, while one and the same step was carried; `ours`: those of them that storage did not make. */
export type Troubles = { times: number; ours: number }
export type AfterTrouble = { outcome: 'again' | 'ends'; waitMs: number }

const firstWaitMs = 1_000
const longestWaitMs = 60_000
/** About four minutes: a full table of descriptors or a restart of what we ask takes less. */
const mostTries = 10

/**
 * What follows when Modelwright itself failed at a step: the same again, after a pause that doubles up to a minute, and in the end the
 * step's end. Storage that does not answer ends nothing, for it comes back, and nothing could be written down meanwhile.
 */
export function afterTrouble({ times, ours }: Troubles): AfterTrouble {
  const waitMs = Math.min(longestWaitMs, firstWaitMs * 2 ** (times - 1))
  return { outcome: ours >= mostTries ? 'ends' : 'again', waitMs }
}
