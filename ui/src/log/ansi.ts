export type Piece = { text: string; colour?: number; bold?: boolean; dim?: boolean }

// biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences are control characters
const sequence = /\u001b\[([0-9;]*)m|\u001b\[[0-9;?]*[A-Za-z]|\u001b\][^\u0007]*(?:\u0007|\u001b\\)/g

/** A line of a terminal → pieces with one of 16 colours; cursor movements and titles are dropped. */
export function ansiPieces(line: string): Piece[] {
  // A progress bar redraws its line: what stands after the last carriage return is what a terminal would show.
  const shown = line.replace(/\r$/, '')
  const text = shown.slice(shown.lastIndexOf('\r') + 1)
  const pieces: Piece[] = []
  let style: Omit<Piece, 'text'> = {}
  let at = 0
  for (const match of text.matchAll(sequence)) {
    if (match.index > at) pieces.push({ text: text.slice(at, match.index), ...style })
    at = match.index + match[0].length
    if (match[1] !== undefined) style = restyled(style, match[1])
  }
  if (at < text.length) pieces.push({ text: text.slice(at), ...style })
  return pieces
}

export const plainText = (line: string): string =>
  ansiPieces(line)
    .map(({ text }) => text)
    .join('')

function restyled(style: Omit<Piece, 'text'>, codes: string): Omit<Piece, 'text'> {
  let next = { ...style }
  for (const code of codes.split(';').map(Number)) {
    if (code === 0) next = {}
    else if (code === 1) next.bold = true
    else if (code === 2) next.dim = true
    else if (code === 22) next = { ...next, bold: false, dim: false }
    else if (code === 39) delete next.colour
    else if (code >= 30 && code <= 37) next.colour = code - 30
    else if (code >= 90 && code <= 97) next.colour = code - 90 + 8
  }
  return next
}
