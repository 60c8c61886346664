import { z } from 'zod'
import { fileSchema } from './file-schema.ts'

/** JSON Schema (draft 2020-12) of modelwright.yaml as it is written, for completion and checks in editors. */
export function projectFileJsonSchema(): Record<string, unknown> {
  return {
    title: 'modelwright.yaml',
    ...z.toJSONSchema(fileSchema, { io: 'input', unrepresentable: 'any' }),
  }
}
