/**
 * A line for sh without the blanks that mean nothing to it: around it, repeated between words, and where a backslash joins two lines.
 * Everything else of a changed command is a changed command. Where a blank may mean something that only sh can tell (substitutions,
 * here-documents, comments), only the ends are cut.
 */
export function canonicalCommand(line: string): string {
  const trimmed = line.trim()
  if (/[`#]|\$\(|<</.test(trimmed)) return trimmed
  let [canonical, quote] = ['', '']
  // Where the text up to here ends in a blank that parts words: an escaped one does not.
  let blankAt = -1
  for (let i = 0; i < trimmed.length; i++) {
    const char = trimmed[i]!
    const continues = char === '\\' && trimmed[i + 1] === '\n'
    if (quote === "'" || quote === '"') {
      if (char === '\\' && quote === '"' && !continues) canonical += char + (trimmed[++i] ?? '')
      else canonical += char
      if (char === quote) quote = ''
    } else if (continues) {
      i++
      // `a \⏎ b`: the blanks on both sides are one; `a\⏎b` is one word.
      if (blankAt === canonical.length) while (/[ \t]/.test(trimmed[i + 1] ?? '')) i++
    } else if (char === '\\') canonical += char + (trimmed[++i] ?? '')
    else if (char === ' ' || char === '\t') {
      if (blankAt !== canonical.length && !canonical.endsWith('\n')) canonical += ' '
      blankAt = canonical.length
    } else {
      if (char === "'" || char === '"') quote = char
      canonical += char
    }
  }
  return canonical
}
