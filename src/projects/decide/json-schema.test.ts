import { expect, it } from 'vitest'
import { projectFileJsonSchema } from './json-schema.ts'

it('offers an editor the words of the file and refuses others', () => {
  const schema = projectFileJsonSchema() as {
    properties: Record<string, unknown>
    required: string[]
    additionalProperties: unknown
  }
  expect(Object.keys(schema.properties)).toEqual([
    'project',
    'branch',
    'sample',
    'python',
    'data',
    'steps',
    'models',
    'deployments',
  ])
  expect(schema.required).toEqual(['project'])
  expect(schema.additionalProperties).toBe(false)
})

it('is plain JSON that names what each text must look like', () => {
  const text = JSON.stringify(projectFileJsonSchema())
  expect(text).toContain('a path, data:NAME or model:NAME')
  expect(text).toContain('a list of rising shares')
})
