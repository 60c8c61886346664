const tooDeeplyEncoded = 10
const longestName = 255

/**
 * The path under which an artifact is kept: relative, forward slashes, no `.` or `..`, nothing that a decoder further down
 * could turn into one. Percent-encoding is undone until nothing changes, as MLflow does (utils/uri.py, validate_path_is_safe),
 * then everything that could leave the root, in any spelling, is refused.
 * Returns undefined where the text is no such path. The empty path is the root itself.
 */
export function safeArtifactPath(text: string): string | undefined {
  const decoded = fullyDecoded(text)
  if (decoded === undefined || hasForbiddenCharacter(decoded)) return undefined
  if (decoded.startsWith('/') || /^([a-z]|file):\//i.test(decoded)) return undefined
  const segments = decoded.replace(/\/+$/, '').split('/')
  if (segments.length === 1 && segments[0] === '') return ''
  if (segments.some((segment) => segment === '' || segment === '.' || segment === '..')) return undefined
  // A longer name could be kept, but never be laid out as a file.
  if (segments.some((segment) => Buffer.byteLength(segment) > longestName)) return undefined
  return segments.join('/')
}

/** `models/a` and `models` hold `models/a/x`; `models/ab` does not hold it. The empty folder holds everything. */
export const isUnder = (path: string, folder: string): boolean => folder === '' || path.startsWith(`${folder}/`)

function fullyDecoded(text: string): string | undefined {
  let current = text
  for (let round = 0; round < tooDeeplyEncoded; round++) {
    const next = decodedOnce(current)
    if (next === current) return current
    current = next
  }
  return undefined
}

/** Like Python's unquote: what is no valid escape stays as it is. */
const decodedOnce = (text: string): string =>
  text.replace(/(?:%[0-9a-fA-F]{2})+/g, (escapes) => Buffer.from(escapes.replaceAll('%', ''), 'hex').toString('utf8'))

function hasForbiddenCharacter(text: string): boolean {
  for (const character of text) {
    const code = character.codePointAt(0)!
    if (character === '\\' || character === '#' || code < 32 || code === 127 || code === 0xfffd) return true
  }
  return false
}
