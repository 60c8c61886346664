import { z } from 'zod'
import { addressProblem } from '../../kernel/data-address.ts'
import { map, named, notYet, Refused, written } from './grammar.ts'
import { isGlob } from './repository-path.ts'
import { bound, environmentVariable, repositoryPath, scalar } from './schema-words.ts'

// `data:` of modelwright.yaml.

const dataPath = written('the path of a file in Git, of a .dvc pointer, or https://…', (text) => {
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) return dataAddress(text)
  if (/@(sha256:.*|[0-9a-f]{6,})$/.test(text)) return notYet(`a dataset by its digest (${text}); name a file in Git`)
  // What the pointer stands for lies beside it, once DVC's remote has given it.
  const read = repositoryPath(text.replace(/\.dvc$/, ''))
  if (read instanceof Refused) return read
  if (read === '.' || text.endsWith('/')) return notYet('a folder as data; name a file in Git')
  return isGlob(read) ? notYet('a pattern as data; name a file in Git') : { path: read }
})

function dataAddress(text: string): { address: string } | Refused {
  if (/^(s3|gs|az|abfss?|hdfs|wasbs?):/i.test(text))
    return notYet(`data in an object store (${text}); name an https:// address`)
  const problem = addressProblem(text)
  // Without the text itself: a password in it would be shown.
  return problem ? new Refused(`found an address that ${problem}`) : { address: new URL(text).href }
}

const rowsCheck = map({ rows: bound })
  .transform(({ rows }) => ({ kind: 'rows' as const, rows }))
  .describe('a check of the whole table: { rows: ">= 300" }')

const columnCheck = map(
  {
    column: z.string().min(1).describe('the name of a column'),
    type: z.enum(['number', 'integer', 'string', 'boolean']).optional(),
    range: z
      .tuple([z.number().nullable(), z.number().nullable()])
      .refine(([low, high]) => low === null || high === null || low <= high, {
        error: 'the range begins after its end',
      })
      .transform(([low, high]) => ({ ...(low === null ? {} : { min: low }), ...(high === null ? {} : { max: high }) }))
      .describe('a range such as [0, 100]; null leaves an end open')
      .optional(),
    values: z.array(scalar).min(1).describe('a list of the allowed values').optional(),
    missing: bound.optional(),
    unique: z.boolean().optional(),
    regex: written('a regular expression', (text) => {
      try {
        new RegExp(text, 'u')
        return text
      } catch (error) {
        return new Refused(error instanceof Error ? error.message : undefined)
      }
    }).optional(),
    at: z.enum(['training', 'inference', 'both']).default('both'),
  },
  ['length', 'dates', 'monotonic', 'quantiles', 'foreign_key', 'severity', 'freshness', 'mean'],
)
  .transform((check) => ({ kind: 'column' as const, ...check }))
  .describe('a check of one column: { column: mean_radius, type: number, range: [0, 100] }')

const check = z.union([rowsCheck, columnCheck]).describe('a check: { rows: … } or { column: … }')

export const dataSource = map(
  {
    path: dataPath,
    key: z.string().min(1).describe('the name of a column').optional(),
    plus: map({
      predictions: named('the name of an environment'),
      labelled: z.literal(true, { error: 'expected true: only labelled rows can be added to data' }).default(true),
    }).optional(),
    checks: z.array(check).describe('a list of checks').default([]),
    secret: environmentVariable.optional(),
  },
  ['split', 'sample', 'schema', 'subject', 'licence', 'version'],
)
