import type { Digest } from '../../kernel/digest.ts'
import type { Cause, Comparison, PassRole, Predictions, RandomSource, Reproduction } from '../reproduction.ts'
import { type ComparisonFacts, compareExecutions, type StepFacts, sameResult } from './compare-executions.ts'

/** A pass as it stands; `steps` once it has ended well. */
export type Pass =
  | { state: 'under way' }
  | { state: 'succeeded'; steps: readonly StepFacts[] }
  | { state: 'failed'; why: string }

/** What is held still in a pass: the hash seed of Python's texts, the clock (epoch ms), the entropy of the system. */
export type Controls = { hash?: number; clock?: number; random?: number }

export type PassFacts = {
  reproduction: Pick<Reproduction, 'runs' | 'tolerance' | 'createdAt'>
  recorded: readonly StepFacts[]
  /** When each step of the record began. */
  recordedAt: Readonly<Record<string, number>>
  passes: Partial<Record<PassRole, Pass>>
  packages: ComparisonFacts['packages']
  /** Of the rebuilt models, once they were asked. */
  predictions?: Record<string, Predictions>
  /** What really stands in the record's environment, package → version, once it was looked at. */
  installed?: Readonly<Record<string, string>>
}

export type Move =
  | { move: 'wait' }
  /** Without a step the whole pipeline. */
  | { move: 'start'; role: PassRole; step?: string; controls?: Controls }
  | { move: 'ask models'; models: string[] }
  | { move: 'list packages'; lock: Digest }
  | { move: 'judge'; comparison: Comparison }
  | { move: 'give up'; why: string }

/**
 * What to do next for a reproduction, from what is recorded alone, so that it goes on after any crash.
 *
 * The whole is rebuilt once (or twice). Where the first difference is explained by no input, its step is run again: two passes that
 * differ from each other show a source of chance. Then everything that can be held still is, and each source let free in turn: the
 * result changes with those that the step depends on.
 */
export function nextPass(facts: PassFacts): Move {
  const rebuild = facts.passes.rebuild
  if (!rebuild) return { move: 'start', role: 'rebuild' }
  if (rebuild.state === 'under way') return { move: 'wait' }
  if (rebuild.state === 'failed') return { move: 'give up', why: rebuild.why }
  const asked = askModels(facts, rebuild.steps)
  if (asked) return asked
  const comparison = compare(facts, rebuild.steps)
  if (comparison.first) return explain(facts, rebuild.steps, comparison)
  if (facts.reproduction.runs === 1) return { move: 'judge', comparison }
  const second = facts.passes['second rebuild']
  if (!second) return { move: 'start', role: 'second rebuild' }
  if (second.state === 'under way') return { move: 'wait' }
  if (second.state === 'failed') return { move: 'give up', why: second.why }
  const again = compare(facts, second.steps)
  return again.first ? explain(facts, second.steps, again) : { move: 'judge', comparison: again }
}

const compare = ({ recorded, packages, reproduction, predictions }: PassFacts, rebuilt: readonly StepFacts[]) =>
  compareExecutions({
    ...{ recorded, rebuilt, packages, tolerance: reproduction.tolerance },
    ...(predictions ? { predictions } : {}),
  })

/** Models whose files differ are asked the same rows, where their metrics leave the matter open. */
function askModels(facts: PassFacts, rebuilt: readonly StepFacts[]): Move | undefined {
  if (facts.predictions) return undefined
  const { steps } = compare(facts, rebuilt)
  const models = steps.flatMap(({ model }) => (model && !model.same ? [model.name] : []))
  const open = models.length > 0 && steps.every(({ metrics }) => metrics.every(({ within }) => within))
  return open ? { move: 'ask models', models } : undefined
}

const freed = [
  { role: 'free hash seed', control: 'hash', source: 'hash seed' },
  { role: 'free clock', control: 'clock', source: 'clock' },
  { role: 'free random numbers', control: 'random', source: 'random numbers' },
] as const satisfies readonly { role: PassRole; control: keyof Controls; source: RandomSource }[]

