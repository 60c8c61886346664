import { describe, expect, it } from 'vitest'
import { draftOf, inputHashOf, mergedContent, newContent } from './dataset-record.ts'
import { type JsonObject, parseJson } from './exact-json.ts'

const draft = (record: string) => draftOf(parseJson(record, 'a test'))

describe('a record of an evaluation dataset', () => {
  it.each([
    // Each: hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest() of Python.
    ['{}', '44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a'],
    ['{"q": 1}', '7a160a56eccfdb867c16771db3cc3a789f06a1245c8bbd7d8c2f6eaa3645852d'],
    ['{"ü": 1.0, "a": [null, true]}', '8531043eaf383dec470f85a9c2deba36c76ebd8e5b61e87c57486330273cfdbb'],
  ])('is what it asks: %s', (inputs, hash) => {
    expect(inputHashOf(parseJson(inputs, 'a test') as JsonObject)).toBe(hash)
  })

  it('is the same whatever the order of the keys, and another for 1 and 1.0', () => {
    const hash = (record: string) => draft(record).inputHash
    expect(hash('{"inputs": {"a": {"x": 1, "y": 2}, "b": 3}}')).toBe(
      hash('{"inputs": {"b": 3, "a": {"y": 2, "x": 1}}}'),
    )
    expect(hash('{"inputs": {"a": 1}}')).not.toBe(hash('{"inputs": {"a": 1.0}}'))
  })

  it.each([
    ['{"inputs": {}}', '{}'],
    ['{"inputs": {}, "outputs": null}', null],
    ['{"inputs": {}, "outputs": "x"}', '"x"'],
  ])('%s has the outputs %s', (record, outputs) => {
    expect(newContent(draft(record)).outputs).toBe(outputs)
  })

  it('keeps who logged it, and where it came from', () => {
    const record =
      '{"inputs": {"q": 1}, "tags": {"mlflow.user": "me"}, "source": {"source_type": "trace", "source_data": {"trace_id": "tr-1"}}}'
    expect(newContent(draft(record))).toEqual({
      inputs: '{"q": 1}',
      outputs: '{}',
      expectations: null,
      tags: '{"mlflow.user": "me"}',
      source: '{"source_type": "TRACE", "source_data": {"trace_id": "tr-1"}}',
      source_id: 'tr-1',
      source_type: 'TRACE',
      created_by: 'me',
      updated_by: 'me',
    })
  })

  it('merged again: told outputs replace, expectations and tags join, the source and who made it stay', () => {
    const known = newContent(
      draft(
        '{"inputs": {"q": 1}, "outputs": "a", "expectations": {"x": 1.0}, "tags": {"mlflow.user": "me", "t": "1"}, "source": {"source_type": "HUMAN"}}',
      ),
    )
    const more = draft(
      '{"inputs": {"q": 1}, "outputs": null, "expectations": {"y": 2}, "tags": {"mlflow.user": "you"}, "source": {"source_type": "CODE"}}',
    )
    expect(mergedContent(known, more)).toEqual({
      ...known,
      outputs: null,
      expectations: '{"x": 1.0, "y": 2}',
      tags: '{"mlflow.user": "you", "t": "1"}',
      updated_by: 'you',
    })
    expect(mergedContent(known, draft('{"inputs": {"q": 1}}'))).toEqual(known)
  })

  it.each([
    ['1', 'Each record must be a dictionary'],
    ['{"inputs": null}', 'inputs must be provided'],
    ['{"inputs": [1]}', "Field 'inputs'"],
    ['{"inputs": {}, "expectations": NaN}', "Field 'expectations'"],
    ['{"inputs": {}, "tags": "x"}', "Field 'tags'"],
    ['{"inputs": {}, "source": "x"}', "Field 'source'"],
    [
      '{"inputs": {}, "source": {"source_type": "BOGUS"}}',
      "Invalid dataset record source type: BOGUS. Valid source types: ['UNSPECIFIED', 'TRACE', 'HUMAN', 'DOCUMENT', 'CODE']",
    ],
  ])('%s is refused: %s', (record, words) => {
    expect(() => draft(record)).toThrow(words)
  })
})
