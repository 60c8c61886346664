/**
 * Where secrets stand in bytes, in every form in which programs print them: in clear, line by line, URL-encoded, as JSON text, in hex,
 * in Base64 at each of the three places where a text may begin in its groups, with the digits that it shares with what stands beside it.
 * Encoded forms are found also where line ends break them.
 * A secret is overwritten by as many asterisks as it has bytes, so that offsets into a log stay what they are.
 */
export class Mask {
  readonly #plain: Buffer[]
  readonly #encoded: Encoded[]
  /** How many bytes around a place have to be known to say whether it belongs to a secret; 0 where there is none. */
  readonly reach: number

  constructor(secrets: readonly string[]) {
    const plain = new Set<string>()
    const encoded = new Map<string, Shared>()
    for (const secret of secrets) {
      for (const text of textsOf(secret)) {
        for (const form of plainForms(text)) plain.add(form)
        for (const { form, ...shared } of encodedForms(text)) encoded.set(form, shared)
      }
    }
    this.#plain = bytesOf(plain)
    this.#encoded = [...encoded].map(([form, shared]) => ({ form: Buffer.from(form, 'utf8'), ...shared }))
    const forms = [...this.#plain, ...this.#encoded.map(({ form }) => form)]
    this.reach = 2 * Math.max(0, ...forms.map((form) => form.length))
  }

  /** Overwrites in place what belongs to a secret. */
  hide(bytes: Buffer): Buffer {
    for (const form of this.#plain)
      for (let at = bytes.indexOf(form); at >= 0; at = bytes.indexOf(form, at + 1))
        bytes.fill(asterisk, at, at + form.length)
    if (this.#encoded.length > 0) this.#hideEncoded(bytes)
    return bytes
  }

  #hideEncoded(bytes: Buffer): void {
    const { joined, places } = withoutLineEnds(bytes)
    // Looked for in what nothing was overwritten in: the digits of one form may be those of another.
    const seen = places ? joined : Buffer.from(joined)
    for (const { form, digitBefore, digitAfter } of this.#encoded)
      for (let at = seen.indexOf(form); at >= 0; at = seen.indexOf(form, at + 1)) {
        const from = digitBefore && isDigit(seen[at - 1]) ? at - 1 : at
        const end = at + form.length
        const to = digitAfter && isDigit(seen[end]) ? end + 1 : end
        for (let i = from; i < to; i++) bytes[places ? places[i]! : i] = asterisk
      }
  }

  /** From where on the end of the bytes may be the beginning of a secret whose rest is still to come; their length where none is. */
  safeEnd(bytes: Buffer): number {
    let safe = bytes.length
    for (const form of this.#plain) safe = Math.min(safe, bytes.length - overlap(bytes, form))
    const { joined, places } = withoutLineEnds(bytes)
    for (const { form, digitBefore } of this.#encoded) {
      const begun = overlap(joined, form)
      const held = begun > 0 && digitBefore && isDigit(joined[joined.length - begun - 1]) ? begun + 1 : begun
      if (held > 0) safe = Math.min(safe, places ? places[joined.length - held]! : bytes.length - held)
    }
    return safe
  }
}

/** Whether the digit of Base64 before or after a form has bits of the secret as well. */
type Shared = { digitBefore: boolean; digitAfter: boolean }
type Encoded = Shared & { form: Buffer }

const digits = new Set(Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_'))
const isDigit = (byte: number | undefined): boolean => byte !== undefined && digits.has(byte)

const asterisk = 0x2a
const lineFeed = 0x0a
const carriageReturn = 0x0d
/** Shorter lines of a secret of several lines would mask half of every log. */
const shortestLine = 8

const bytesOf = (forms: ReadonlySet<string>): Buffer[] =>
  [...forms].filter((form) => form.length > 2).map((form) => Buffer.from(form, 'utf8'))

const textsOf = (secret: string): string[] => {
  const lines = secret.split(/\r?\n/).filter((line) => line.length >= shortestLine)
  return [secret, secret.trim(), ...(lines.length > 1 || secret.includes('\n') ? lines : [])].filter(Boolean)
}

function plainForms(text: string): string[] {
  const json = JSON.stringify(text).slice(1, -1)
  // Python's json.dumps leaves nothing beyond ASCII.
  const ascii = json.replace(/[\u0080-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
  return [text, json, ascii, ...urlForms(text)]
}

/** JavaScript and Python leave different characters as they are; a form writes a blank as +, and a path its slashes. */
function urlForms(text: string): string[] {
  const javascript = encodeURIComponent(text)
  const python = javascript.replace(/[!'()*]/g, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`)
  const forms = [javascript, python].flatMap((form) => [form, form.replaceAll('%20', '+'), form.replaceAll('%2F', '/')])
  return [...forms, ...forms.map((form) => form.replace(/%[0-9A-F]{2}/g, (code) => code.toLowerCase()))]
}

function encodedForms(text: string): (Shared & { form: string })[] {
  const bytes = Buffer.from(text, 'utf8')
  const hex = bytes.toString('hex')
  const whole = [hex, hex.toUpperCase()].map((form) => ({ form, digitBefore: false, digitAfter: false }))
  const standard = [0, 1, 2].map((before) => base64At(bytes, before))
  const forUrls = standard.map((one) => ({ ...one, form: one.form.replaceAll('+', '-').replaceAll('/', '_') }))
  return [...whole, ...standard, ...forUrls].filter(({ form }) => form.length >= 4)
}

/** The digits that depend on the bytes alone, where `before` bytes (0..2) of something else stand before them in their group. */
function base64At(bytes: Buffer, before: number): Shared & { form: string } {
  const all = Buffer.concat([Buffer.alloc(before), bytes]).toString('base64')
  const [from, to] = [(before * 8) / 6, ((before + bytes.length) * 8) / 6]
  return {
    form: all.slice(Math.ceil(from), Math.floor(to)),
    digitBefore: !Number.isInteger(from),
    digitAfter: !Number.isInteger(to),
  }
}

function withoutLineEnds(bytes: Buffer): { joined: Buffer; places?: Uint32Array } {
  if (!bytes.includes(lineFeed)) return { joined: bytes }
  const joined = Buffer.allocUnsafe(bytes.length)
  const places = new Uint32Array(bytes.length)
  let length = 0
  for (let place = 0; place < bytes.length; place++) {
    const byte = bytes[place]!
    if (byte === lineFeed || byte === carriageReturn) continue
    joined[length] = byte
    places[length++] = place
  }
  return { joined: joined.subarray(0, length), places }
}

/** How many bytes at the end are a true beginning of the form. */
function overlap(bytes: Buffer, form: Buffer): number {
  for (let length = Math.min(form.length - 1, bytes.length); length > 0; length--)
    if (bytes.compare(form, 0, length, bytes.length - length) === 0) return length
  return 0
}
