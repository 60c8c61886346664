import { describe, expect, it } from 'vitest'
import {
  checkOnlineScoring,
  checkSampleRate,
  checkScorerName,
  checkSerializedScorer,
  checkTraceFilter,
} from './serialized-scorer.ts'

describe('a scorer', () => {
  it.each([
    '{}',
    '{"name": "s", "call_source": null}',
    '{"builtin_scorer_class": "X", "builtin_scorer_pydantic_data": {"model": "openai:/gpt-4o"}}',
    '{"third_party_scorer_data": {"kwargs": {"threshold": 0.5}}}',
    '{"third_party_scorer_data": {"kwargs": null}}',
  ])('%s is kept', (serialized) => {
    expect(() => checkSerializedScorer(serialized)).not.toThrow()
  })

  it.each([
    ['{bad', 'must be valid JSON'],
    ['[1]', 'must be a JSON object'],
    ['{"ensemble_scorer_data": {"scorers": [{"call_source": "print(1)"}]}}', 'Custom scorer registration'],
    ['{"instructions_judge_pydantic_data": {"model": " "}}', 'cannot be empty'],
    ['{"builtin_scorer_pydantic_data": {"model": 5}}', 'must be a string'],
    [
      '{"memory_augmented_judge_data": {"base_judge": {"builtin_scorer_pydantic_data": {"model": "gateway:/x"}}}}',
      "GatewayEndpoint not found (name='x')",
    ],
    ['{"third_party_scorer_data": {"kwargs": [1]}}', 'must be a JSON object, got list'],
    [
      '{"a": [{"third_party_scorer_data": {"kwargs": {"o": [["base_url", 1]], "api_base": 2}}}]}',
      "must not contain 'api_base', 'base_url'",
    ],
  ])('%s is not kept', (serialized, words) => {
    expect(() => checkSerializedScorer(serialized)).toThrow(words)
  })

  it('has a name, and judges no share of traces as they come in', () => {
    expect(() => checkScorerName(' \t')).toThrow('only whitespace')
    expect(() => checkOnlineScoring('s', 0)).not.toThrow()
    expect(() => checkOnlineScoring('s', 0.1)).toThrow("Scorer 's' does not use a gateway model")
    for (const rate of [-0.1, 1.1, Number.NaN]) expect(() => checkSampleRate(rate)).toThrow('between 0.0 and 1.0')
  })
  it('is asked for traces in the grammar of their search', () => {
    for (const filter of [undefined, '', "status = 'OK'"]) expect(() => checkTraceFilter(filter)).not.toThrow()
    expect(() => checkTraceFilter('x =')).toThrow('Invalid')
  })
})