/** Finds out why the first differing step differs; each question is one pass of that step. */
function explain(facts: PassFacts, rebuilt: readonly StepFacts[], comparison: Comparison): Move {
  const { step, causes } = comparison.first!
  const judged = (found: Cause[]): Move => ({
    move: 'judge',
    comparison: { ...comparison, first: { step, causes: found } },
  })
  if (causes.length > 0) return judged(causes)
  const ask = question(facts, step)
  const base = stepIn(rebuilt, step)

  const twin = ask('twin')
  if ('move' in twin) return twin
  if (twin.failed !== undefined) return judged([unsure(twin.failed)])
  if (sameResult(twin.facts, base)) {
    const second = ask('second twin')
    if ('move' in second) return second
    if (second.failed !== undefined) return judged([unsure(second.failed)])
    if (sameResult(second.facts, base)) return steadyHere(facts, step, ask, judged)
  }
  return whichSource(facts, ask, judged)
}

type Judged = (causes: Cause[]) => Move
type Ask = ReturnType<typeof question>

const still = ({ reproduction }: PassFacts): Required<Controls> => ({
  hash: 0,
  clock: reproduction.createdAt,
  random: 0,
})

function whichSource(facts: PassFacts, ask: Ask, judged: Judged): Move {
  const held = ask('held still', still(facts))
  if ('move' in held) return held
  const again = ask('held still again', still(facts))
  if ('move' in again) return again
  if (held.failed !== undefined) return judged([restless(held.failed)])
  if (again.failed !== undefined) return judged([restless(again.failed)])
  if (!sameResult(held.facts, again.facts)) return judged([{ kind: 'random source', source: 'other' }])
  const sources: RandomSource[] = []
  for (const { role, control, source } of freed) {
    const { [control]: _, ...controls } = still(facts)
    const free = ask(role, controls)
    if ('move' in free) return free
    if (free.failed === undefined && !sameResult(free.facts, held.facts)) sources.push(source)
  }
  return judged(
    sources.length > 0
      ? sources.map((source) => ({ kind: 'random source', source }))
      : [
          {
            kind: 'not found',
            text: 'it gives another result each time, and the same with any one source let free: run it again',
          },
        ],
  )
}

/** The same here each time. A clock read of coarse grain (a date) shows when the clock stands as it did then. */
function steadyHere(facts: PassFacts, step: string, ask: Ask, judged: Judged): Move {
  const at = facts.recordedAt[step]
  if (at === undefined) return notHere(facts, step, judged)
  const then = ask('clock as recorded', { clock: at })
  if ('move' in then) return then
  const asRecorded = then.failed === undefined && sameResult(then.facts, stepIn(facts.recorded, step))
  return asRecorded ? judged([{ kind: 'random source', source: 'clock' }]) : notHere(facts, step, judged)
}

/** The environment may hold something else than its lock says: somebody changed it by hand, or a disk did. */
function notHere(facts: PassFacts, step: string, judged: Judged): Move {
  const lock = stepIn(facts.recorded, step).key?.environment
  const locked = lock && facts.packages[lock]
  if (!lock || lock === 'none' || !locked) return judged([{ kind: 'machine' }])
  const { installed } = facts
  if (!installed) return { move: 'list packages', lock }
  const changed = Object.entries(locked).filter(([name, version]) => !isAddress(version) && installed[name] !== version)
  if (changed.length === 0) return judged([{ kind: 'machine' }])
  return judged(
    changed.map(([name, was]) => {
      const is = installed[name]
      return { kind: 'package', name, was, ...(is === undefined ? {} : { is }) }
    }),
  )
}

/** A package from an address has no version in the lock. */
const isAddress = (version: string): boolean => version.includes('/')

type Answer = Move | { failed: string } | { failed: undefined; facts: StepFacts }

/** One pass of one step: started if it was not yet, waited for, or its answer. */
function question({ passes }: PassFacts, step: string) {
  return (role: PassRole, controls?: Controls): Answer => {
    const pass = passes[role]
    if (!pass) return { move: 'start', role, step, ...(controls ? { controls } : {}) }
    if (pass.state === 'under way') return { move: 'wait' }
    return pass.state === 'failed' ? { failed: pass.why } : { failed: undefined, facts: stepIn(pass.steps, step) }
  }
}

const restless = (why: string): Cause => ({
  kind: 'not found',
  text: `it gives another result each time, and fails with clock and chance held still: ${why}`,
})

const unsure = (why: string): Cause => ({ kind: 'not found', text: `running it once more failed: ${why}` })

const stepIn = (steps: readonly StepFacts[], step: string): StepFacts =>
  steps.find((one) => one.step === step) ?? { step }
