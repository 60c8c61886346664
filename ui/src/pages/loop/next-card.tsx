import type { Overview } from '../../data/queries.ts'
import { CommandLine } from '../../parts/copy.tsx'
import { StateWord } from '../../parts/state-chip.tsx'
import { Ago } from '../../parts/time.tsx'

/** What happens next, who is waited for, and what starts by itself. */
export function NextCard({ overview: { next, scheduled, promotions } }: { overview: Overview }) {
  return (
    <section className="card" aria-labelledby="next">
      <header>
        <h2 id="next">What happens next</h2>
        <span className="spring" />
        {next.who === 'you' && <StateWord state="waiting" />}
      </header>
      <div className="body stack">
        <p>{next.sentence}</p>
        {/* What waits is answered above; the same line twice would only be louder. */}
        {next.command && promotions.length === 0 && <CommandLine command={next.command} />}
        {scheduled.length > 0 && (
          <dl className="facts">
            {scheduled.map(({ environment, what, at }) => (
              <div key={`${environment} ${what} ${at}`} className="fact-pair">
                <dt>
                  <Ago at={at} />
                </dt>
                <dd>
                  {what} <span className="quiet">{environment}</span>
                </dd>
              </div>
            ))}
          </dl>
        )}
      </div>
    </section>
  )
}
