import { ScoringError } from '../scoring-error.ts'

const forms = {
  'application/json': 'json',
  'text/csv': 'csv',
  'application/vnd.apache.parquet': 'parquet',
} as const

/** What a body of MLflow's protocol is, from its Content-Type. @throws ScoringError 415 */
export function formOf(contentType: string | undefined): (typeof forms)[keyof typeof forms] {
  // What most clients send, word for word.
  if (contentType === 'application/json') return 'json'
  const [mime = '', ...parameters] = (contentType ?? '').split(';').map((part) => part.trim().toLowerCase())
  for (const parameter of parameters)
    if (parameter !== '' && !/^charset="?utf-8"?$/.test(parameter))
      throw refused(`Content type parameter "${parameter}" is not served; only charset=utf-8 is.`)
  if (Object.hasOwn(forms, mime)) return forms[mime as keyof typeof forms]
  const found = contentType ? `"${contentType}"` : 'none'
  throw refused(`This model answers requests of content type ${Object.keys(forms).join(', ')}; found ${found}.`)
}

const refused = (message: string): ScoringError => new ScoringError(415, 'BAD_REQUEST', message)
