import { inputsTexts, kindTexts, type ServedEndpoint, sumOf } from '../../../../src/rollouts/served-words-contract.ts'
import { count } from '../../format.ts'
import { ServedVersionItem, ServedVersions } from '../../parts/served-version.tsx'
import { StateWord } from '../../parts/state-chip.tsx'
import { Tile, Tiles } from '../../parts/tiles.tsx'
import { Ago } from '../../parts/time.tsx'

/** A deployment as the gateway has it now: what is in memory, who waits, what was wrong with inputs. */
export function AtGateway({ endpoint }: { endpoint: ServedEndpoint }) {
  const { versions, requests, inputs, guardTripped, countedSince } = endpoint
  return (
    <div className="at-gateway">
      <h3>At the gateway</h3>
      {versions.length === 0 && <p className="muted">No version yet.</p>}
      <ServedVersions>
        {versions.map((version) => (
          <ServedVersionItem key={version.digest} name={`v${version.version}`} version={version} />
        ))}
      </ServedVersions>
      {guardTripped && (
        <p>
          <StateWord state="warned" word="guard" /> The gateway itself took the newcomer out of traffic{' '}
          <Ago at={guardTripped.at} />: {guardTripped.reason}
        </p>
      )}
      <Counted requests={requests} inputs={inputs} since={countedSince} />
    </div>
  )
}

type CountedProps = Pick<ServedEndpoint, 'requests' | 'inputs'> & { since: number }

/** Where nothing happened that anybody would look at, one line says so. */
function Counted({ requests, inputs, since }: CountedProps) {
  if (!requests && !inputs) return null
  const isBusy = requests && requests.inside + requests.waiting + requests.turnedAway > 0
  if (!isBusy && (!inputs || inputsTexts(inputs).length === 0))
    return (
      <p className="quiet">
        No request is inside; none was turned away and no input was refused since the gateway began <Ago at={since} />.
      </p>
    )
  return (
    <>
      <h3>
        Requests, counted since the gateway began <Ago at={since} />
      </h3>
      <Tiles>
        {requests && <RequestTiles requests={requests} />}
        {inputs && <InputTiles inputs={inputs} />}
      </Tiles>
    </>
  )
}

function RequestTiles({ requests }: { requests: NonNullable<ServedEndpoint['requests']> }) {
  const { inside, waiting, turnedAway } = requests
  return (
    <>
      <Tile
        name="Inside now"
        value={number(inside)}
        hint={waiting === 0 ? 'none waits' : `${number(waiting)} waiting`}
      />
      <Tile name="Turned away" value={number(turnedAway)} hint={turnedAway === 0 ? 'none' : 'too many waited'} />
    </>
  )
}

function InputTiles({ inputs: { refused, warned, imputed } }: { inputs: NonNullable<ServedEndpoint['inputs']> }) {
  return (
    <>
      <Tile name="Inputs refused" value={number(sumOf(refused))} hint={<Kinds byKind={refused} />} />
      {sumOf(warned) > 0 && (
        <Tile name="Answered with warnings" value={count(sumOf(warned), 'problem')} hint={<Kinds byKind={warned} />} />
      )}
      {imputed > 0 && <Tile name="Imputed" value={count(imputed, 'value')} hint="stood in for others" />}
    </>
  )
}

/** A kind stays whole where the line ends. */
function Kinds({ byKind }: { byKind: Record<string, number> }) {
  const kinds = kindTexts(byKind)
  if (kinds.length === 0) return 'none'
  return (
    <span className="kinds">
      {kinds.map((kind) => (
        <span key={kind}>{kind}</span>
      ))}
    </span>
  )
}

const number = (n: number): string => n.toLocaleString('en')
