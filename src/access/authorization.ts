/** What an Authorization header shows: a token, or a name with a password (which may be a token as well). */
export type Shown = { secret: string; user?: string }

/** `Bearer TOKEN` or `Basic base64(user:secret)` (RFC 7617); undefined where it is neither. */
export function readAuthorization(header: string): Shown | undefined {
  const [, scheme, value] = /^\s*([A-Za-z]+)\s+(\S+)\s*$/.exec(header) ?? []
  if (scheme === undefined || value === undefined) return undefined
  if (scheme.toLowerCase() === 'bearer') return { secret: value }
  if (scheme.toLowerCase() !== 'basic' || !/^[A-Za-z0-9+/_-]+={0,2}$/.test(value)) return undefined
  const pair = Buffer.from(value, 'base64').toString('utf8')
  // RFC 7617 §2 refuses control characters, and PostgreSQL a NUL.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  if (/[\u0000-\u001f\u007f]/.test(pair)) return undefined
  const colon = pair.indexOf(':')
  return colon === -1 ? { secret: pair } : { user: pair.slice(0, colon), secret: pair.slice(colon + 1) }
}
