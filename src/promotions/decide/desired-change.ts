import { type Digest, shortDigest } from '../../kernel/digest.ts'

export type DesiredChange = {
  /** Versions that the environment declared, oldest first, up to and with the one before this change. */
  history: readonly (Digest | undefined)[]
  now: Digest | undefined
  /** The authenticated person who moved the branch; undefined: Modelwright itself, or nobody known. */
  person: string | undefined
}

/** What a change of desired state means for what may go there by itself. Pure. */
export type ChangeMeaning = {
  /** The version that this change took back, with the reason: barred from then on. */
  reverted?: { digest: Digest; reason: string }
  /** A person put this version there knowingly: a bar on it is lifted. */
  lifted?: Digest
}

/** A change to a version that was declared earlier than the one it replaces takes that one back, however it was written. */
export function meaningOf({ history, now, person }: DesiredChange): ChangeMeaning {
  const before = history.at(-1)
  const who = person ? ` by ${person}` : ''
  const lifted = person && now ? { lifted: now } : {}
  if (!before || before === now) return lifted
  if (!now) return { reverted: { digest: before, reason: `taken out of desired state${who}` } }
  const first = history.indexOf(now)
  if (first === -1 || first > history.indexOf(before)) return lifted
  return { reverted: { digest: before, reason: `reverted to ${shortDigest(now)}${who}` }, ...lifted }
}
