import { closest, distance } from 'fastest-levenshtein'

/** The allowed word that was most likely meant, if any is near enough to be worth naming. */
export function nearestWord(found: string, allowed: readonly string[]): string | undefined {
  if (allowed.length === 0) return undefined
  const best = closest(found.toLowerCase(), [...allowed])
  return distance(found.toLowerCase(), best.toLowerCase()) <= Math.max(2, Math.floor(best.length / 3))
    ? best
    : undefined
}
