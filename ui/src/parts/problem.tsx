import { CircleX } from 'lucide-react'
import { isAppError, messageOf } from '../../../src/kernel/errors.ts'

type Shown = { code: string; message: string; next: string; place?: { file: string; line?: number; column?: number } }

/** An error as the server tells it: code, what happened, the next move. */
export function Problem({ error }: { error: unknown }) {
  const shown = asShown(error)
  const { place } = shown
  return (
    <div className="problem" role="alert">
      <h2>
        <CircleX size={16} aria-hidden />
        {shown.code}
        {place && (
          <code className="quiet">
            {[place.file, place.line, place.column].filter((part) => part !== undefined).join(':')}
          </code>
        )}
      </h2>
      <p>{shown.message}</p>
      <p className="next">→ {shown.next}</p>
    </div>
  )
}

function asShown(error: unknown): Shown {
  if (isAppError(error)) return error.toJSON()
  if (typeof error === 'object' && error !== null && 'code' in error && 'next' in error) return error as Shown
  const message = messageOf(error)
  return { code: 'Unexpected', message, next: 'Reload the page; if it stays, please report it.' }
}
