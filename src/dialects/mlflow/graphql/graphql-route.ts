import type { FastifyInstance, FastifyRequest } from 'fastify'
import { asStorageError } from '../../../kernel/storage-errors.ts'
import type { MlflowAccess } from '../access.ts'
import { type Reader, readMessage, required, text } from '../message.ts'
import { mlflowForm } from '../mlflow-error.ts'
import type { MlflowParts } from '../parts.ts'
import type { Failure } from './engine.ts'
import { RequestScope } from './request-scope.ts'

const bodyLimit = 4 * 1024 * 1024

/**
 * MLflow's GraphQL, which its page and few others use: the answers of REST, as many of them and as much of each as is asked for.
 * Errors are texts in a list beside the data, with status 200, also those of a query that cannot be read.
 */
export function mountGraphql(app: FastifyInstance, parts: MlflowParts, access: MlflowAccess): void {
  app.route({
    method: ['GET', 'POST'],
    url: '/graphql',
    bodyLimit,
    handler: async (request) => {
      const question = readMessage(request, { query: required(text), operationName: text, variables })
      const { ask } = await import('./engine.ts')
      const { data, failures } = await ask(question, new RequestScope({ parts, access, actor: request.actor }))
      return { data, errors: failures.length === 0 ? null : failures.map((failure) => wordsOf(failure, request)) }
    },
  })
}

const variables: Reader<Record<string, unknown> | undefined> = {
  required: false,
  read: (value) =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined,
}

/** @throws what passes by waiting: there is no form of its own for it among the texts. */
function wordsOf({ message, cause }: Failure, request: FastifyRequest): string {
  if (cause === undefined) return message
  const form = mlflowForm(asStorageError(cause))
  if (form.code === 'TEMPORARILY_UNAVAILABLE') throw cause
  if (form.code === 'INTERNAL_ERROR') request.log.error({ err: cause, url: request.url }, 'a field of GraphQL failed')
  return form.message
}
