/**
 * An upper bound, in one pass, of how deep a YAML text nests: open brackets, and columns of indentation or `- `.
 * To be asked before a text from outside is parsed: the parser calls itself for every level, and near the end of the
 * stack V8 does not throw but ends the process ("RegExpCompiler Allocation failed").
 * Brackets inside quotes count too, so a limit should leave room: 200 is far above what people write, and safe.
 */
export function yamlNesting(text: string): number {
  let open = 0
  let deepest = 0
  for (const character of text) {
    if (character === '[' || character === '{') deepest = Math.max(deepest, ++open)
    else if (character === ']' || character === '}') open = Math.max(0, open - 1)
  }
  for (const [start] of text.matchAll(/^[ \t?:-]+/gm)) deepest = Math.max(deepest, start.length)
  return deepest
}
