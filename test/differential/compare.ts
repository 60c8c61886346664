/** What a server answered; ids that it made stand as symbols, what depends on the clock as a mark. */
export type Answer = { status: number; body: unknown }

export type Difference = {
  /** The field, list indices left out: `runs[].info.status`; for errors `error_code`, `message`; `status` where one refused. */
  field: string
  stock: string
  ours: string
}

/** Lists to which MLflow gives no order. */
const unordered =
  /(^|\.)(tags|params|aliases|latest_versions|dataset_inputs|model_inputs|model_outputs|assessments|data\.metrics|experiment_ids|trace_infos|dataset_summaries)$/

export function differences(stock: Answer, ours: Answer): Difference[] {
  if (stock.status !== ours.status) return [{ field: 'status', stock: summary(stock), ours: summary(ours) }]
  return fieldDifferences(stock.body, ours.body, '')
}

function fieldDifferences(stock: unknown, ours: unknown, field: string): Difference[] {
  if (Array.isArray(stock) && Array.isArray(ours)) return listDifferences(stock, ours, field)
  if (isRecord(stock) && isRecord(ours)) {
    const names = new Set([...Object.keys(stock), ...Object.keys(ours)])
    return [...names].flatMap((name) =>
      fieldDifferences(stock[name], ours[name], field === '' ? name : `${field}.${name}`),
    )
  }
  return stock === ours ? [] : [{ field, stock: shown(stock), ours: shown(ours) }]
}

function listDifferences(stock: readonly unknown[], ours: readonly unknown[], field: string): Difference[] {
  if (stock.length !== ours.length) return [{ field: `${field}.length`, stock: shown(stock), ours: shown(ours) }]
  const [theirs, own] = unordered.test(field.replaceAll('[]', '')) ? [sorted(stock), sorted(ours)] : [stock, ours]
  return theirs.flatMap((item, index) => fieldDifferences(item, own[index], `${field}[]`))
}

const sorted = (list: readonly unknown[]): unknown[] => list.toSorted((a, b) => (canonical(a) < canonical(b) ? -1 : 1))

const canonical = (value: unknown): string =>
  JSON.stringify(value, (_name, inner: unknown) =>
    isRecord(inner) ? Object.fromEntries(Object.entries(inner).toSorted(([a], [b]) => (a < b ? -1 : 1))) : inner,
  ) ?? 'undefined'

const canonicalList = (value: unknown): string => canonical(Array.isArray(value) ? sorted(value) : value)

function parsedOr(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const shown = (value: unknown): string => shortened(JSON.stringify(value) ?? 'absent')

const shortened = (text: string): string => (text.length > 1200 ? `${text.slice(0, 1200)}… (${text.length})` : text)

function summary({ status, body }: Answer): string {
  if (!isRecord(body) || !('error_code' in body)) return `${status} ${status < 300 ? '' : shown(body)}`.trim()
  return shortened(`${status} ${String(body.error_code)}: ${String(body.message)}`)
}

/** Differences of one kind: the same endpoint and field, and words that differ only in values. */
export function classOf(endpoint: string, difference: Difference): string {
  const { field, stock, ours } = difference
  const words = field === 'status' || field === 'message' ? ` · ${masked(stock)} → ${masked(ours)}` : ''
  return `${endpoint} · ${field}${words}`
}

const masked = (text: string): string =>
  text
    .replace(/⟦[^⟧]*⟧/g, '#')
    .replace(/'[^']*'|"[^"]*"|`[^`]*`/g, '#')
    .replace(/(?<=^\d{3}.*)\d+/g, '#')
    .slice(0, 160)

/** Real ids → symbols, in one server's answers. */
export class Names {
  readonly #symbols = new Map<string, string>()
  readonly #ids = new Map<string, string>()
  readonly #startedAt: number

  constructor(startedAt: number) {
    this.#startedAt = startedAt
  }

  bind(id: string, symbol: string): void {
    this.#symbols.set(id, symbol)
    this.#ids.set(symbol, id)
  }

  knows = (symbol: string): boolean => this.#ids.has(symbol)

  /** Symbols → this server's ids, wherever they stand in a call. */
  render<T>(value: T): T {
    if (typeof value === 'string') return value.replace(/⟦[^⟧]*⟧/g, (symbol) => this.#ids.get(symbol) ?? symbol) as T
    if (Array.isArray(value)) return value.map((item: unknown) => this.render(item)) as T
    if (isRecord(value))
      return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, this.render(inner)])) as T
    return value
  }

  neutral(value: unknown, field = ''): unknown {
    if (typeof value === 'number') return this.#isNow(value) ? '⟦time⟧' : value
    if (typeof value === 'string') return this.#neutralText(value, field)
    if (Array.isArray(value)) return value.map((item) => this.neutral(item, field))
    if (isRecord(value))
      return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, this.neutral(inner, name)]))
    return value
  }

  #neutralText(text: string, field: string): string {
    if (field === 'next_page_token') return text === '' ? '' : '⟦token⟧'
    if (/^\d{13}$/.test(text) && this.#isNow(Number(text))) return '⟦time⟧'
    if (/^\d{4}-\d\d-\d\dT/.test(text) && this.#isNow(Date.parse(text))) return '⟦time⟧'
    // Evaluation datasets carry these as JSON, spaced and ordered by whoever wrote it.
    if (/^(tags|records)$/.test(field) && /^[{[]/.test(text)) return canonicalList(this.neutral(parsedOr(text)))
    if (/^experiment_ids?$/.test(field)) return this.#symbols.get(text) ?? text
    return text
      .replace(/(?:\b[a-z]{1,3}-)?[0-9a-f]{32}\b/g, (id) => this.#symbols.get(id) ?? strangerOf(id))
      .replace(/(?<=\bexperiment |\bid |\bid=)\d+/gi, (id) => this.#symbols.get(id) ?? id)
      .replace(/(?<=mlflow-artifacts:\/)\d+/g, (id) => this.#symbols.get(id) ?? id)
      .replace(/\b[a-z]+-[a-z]+-\d{1,4}\b/g, '⟦made name⟧')
  }

  #isNow = (time: number): boolean => time > this.#startedAt - 60_000 && time < this.#startedAt + 86_400_000
}

/** Ids that no call speaks of again. Without a prefix it is one of the sender's own. */
const strangerOf = (id: string): string => (id.includes('-') ? `⟦${id.slice(0, id.indexOf('-'))}⟧` : id)
