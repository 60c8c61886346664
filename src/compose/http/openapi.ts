import { z } from 'zod'
import { errorCodes } from '../../kernel/error-codes.ts'
import type { Route } from '../../kernel/route.ts'

type Json = Record<string, unknown>

/** Our own API as OpenAPI 3.1, from the route contracts alone; routes in order of path. */
export function openApiOf(routes: readonly Route[]): Json {
  const paths: Record<string, Json> = {}
  for (const route of [...routes].sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0))) {
    const path = route.path.replace(/:(\w+)/g, '{$1}')
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operationOf(route) }
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Modelwright',
      version: '1',
      description:
        'Others’ protocols (MLflow, Git) are served under the paths that their clients expect and are not listed here.',
    },
    components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
    paths,
  }
}

function operationOf(route: Route): Json {
  return {
    operationId: route.id,
    summary: route.summary,
    ...(route.access === 'read' ? {} : { security: [{ token: [] }] }),
    parameters: [...parametersOf(route.params, 'path'), ...parametersOf(route.query, 'query')],
    ...(route.body
      ? { requestBody: { required: true, content: { 'application/json': { schema: schemaOf(route.body, 'input') } } } }
      : {}),
    responses: {
      200: { description: 'As asked.', content: { 'application/json': { schema: schemaOf(route.output, 'output') } } },
      ...errorsOf(route),
    },
  }
}

function parametersOf(shape: Route['params'], where: 'path' | 'query'): Json[] {
  if (!shape) return []
  const { properties = {}, required = [] } = schemaOf(shape, 'input') as {
    properties?: Record<string, Json>
    required?: string[]
  }
  return Object.entries(properties).map(([name, schema]) => ({
    name,
    in: where,
    required: where === 'path' || required.includes(name),
    schema,
  }))
}

function errorsOf(route: Route): Json {
  const byStatus = Object.groupBy(route.errors ?? [], (code) => String(errorCodes[code].status))
  return Object.fromEntries(
    Object.entries(byStatus).map(([status, codes]) => [
      status,
      { description: (codes ?? []).map((code) => `${code}: ${errorCodes[code].meaning}`).join(' ') },
    ]),
  )
}

function schemaOf(shape: z.ZodType, io: 'input' | 'output'): Json {
  const { $schema: _, ...schema } = z.toJSONSchema(shape, { io, unrepresentable: 'any' })
  return schema
}
