import type { CommitId } from '../kernel/ids.ts'
import type { Actor } from '../kernel/route.ts'
import type { Quarantine } from '../ports/repository.ts'

/** What a push wants of one ref: `from` is absent for a new one, `to` for one that is to go. */
export type RefUpdate = {
  ref: string
  from?: CommitId
  to?: CommitId
  /** Whether `to` holds all of `from`'s history; only meaningful where both are there. */
  fastForward: boolean
}

export type Push = { project: string; actor: Actor; updates: RefUpdate[] }

/** Its objects lie in the quarantine until it is accepted; a push that only deletes has none. */
export type JudgedPush = Push & { quarantine?: Quarantine }

/** One branch of a push, whose commit is to be planned. */
export type BranchPush = {
  project: string
  branch: string
  from?: CommitId
  to: CommitId
  quarantine?: Quarantine
  actor: Actor
}

/**
 * Checks the file at a pushed commit and plans it; gives the lines that the pusher is shown. Throws ConfigInvalid or
 * NotYetSupported where the push must not come in. Never waits for environments or runs: a person sits at the other end.
 */
export type PlanPush = (push: BranchPush) => Promise<string[]>

export type PushAnswer = { accepted: boolean; lines: string[] }
