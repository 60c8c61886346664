import { useEffect, useState } from 'react'
import { elapsed, timeAgo, timeText } from '../format.ts'

/** The present, renewed at the pace that a text needs. */
function useNow(everyMs: number): number {
  const [now, setNow] = useState(() => Date.now())
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), everyMs)
    return () => clearInterval(timer)
  }, [everyMs])
  return now
}

/** Relative, absolute on hover, in the viewer's zone. */
export function Ago({ at }: { at: number }) {
  const now = useNow(20_000)
  return (
    <time dateTime={new Date(at).toISOString()} title={timeText(at)} className="tabular">
      {timeAgo(at, now)}
    </time>
  )
}

/** How long something took, or takes so far. */
export function Took({ from, to }: { from: number; to: number | undefined }) {
  return to === undefined ? <Ticking from={from} /> : <span className="tabular">{elapsed(from, to)}</span>
}

function Ticking({ from }: { from: number }) {
  const now = useNow(1_000)
  // Whole seconds while it runs: tenths would flicker.
  return <span className="tabular">{elapsed(0, Math.floor((now - from) / 1000) * 1000).replace('.0 s', ' s')}</span>
}
