import { parse, stringify } from 'yaml'
import type { JsonScalar, ParamFile } from '../project-file.ts'
import { isMap, valueAt } from './dvc-values.ts'

/**
 * A file of parameters with nothing in it but what the step names, at the values of this execution: what the step finds in its place,
 * so that another parameter of the file can change nothing for it.
 */
export function narrowedParams(file: ParamFile, text: string, params: Readonly<Record<string, JsonScalar>>): string {
  const whole: unknown = parse(text, { maxAliasCount: 50, logLevel: 'silent' })
  const narrow: Record<string, unknown> = {}
  for (const key of file.keys)
    put(narrow, key.split('.'), overlaid(valueAt(whole, key), `${file.prefix}${key}`, params))
  return file.path.endsWith('.json') ? `${JSON.stringify(narrow, null, 2)}\n` : stringify(narrow)
}

function overlaid(value: unknown, name: string, params: Readonly<Record<string, JsonScalar>>): unknown {
  if (Object.hasOwn(params, name)) return params[name]
  if (!isMap(value)) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [key, overlaid(inner, `${name}.${key}`, params)]),
  )
}

function put(into: Record<string, unknown>, [first, ...rest]: readonly string[], value: unknown): void {
  if (first === undefined) return
  if (rest.length === 0) {
    into[first] = value
    return
  }
  const inner = isMap(into[first]) ? into[first] : {}
  into[first] = inner
  put(inner, rest, value)
}
