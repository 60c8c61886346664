import { describe, expect, it } from 'vitest'
import { draftOf } from './dataset-record.ts'
import { mergedSchema, noFields, seeFields } from './dataset-schema.ts'
import { parseJson } from './exact-json.ts'

function schemaAfter(known: string | undefined, ...records: string[]): unknown {
  const fields = noFields()
  for (const record of records) seeFields(fields, draftOf(parseJson(record, 'a test')))
  return JSON.parse(mergedSchema(known, fields))
}

describe('the schema of an evaluation dataset', () => {
  it('is written as clients of MLflow read it', () => {
    const fields = noFields()
    seeFields(
      fields,
      draftOf(parseJson('{"inputs": {"q": 1.0}, "outputs": "hello", "expectations": {"a": NaN}}', 'a test')),
    )
    // What a stock server (3.17.2) answered for these records.
    expect(mergedSchema(undefined, fields)).toBe(
      '{"inputs": {"q": "float"}, "outputs": "string", "expectations": {"a": "float"}, "version": "1.0"}',
    )
  })

  it.each([
    ['null', 'null'],
    ['true', 'boolean'],
    ['3', 'integer'],
    ['3.0', 'float'],
    ['1e3', 'float'],
    ['"x"', 'string'],
    ['[1]', 'array'],
    ['{}', 'object'],
  ])('%s is of type %s', (value, type) => {
    expect(schemaAfter(undefined, `{"inputs": {"k": ${value}}}`)).toMatchObject({ inputs: { k: type } })
  })

  it('keeps what was seen first, and adds fields that are new', () => {
    const known = '{"inputs": {"a": "integer"}, "outputs": {"o": "string"}, "expectations": {}, "version": "1.0"}'
    expect(schemaAfter(known, '{"inputs": {"a": "x", "b": "x"}, "outputs": {"o": 1, "p": 1}}')).toEqual({
      inputs: { a: 'integer', b: 'string' },
      outputs: { o: 'string', p: 'integer' },
      expectations: {},
      version: '1.0',
    })
  })

  it('lets outputs be fields or one type, whichever came first', () => {
    expect(schemaAfter(undefined, '{"inputs": {}, "outputs": 5}', '{"inputs": {}, "outputs": {"a": 1}}')).toMatchObject(
      { outputs: 'integer' },
    )
    expect(schemaAfter(undefined, '{"inputs": {}, "outputs": {"a": 1}}', '{"inputs": {}, "outputs": 5}')).toMatchObject(
      { outputs: { a: 'integer' } },
    )
    const known = '{"inputs": {}, "outputs": "string", "expectations": {}, "version": "1.0"}'
    expect(schemaAfter(known, '{"inputs": {}, "outputs": {"a": 1}}')).toMatchObject({ outputs: 'string' })
  })
})
