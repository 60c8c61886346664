import type { EpochMs } from '../../kernel/time.ts'

/** Who holds memory: an endpoint with what its models take. */
export type Tenant = {
  name: string
  bytes: number
  lastUsedAt: EpochMs
  /** Computes nothing, nobody waits for it, and it is in no swap or rollout. */
  maySleep: boolean
  /** Bytes among those that are being given back. */
  leavingBytes: number
}

export type RoomDecision =
  | { outcome: 'fits' }
  /** These go to sleep first. */
  | { outcome: 'after'; names: string[] }
  /** Somebody computes, or is on the way out: ask again. */
  | { outcome: 'wait' }

/**
 * Room for a model of `needed` bytes under `budget`: whoever was used least recently sleeps, and no more of them than it takes. What is
 * larger than the whole budget asks for all of it, and is alone then: that it was too large is for a measurement to say.
 */
export function makeRoom(budget: number, needed: number, tenants: readonly Tenant[]): RoomDecision {
  const missing = Math.min(needed, budget) - (budget - sumOf(tenants, (one) => one.bytes))
  if (missing <= 0) return { outcome: 'fits' }
  let coming = sumOf(tenants, (one) => one.leavingBytes)
  const names: string[] = []
  for (const one of tenants.filter((tenant) => tenant.maySleep).toSorted(byAge)) {
    if (coming >= missing) break
    coming += one.bytes - one.leavingBytes
    names.push(one.name)
  }
  // Nobody loses its model for a room that would still be too small.
  return names.length > 0 && coming >= missing ? { outcome: 'after', names } : { outcome: 'wait' }
}

const byAge = (a: Tenant, b: Tenant): number => a.lastUsedAt - b.lastUsedAt || (a.name < b.name ? -1 : 1)

const sumOf = <Of>(list: readonly Of[], value: (one: Of) => number): number =>
  list.reduce((sum, one) => sum + value(one), 0)
