import { describe, expect, it } from 'vitest'
import type { PassRole } from '../reproduction.ts'
import type { StepFacts } from './compare-executions.ts'
import { type Controls, type Move, nextPass, type Pass, type PassFacts } from './next-pass.ts'

const createdAt = 1_700_000_000_000
const recordedAt = 1_600_000_000_000

const result = (out: string): StepFacts['result'] => ({ files: { out }, metrics: {} })
const ended = (out: string): Pass => ({ state: 'succeeded', steps: [{ step: 'mix', result: result(out) }] })

const facts = (passes: PassFacts['passes'], more: Partial<PassFacts> = {}): PassFacts => ({
  reproduction: { runs: 1, tolerance: 0, createdAt },
  recorded: [{ step: 'mix', result: result('recorded') }],
  recordedAt: { mix: recordedAt },
  passes,
  packages: {},
  ...more,
})

/** A step that draws on the named sources, and the moves that find it out. */
function played(drawsOn: readonly (keyof Controls)[], given: { clockGrainMs?: number } = {}) {
  let drawn = 0
  const grain = given.clockGrainMs ?? 1
  const outOf = (controls: Controls | undefined): string =>
    (['hash', 'clock', 'random'] as const)
      .map((source) => {
        if (!drawsOn.includes(source)) return source
        const now = controls?.[source] ?? (source === 'clock' ? createdAt + drawn++ : drawn++)
        return source === 'clock' ? Math.floor(now / grain) : now
      })
      .join(' ')
  const recorded = [{ step: 'mix', result: result(outOf({ hash: -1, random: -1, clock: recordedAt })) }]
  const passes: Partial<Record<PassRole, Pass>> = {}
  for (;;) {
    const move = nextPass({ ...facts(passes), recorded })
    if (move.move !== 'start') return { move, roles: Object.keys(passes) }
    passes[move.role] = ended(outOf(move.controls))
  }
}

const causes = (move: Move) => (move.move === 'judge' ? move.comparison.first?.causes : move)

describe('what is done next for a reproduction', () => {
  it('rebuilds the whole, waits for it, and judges', () => {
    expect(nextPass(facts({}))).toEqual({ move: 'start', role: 'rebuild' })
    expect(nextPass(facts({ rebuild: { state: 'under way' } }))).toEqual({ move: 'wait' })
    expect(nextPass(facts({ rebuild: ended('recorded') }))).toMatchObject({
      move: 'judge',
      comparison: { outcome: 'identical' },
    })
  })

  it('gives up with the reason where it cannot be made at all', () => {
    expect(nextPass(facts({ rebuild: { state: 'failed', why: 'no wheel' } }))).toEqual({
      move: 'give up',
      why: 'no wheel',
    })
  })

  it('makes it twice where that was asked for, and judges by the worse', () => {
    const twice = { reproduction: { runs: 2, tolerance: 0, createdAt } as const }
    const rebuild = ended('recorded')
    expect(nextPass(facts({ rebuild }, twice))).toEqual({ move: 'start', role: 'second rebuild' })
    expect(nextPass(facts({ rebuild, 'second rebuild': ended('recorded') }, twice))).toMatchObject({
      comparison: { outcome: 'identical' },
    })
    expect(nextPass(facts({ rebuild, 'second rebuild': ended('other') }, twice))).toMatchObject({
      move: 'start',
      role: 'twin',
    })
  })

  it.each<[string, (keyof Controls)[], string[]]>([
    ['the hash seed', ['hash'], ['hash seed']],
    ['the clock', ['clock'], ['clock']],
    ['unseeded random numbers', ['random'], ['random numbers']],
    ['two of them', ['clock', 'random'], ['clock', 'random numbers']],
  ])('finds that a step draws on %s', (_, drawsOn, sources) => {
    const { move, roles } = played(drawsOn)
    expect(causes(move)).toEqual(sources.map((source) => ({ kind: 'random source', source })))
    expect(roles).toHaveLength(7)
  })

  it('finds a read of the date, which is the same all day, by setting the clock as it was', () => {
    const { move, roles } = played(['clock'], { clockGrainMs: 86_400_000 })
    expect(causes(move)).toEqual([{ kind: 'random source', source: 'clock' }])
    expect(roles).toEqual(['rebuild', 'twin', 'second twin', 'clock as recorded'])
  })

  it('says that it is the machine where the step gives the same here each time', () => {
    const here = ended('here')
    const passes = { rebuild: here, twin: here, 'second twin': here, 'clock as recorded': here }
    expect(causes(nextPass(facts(passes)))).toEqual([{ kind: 'machine' }])
  })

  it('names another source where holding all three still does not help', () => {
    const passes = { rebuild: ended('1'), twin: ended('2'), 'held still': ended('3'), 'held still again': ended('4') }
    expect(causes(nextPass(facts(passes)))).toEqual([{ kind: 'random source', source: 'other' }])
  })

  it('says what it could not find out where a pass fails', () => {
    const passes = { rebuild: ended('1'), twin: { state: 'failed', why: 'disk full' } as const }
    expect(causes(nextPass(facts(passes)))).toMatchObject([
      { kind: 'not found', text: expect.stringContaining('disk full') },
    ])
  })

  it('asks the models before it judges bytes that differ under equal metrics', () => {
    const withModel = (content: string): StepFacts[] => [
      { step: 'mix', result: { files: {}, metrics: { auc: 1 }, model: { name: 'm', content, files: {} } } },
    ]
    const given = facts({ rebuild: { state: 'succeeded', steps: withModel('b') } }, { recorded: withModel('a') })
    expect(nextPass(given)).toEqual({ move: 'ask models', models: ['m'] })
    const asked = { ...given, predictions: { m: { compared: true, rows: 2, equal: true } as const } }
    expect(nextPass(asked)).toMatchObject({ move: 'start', role: 'twin' })
  })
})
