import { z } from 'zod'
import { type Bound, isRelative, parseBound } from '../../kernel/bound.ts'
import { parseDuration } from '../../kernel/time.ts'
import { parseShare } from '../../kernel/units.ts'
import { nameForm, nameProblem, Refused, written, writtenOrNumber } from './grammar.ts'
import { isGlob, normalisePath, pathProblem } from './repository-path.ts'
import { withoutReferences } from './templates.ts'

// Words that several sections of modelwright.yaml share.

export const repositoryPath = (text: string): string | Refused => {
  const problem = pathProblem(text)
  return problem ? new Refused(`it ${problem}`) : normalisePath(text)
}

/** @param judged the text that is looked at, where a part of the path is filled in later */
function oneFile(text: string, judged = text): string | Refused {
  const read = repositoryPath(judged)
  if (read instanceof Refused) return read
  if (read === '.') return new Refused('it is the whole repository')
  return isGlob(read) ? new Refused('a pattern cannot stand here; name the file or folder') : normalisePath(text)
}

export const filePath = (form: string) => written(form, (text) => oneFile(text))

/** A path in which `${matrix.NAME}` or `${item}` may stand: looked at again when it is filled in. */
export const pathTemplate = (form: string) => written(form, (text) => oneFile(text, withoutReferences(text)))

export const nameTemplate = (what: string) =>
  written(`${what}: ${nameForm}`, (text) => {
    const problem = nameProblem(withoutReferences(text))
    return problem ? new Refused(problem) : text
  })

const durationForm = 'a duration such as 30s, 10m, 1h30m or 7d'

export const durationOrNone = written(durationForm, (text) => {
  const ms = parseDuration(text)
  return ms !== undefined && Number.isSafeInteger(ms) ? ms : undefined
})

export const duration = durationOrNone.refine((ms) => ms > 0, { error: 'a duration of nothing' }).describe(durationForm)

export const share = writtenOrNumber('a share such as 5% or 0.05', parseShare)

const readBound = (text: string): Bound | Refused => {
  const read = parseBound(text)
  return read.ok ? read.bound : new Refused(read.problem)
}

export const gateBound = written('a bound such as ">= 0.95" or ">= champion - 0.005"', readBound)

export const readFixedBound = (text: string): Bound | Refused => {
  const read = readBound(text)
  return read instanceof Refused || !isRelative(read)
    ? read
    : new Refused('only a gate compares with the champion; write a number')
}

export const bound = written('a bound such as ">= 0.95" or "<= 1%"', readFixedBound)

export const scalar = z
  .union([z.string(), z.number(), z.boolean()])
  .refine((value) => typeof value !== 'number' || !Number.isInteger(value) || Number.isSafeInteger(value), {
    error: 'the number has more digits than a number keeps; write it in quotes',
  })
  .describe('a text, a number, true or false')

export const environmentVariable = written('the name of an environment variable', (text) => {
  if (/^(MLFLOW_|MODELWRIGHT_)|^(PYTHONHASHSEED|PATH|HOME|PWD)$/.test(text))
    return new Refused('Modelwright sets this variable itself in each step')
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(text) ? text : undefined
})
