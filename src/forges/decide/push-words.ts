import type { AppError } from '../../kernel/errors.ts'

/** The lines by which a push is refused: what is wrong and where, then what to do. Terminals get plain text. */
export function refusalLines(subject: string, error: Pick<AppError, 'code' | 'message' | 'next' | 'place'>): string[] {
  const place = placeText(error.place)
  const message = error.message.split('\n')
  // A message about several places names each of them itself.
  const placed = place && !message[0]!.startsWith(place) ? [`${place} ${message[0]}`, ...message.slice(1)] : message
  return [
    `${subject} is refused: ${error.code}`,
    ...placed.map((line) => `  ${line}`),
    ...error.next.split('\n').map((line) => `  → ${line}`),
  ].map(printable)
}

const placeText = (place: AppError['place']): string =>
  place ? [place.file, place.line, place.column].filter((part) => part !== undefined).join(':') : ''

/** Without control characters: what stands in a repository must not steer the pusher's terminal. */
export const printable = (line: string): string =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is taken out
  line.replace(/[\u0000-\u0008\u000a-\u001f\u007f-\u009f]/g, '\ufffd').slice(0, 2000)
