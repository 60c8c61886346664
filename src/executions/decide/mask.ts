/**
 * Where secrets stand in bytes, in every form in which programs print them: in clear, line by line, URL-encoded, as JSON text, in hex,
 * in Base64 at each of the three places where a text may begin in its groups. Encoded forms are found also where line ends break them.
 * A secret is overwritten by as many asterisks as it has bytes, so that offsets into a log stay what they are.
 */
export class Mask {
  readonly #plain: Buffer[]
  readonly #encoded: Buffer[]
  /** How many bytes around a place have to be known to say whether it belongs to a secret; 0 where there is none. */
  readonly reach: number

  constructor(secrets: readonly string[]) {
    const plain = new Set<string>()
    const encoded = new Set<string>()
    for (const secret of secrets) {
      for (const text of textsOf(secret)) {
        for (const form of plainForms(text)) plain.add(form)
        for (const form of encodedForms(text)) encoded.add(form)
      }
    }
    this.#plain = bytesOf(plain)
    this.#encoded = bytesOf(encoded)
    this.reach = 2 * Math.max(0, ...this.#plain.map((form) => form.length), ...this.#encoded.map((form) => form.length))
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
    for (const form of this.#encoded)
      for (let at = joined.indexOf(form); at >= 0; at = joined.indexOf(form, at + 1))
        for (let i = at; i < at + form.length; i++) bytes[places ? places[i]! : i] = asterisk
  }

  /** From where on the end of the bytes may be the beginning of a secret whose rest is still to come; their length where none is. */
  safeEnd(bytes: Buffer): number {
    let safe = bytes.length
    for (const form of this.#plain) safe = Math.min(safe, bytes.length - overlap(bytes, form))
    const { joined, places } = withoutLineEnds(bytes)
    for (const form of this.#encoded) {
      const held = overlap(joined, form)
      if (held > 0) safe = Math.min(safe, places ? places[joined.length - held]! : bytes.length - held)
    }
    return safe
  }
}

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

function encodedForms(text: string): string[] {
  const bytes = Buffer.from(text, 'utf8')
  const hex = bytes.toString('hex')
  const standard = [0, 1, 2].map((before) => base64At(bytes, before))
  const forUrls = standard.map((form) => form.replaceAll('+', '-').replaceAll('/', '_'))
  return [hex, hex.toUpperCase(), ...standard, ...forUrls].filter((form) => form.length >= 4)
}

/** The digits that depend on the bytes alone, where `before` bytes (0..2) of something else stand before them in their group. */
function base64At(bytes: Buffer, before: number): string {
  const digits = Buffer.concat([Buffer.alloc(before), bytes]).toString('base64')
  return digits.slice(Math.ceil((before * 8) / 6), Math.floor(((before + bytes.length) * 8) / 6))
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
