import type { z } from 'zod'
import type { ErrorCode } from './error-codes.ts'

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

/**
 * Who may call: `read` is open on loopback without a token (as MLflow's servers are), `member` always needs a token,
 * `owner` a token of the owner. With any address but loopback everything needs a token.
 */
export type RouteAccess = 'read' | 'member' | 'owner'

type Shape = z.ZodType

/** One value → validation, the handler's type, the client's type for UI and CLI, and OpenAPI. */
export type Route<
  Params extends Shape = Shape,
  Query extends Shape = Shape,
  Body extends Shape = Shape,
  Output extends Shape = Shape,
> = {
  id: string
  summary: string
  method: Method
  /** Fastify's form: `/api/v1/executions/:id`. */
  path: string
  access: RouteAccess
  params?: Params
  query?: Query
  body?: Body
  output: Output
  errors?: readonly ErrorCode[]
}

export function route<
  Params extends Shape = z.ZodUndefined,
  Query extends Shape = z.ZodUndefined,
  Body extends Shape = z.ZodUndefined,
  Output extends Shape = Shape,
>(definition: Route<Params, Query, Body, Output>): Route<Params, Query, Body, Output> {
  return definition
}

/** Who calls: what the door found out about them. */
export type Actor = {
  kind: 'owner' | 'member' | 'step' | 'anonymous'
  name: string
  /** A step's token stands for its own run and no other. */
  runId?: string
  /** A member's user, and whether it may do what the owner may. */
  userId?: number
  admin?: boolean
}

export const anonymous: Actor = { kind: 'anonymous', name: 'local, unauthenticated' }

export type Call<R> =
  R extends Route<infer Params, infer Query, infer Body, Shape>
    ? { params: z.output<Params>; query: z.output<Query>; body: z.output<Body>; actor: Actor }
    : never

export type OutputOf<R> = R extends Route<Shape, Shape, Shape, infer Output> ? z.input<Output> : never

/** What a client passes: only the parts that the route has. */
export type InputOf<R> =
  R extends Route<infer Params, infer Query, infer Body, Shape>
    ? PartOf<'params', z.input<Params>> & PartOf<'query', z.input<Query>> & PartOf<'body', z.input<Body>>
    : never

type PartOf<Name extends string, T> = undefined extends T ? { [K in Name]?: T } : { [K in Name]: T }

export type Endpoint = { route: Route; handle: (call: Call<Route>) => Promise<unknown> }

/** Binds a route to its handler; the types of both meet here. */
export function endpoint<R extends Route<never, never, never, never> | Route>(
  route: R,
  handle: (call: Call<R>) => Promise<OutputOf<R>>,
): Endpoint {
  return { route: route as Route, handle: handle as Endpoint['handle'] }
}

/** Lists: keyed pages, default 100, at most 1,000. */
export type Page<T> = { items: T[]; nextPageToken?: string }
