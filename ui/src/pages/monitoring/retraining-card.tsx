import { Link } from '@tanstack/react-router'
import { formatDuration } from '../../../../src/kernel/time.ts'
import type { ShownState } from '../../../../src/lineage/shown-states-contract.ts'
import { requestRetraining } from '../../../../src/retraining/retraining-contract.ts'
import { commands } from '../../commands.ts'
import { api } from '../../data/api.ts'
import type { Retraining } from '../../data/queries.ts'
import { triggerText } from '../../executions-words.ts'
import { count } from '../../format.ts'
import { Action } from '../../parts/action.tsx'
import { StateWord } from '../../parts/state-chip.tsx'
import { Ago } from '../../parts/time.tsx'

const retrainingState: Record<Retraining['retrainings'][number]['state'], ShownState> = {
  intended: 'queued',
  frozen: 'progressing',
  started: 'passed',
  failed: 'failed',
}

/** What asks for retraining now, what stands in the way, and what was started before. */
export function RetrainingCard({ project, retraining }: { project: string; retraining: Retraining }) {
  const { environment, on, cooldown, budget, schedules, open, retrainings } = retraining
  return (
    <section className="card" aria-labelledby={`retraining-${environment}`}>
      <header>
        <h2 id={`retraining-${environment}`}>Retraining for {environment}</h2>
        <span className="spring" />
        <span className="quiet tabular">
          {budget.left} of {budget.count} left per {formatDuration(budget.perMs)}
        </span>
      </header>
      <div className="body stack">
        {open.length === 0 ? (
          <p className="muted">Nothing asks for it now.</p>
        ) : (
          open.map(({ cause, outcome, reasons }) => (
            <p key={cause}>
              <StateWord state={outcome === 'retrain' ? 'progressing' : 'queued'} word={outcome} />{' '}
              <span className="muted">{reasons.join('; ')}</span>
            </p>
          ))
        )}
        <dl className="facts">
          <dt>Starts on</dt>
          <dd>{on.length === 0 ? 'a person only' : on.join(', ')}</dd>
          <dt>Cool-down</dt>
          <dd>
            {formatDuration(cooldown.ms)}
            {cooldown.until !== undefined && (
              <>
                , over <Ago at={cooldown.until} />
              </>
            )}
          </dd>
          {schedules.map(({ text, nextAt }) => (
            <div key={text} className="fact-pair">
              <dt>Schedule</dt>
              <dd>
                {text}
                {nextAt !== undefined && (
                  <>
                    , next <Ago at={nextAt} />
                  </>
                )}
              </dd>
            </div>
          ))}
        </dl>
        <Action
          label="Retrain now"
          command={commands.retrain(environment)}
          act={() => api(requestRetraining, { params: { project }, body: { environment } })}
        />
        {retrainings.length > 0 && (
          <ol className="timeline">
            {retrainings.map(({ id, trigger, state, executionId, decidedAt, frozen, error }) => (
              <li key={id}>
                <span className="row">
                  <StateWord state={retrainingState[state]} word={state} />
                  {executionId ? (
                    <Link
                      to="/projects/$project/executions/$id"
                      params={{ project, id: executionId }}
                      className="text-link"
                    >
                      {triggerText(trigger)}
                    </Link>
                  ) : (
                    triggerText(trigger)
                  )}
                </span>
                <span className="quiet">
                  <Ago at={decidedAt} />
                  {frozen?.map(({ dataset, rows }) => `, ${dataset} with ${count(rows, 'row')}`)}
                  {error && `, ${error.message}`}
                </span>
              </li>
            ))}
          </ol>
        )}
      </div>
    </section>
  )
}
