import type { CommitId } from '../../kernel/ids.ts'

/** A push that was let through: whoever was authenticated wanted the branch to go from one commit to another. */
export type PushIntent = { from: CommitId | undefined; to: CommitId; actor: string }

export type BranchMove = { from: CommitId | undefined; to: CommitId; actor: string; pushed: boolean }

/**
 * The moves that brought a branch from the commit recorded last to where it is now, oldest first. Pushes that followed
 * each other before anyone looked are told apart by their intents; an intent that Git then refused lies on no way from
 * `recorded` to `head` and is left out. A way that no intents explain is one move by `otherwise`.
 * Empty where the branch did not move.
 */
export function branchMoves(
  recorded: CommitId | undefined,
  head: CommitId,
  intents: readonly PushIntent[],
  otherwise: string,
): BranchMove[] {
  if (recorded === head) return []
  const way = shortestWay(recorded, head, intents)
  if (way) return way.map(({ from, to, actor }) => ({ from, to, actor, pushed: true }))
  const last = intents.find((intent) => intent.to === head)
  return [{ from: recorded, to: head, actor: last?.actor ?? otherwise, pushed: last !== undefined }]
}

/** Breadth first, so that a detour through a push that Git refused is never preferred. */
function shortestWay(
  start: CommitId | undefined,
  head: CommitId,
  intents: readonly PushIntent[],
): PushIntent[] | undefined {
  const seen = new Set<CommitId | undefined>([start])
  let ways: PushIntent[][] = [[]]
  while (ways.length > 0) {
    const longer: PushIntent[][] = []
    for (const way of ways) {
      const at = way.length > 0 ? way[way.length - 1]!.to : start
      for (const intent of intents) {
        if (intent.from !== at || seen.has(intent.to)) continue
        if (intent.to === head) return [...way, intent]
        seen.add(intent.to)
        longer.push([...way, intent])
      }
    }
    ways = longer
  }
  return undefined
}
