import { errorCodes } from './error-codes.ts'
import { AppError, type ErrorBody } from './errors.ts'
import type { InputOf, OutputOf, Route } from './route.ts'

export type ClientOptions = { baseUrl: string; token?: string; fetch?: typeof fetch }

/** The typed client of CLI and UI: the same contract values as the server's, the same errors thrown. */
export function createClient(options: ClientOptions) {
  const fetchFrom = options.fetch ?? fetch
  const headers: Record<string, string> = options.token ? { authorization: `Bearer ${options.token}` } : {}

  return async function call<R extends Route<never, never, never, never> | Route>(
    route: R,
    input: InputOf<R>,
  ): Promise<OutputOf<R>> {
    const { params, query, body } = input as {
      params?: Record<string, string>
      query?: Record<string, unknown>
      body?: unknown
    }
    const url = options.baseUrl + fillPath(route.path, params ?? {}) + queryText(query ?? {})
    const response = await fetchFrom(url, {
      method: route.method,
      headers: body === undefined ? headers : { ...headers, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    }).catch((cause: unknown) => {
      throw new AppError(
        'ServerUnreachable',
        `No Modelwright server answers at ${options.baseUrl}.`,
        'Start it with `modelwright up`, or name another with --server.',
        { cause },
      )
    })
    if (!response.ok) throw await errorFrom(response)
    return (await response.json()) as OutputOf<R>
  }
}

export type Client = ReturnType<typeof createClient>

/** `/api/v1/runs/:id` with `{id}` → the path, each value escaped. */
export function fillPath(path: string, params: Record<string, string | number>): string {
  return path.replace(/:(\w+)/g, (_, name: string) => encodeURIComponent(String(params[name])))
}

function queryText(query: Record<string, unknown>): string {
  const pairs = Object.entries(query).filter(([, value]) => value !== undefined)
  return pairs.length === 0
    ? ''
    : `?${new URLSearchParams(pairs.map(([name, value]): [string, string] => [name, String(value)]))}`
}

async function errorFrom(response: Response): Promise<AppError> {
  const text = await response.text()
  try {
    const { error } = JSON.parse(text) as { error: ErrorBody }
    if (error.code in errorCodes)
      return new AppError(error.code, error.message, error.next, error.place ? { place: error.place } : {})
  } catch {
    // Not Modelwright's form of an error: told as it came.
  }
  return new AppError(
    'BadRequest',
    `The server answered ${response.status}: ${text.slice(0, 500)}`,
    'Is the address that of a Modelwright server of this version?',
  )
}
