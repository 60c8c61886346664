import { setFlagsFromString } from 'node:v8'

// V8's engine that takes time in proportion to the text, whatever the pattern (flag `l`; v8.dev/blog/non-backtracking-regexp):
// a pattern that comes with a request must not be able to hold up the process.
setFlagsFromString('--enable-experimental-regexp-engine')

const known = new Map<string, RegExp | undefined>()

/** Undefined for a pattern that is none, or that cannot be matched in linear time (back references, look-around). */
export function linearRegExp(pattern: string): RegExp | undefined {
  if (known.has(pattern)) return known.get(pattern)
  if (known.size >= 100) known.clear()
  const compiled = compile(pattern)
  known.set(pattern, compiled)
  return compiled
}

function compile(pattern: string): RegExp | undefined {
  try {
    return new RegExp(pattern, 'l')
  } catch {
    return undefined
  }
}
