import { z } from 'zod'

/** A text that does not have the form asked for, with the reason where there is more to say than the form. */
export class Refused {
  readonly why: string | undefined
  constructor(why?: string) {
    this.why = why
  }
}

/** A string in the file that stands for a value: `parse` gives the value, or undefined or Refused. */
export const written = <T>(form: string, parse: (text: string) => T | undefined | Refused) =>
  z
    .string()
    .transform((text, context): T => toValue(form, text, parse, context))
    .describe(form)

/** The same where YAML may already have read a number. */
export const writtenOrNumber = <T>(form: string, parse: (text: string) => T | undefined | Refused) =>
  z
    .union([z.string(), z.number()])
    .transform((text, context): T => toValue(form, String(text), parse, context))
    .describe(form)

type Context = { addIssue: (issue: { code: 'custom'; message: string; input: unknown }) => void }

function toValue<T>(form: string, text: string, parse: (text: string) => T | undefined | Refused, context: Context): T {
  const value = parse(text)
  if (value !== undefined && !(value instanceof Refused)) return value
  const why = value instanceof Refused ? value.why : undefined
  context.addIssue({ code: 'custom', message: why ?? `expected ${form}`, input: text })
  return z.NEVER
}

const notYetWords = new WeakMap<object, readonly string[]>()

/** A map with these keys and no others; `notYet` are keys that the design knows and this version does not carry out. */
export function map<S extends z.ZodRawShape>(shape: S, notYet: readonly string[] = []) {
  const schema = z.strictObject(shape)
  notYetWords.set(schema, notYet)
  return schema
}

/** The keys of a `map` that are known but refused; empty for any other schema. */
export const notYetKeysOf = (schema: object): readonly string[] => notYetWords.get(schema) ?? []

/** A text that is right in the design but that this version refuses by name; told apart by its first words. */
export const notYetMark = 'not carried out yet: '
export const notYet = (what: string): Refused => new Refused(`${notYetMark}${what}`)

/** Names go into shells, paths, URLs, Git branches and environment variables. */
const namePattern = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/
export const nameForm = 'a name of letters, digits, "_", "." and "-", at most 64, beginning with a letter or digit'

/** What is wrong with a name; undefined: nothing. */
export const nameProblem = (name: string): string | undefined => {
  if (!namePattern.test(name)) return `expected ${nameForm}`
  if (name.endsWith('.lock') || name.includes('..') || name.endsWith('.'))
    return 'such a name cannot stand in a Git branch'
  return name in {} ? 'this word has a meaning of its own in JavaScript; choose another name' : undefined
}

/** A text that is a name; `what` begins the description of the field. */
export const named = (what: string) =>
  written(`${what}: ${nameForm}`, (text) => {
    const problem = nameProblem(text)
    return problem ? new Refused(problem) : text
  })

/** A section whose keys are names that the user chose; an empty section is none. */
export const section = <V extends z.ZodType>(value: V) =>
  z
    .record(
      z.string().check((context) => {
        const problem = nameProblem(context.value)
        if (problem) context.issues.push({ code: 'custom', message: problem, input: context.value })
      }),
      value,
    )
    .nullish()
    .transform((entries): Record<string, z.output<V>> => (entries ?? {}) as Record<string, z.output<V>>)
