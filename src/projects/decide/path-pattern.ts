/**
 * Whether a normalised path matches a pattern: `*` any characters but `/`, `?` one, `[a-z]` and `[!a-z]` one of a set,
 * `**` as a whole part any number of parts. Names that begin with a dot are names like others.
 * Takes at most length × length steps: patterns come from whoever may push, and regular expressions made from
 * patterns can be made to run for years.
 */
export function matchesPattern(path: string, pattern: string): boolean {
  const parts = path.split('/')
  const wanted = pattern.split('/').filter((part, index, all) => part !== '**' || all[index - 1] !== '**')
  return greedy(wanted.length, parts.length, {
    isStar: (at) => wanted[at] === '**',
    matches: (at, index) => matchesPart(parts[index]!, wanted[at]!),
  })
}

function matchesPart(name: string, pattern: string): boolean {
  const tokens = tokensOf(pattern)
  return greedy(tokens.length, name.length, {
    isStar: (at) => tokens[at] === '*',
    matches: (at, index) => matchesToken(name[index]!, tokens[at]!),
  })
}

type Pieces = { isStar: (at: number) => boolean; matches: (at: number, index: number) => boolean }

/** Matching with stars: on a mismatch only the last star has to take one more, which keeps it quadratic. */
function greedy(wanted: number, given: number, { isStar, matches }: Pieces): boolean {
  let [at, index] = [0, 0]
  let star: { at: number; index: number } | undefined
  while (index < given) {
    if (at < wanted && isStar(at)) {
      star = { at, index }
      at++
    } else if (at < wanted && matches(at, index)) {
      at++
      index++
    } else if (star) {
      star = { at: star.at, index: star.index + 1 }
      at = star.at + 1
      index = star.index
    } else return false
  }
  while (at < wanted && isStar(at)) at++
  return at === wanted
}

const tokensOf = (pattern: string): string[] =>
  (pattern.match(/\[!?\]?[^\]]*\]|[\s\S]/g) ?? []).filter((token, at, all) => token !== '*' || all[at - 1] !== '*')

function matchesToken(char: string, token: string): boolean {
  if (token === '?') return true
  if (token.length < 2) return token === char
  const negated = token[1] === '!'
  const set = token.slice(negated ? 2 : 1, -1)
  for (let i = 0; i < set.length; i++) {
    const isRange = set[i + 1] === '-' && i + 2 < set.length
    if (isRange ? char >= set[i]! && char <= set[i + 2]! : char === set[i]) return !negated
    if (isRange) i += 2
  }
  return negated
}
