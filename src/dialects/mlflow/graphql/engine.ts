import {
  buildSchema,
  type DocumentNode,
  execute,
  GraphQLError,
  type GraphQLFieldResolver,
  type GraphQLScalarType,
  type GraphQLSchema,
  Kind,
  OverlappingFieldsCanBeMergedRule,
  parse,
  print,
  specifiedRules,
  validate,
} from 'graphql'
import { excessOf } from './limits.ts'
import type { RequestScope } from './request-scope.ts'
import { resolverOf } from './resolvers.ts'
import { schemaText } from './schema-text.ts'
import { fieldOf } from './wire-fields.ts'

// Loaded by the first request that asks for it, with the library: a server that nobody asks pays nothing.

export type Question = {
  query: string
  operationName?: string | undefined
  variables?: Record<string, unknown> | undefined
}
/** What went wrong; with a cause where a field's own question failed. */
export type Failure = { message: string; cause?: Error }
export type Answer = { data: unknown; failures: Failure[] }

/** Ours; a query of MLflow's page has a few hundred. Long lists belong into variables. */
const maxTokens = 10_000

// It compares all fields of a set in pairs, their arguments too: a second's work, unless unused fragments are out by then.
const slowRules = [OverlappingFieldsCanBeMergedRule]
const quickRules = specifiedRules.filter((rule) => rule !== OverlappingFieldsCanBeMergedRule)

const schema = mlflowSchema()

export async function ask(question: Question, scope: RequestScope): Promise<Answer> {
  const read = documentOf(question.query)
  if ('failures' in read) return { data: null, failures: read.failures }
  const { data, errors = [] } = await execute({
    schema,
    document: read.document,
    fieldResolver,
    contextValue: scope,
    ...(question.variables ? { variableValues: question.variables } : {}),
    ...(question.operationName === undefined ? {} : { operationName: question.operationName }),
  })
  return { data: data ?? null, failures: errors.map(failureOf) }
}

function documentOf(query: string): { document: DocumentNode } | { failures: Failure[] } {
  try {
    const document = parse(query, { noLocation: true, maxTokens })
    const excess = excessOf(document)
    if (excess !== undefined) return { failures: [{ message: excess }] }
    for (const rules of [quickRules, slowRules]) {
      const errors = validate(schema, document, rules, { maxErrors: 20 })
      if (errors.length > 0) return { failures: errors.map(failureOf) }
    }
    return { document }
  } catch (error) {
    if (error instanceof GraphQLError) return { failures: [failureOf(error)] }
    // The library reads by recursion: brackets within brackets by the thousand end its stack.
    if (error instanceof RangeError) return { failures: [{ message: 'Query is nested too deeply' }] }
    throw error
  }
}

/** An error with a path is a field's; what the library itself says of it is no cause of ours. */
function failureOf({ message, path, originalError }: GraphQLError): Failure {
  const isOurs = path !== undefined && originalError && !(originalError instanceof GraphQLError)
  return isOurs ? { message, cause: originalError } : { message }
}

const fieldResolver: GraphQLFieldResolver<unknown, RequestScope> = (source, args, scope, info) => {
  const resolve = resolverOf(info.parentType.name, info.fieldName)
  return resolve
    ? resolve(args as Record<string, unknown>, scope, source)
    : fieldOf(source, info.fieldName, info.returnType)
}

function mlflowSchema(): GraphQLSchema {
  const built = buildSchema(schemaText)
  const long = built.getType('LongString') as GraphQLScalarType<number, string>
  long.serialize = String
  long.parseValue = longFrom
  long.parseLiteral = (node) => longFrom(node.kind === Kind.INT || node.kind === Kind.STRING ? node.value : print(node))
  return built
}

function longFrom(value: unknown): number {
  const number = typeof value === 'string' && /^[+-]?\d+$/.test(value) ? Number(value) : value
  if (typeof number === 'number' && Number.isSafeInteger(number)) return number
  throw new GraphQLError(`LongString cannot represent ${JSON.stringify(value)}: it is no integer.`)
}
