import type { Trigger } from '../execution.ts'

/**
 * Whether an execution is given the secrets that its steps ask for. What somebody from outside proposes (a pull request from a fork)
 * never is: its code could send them away. Everything else comes from people and rules that already write to the repository here. A
 * kind that is not named here is given none.
 */
export function givesSecrets({ kind }: { kind: Trigger['kind'] | (string & {}) }): boolean {
  return trusted.has(kind)
}

const trusted: ReadonlySet<string> = new Set<Trigger['kind']>([
  'push',
  'run',
  'person',
  'reproduction',
  'drift',
  'metric',
  'schedule',
])
