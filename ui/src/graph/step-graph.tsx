import { Link } from '@tanstack/react-router'
import { useMemo, useState } from 'react'
import { nodeState, type ShownState, stateWords } from '../../../src/lineage/shown-states-contract.ts'
import type { ExecutionNode } from '../data/queries.ts'
import { groupNote, isOfGroup, nodeNote, openSteps } from '../executions-words.ts'
import { StateIcon } from '../parts/state-chip.tsx'
import { Took } from '../parts/time.tsx'
import { folded, type Stack } from './fold.ts'
import './step-graph.css'
import { boxHeight, boxWidth, curve, type Line, layOut } from './layout.ts'

type Props = { project: string; execution: string; nodes: readonly ExecutionNode[]; selected?: string }
type Hovered = { node: ExecutionNode; left: number; top: number }

/** The steps of an execution, left to right; each is a link to its log. */
export function StepGraph({ project, execution, nodes, selected }: Props) {
  const [hovered, setHovered] = useState<Hovered>()
  const [opened, setOpened] = useState<ReadonlySet<string>>(new Set())
  const groups = new Set(nodes.filter(({ group }) => group).map(({ id }) => id))
  const drawn = folded(joined(nodes.filter((node) => !isOfGroup(node, groups))), opened)
  const shape = JSON.stringify(
    drawn.map((box) => ({ id: box.id, after: box.after, durationMs: 'node' in box ? durationOf(box.node) : 0 })),
  )
  // The layout depends on the shape alone: a change of state must not move what the eye rests on.
  const { width, height, boxes, lines } = useMemo(() => layOut(JSON.parse(shape)), [shape])
  const places = new Map(boxes.map((box) => [box.id, box]))
  const open = openSteps(nodes)
  const byId = new Map(nodes.map((node) => [node.id, node]))
  const hover = (node: ExecutionNode, element: HTMLElement) => {
    const { left, bottom } = element.getBoundingClientRect()
    setHovered({ node, left: Math.max(8, Math.min(left, innerWidth - 336)), top: bottom + 6 })
  }
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
    <section className="graph" aria-label="Steps" tabIndex={0} onScroll={() => setHovered(undefined)}>
      <div className="graph-canvas" style={{ width, height }}>
        <svg width={width} height={height} aria-hidden="true">
          {lines.map((line) => (
            <path
              key={`${line.from} ${line.to}`}
              d={curve(line, places)}
              className={lineClass(line, byId.get(line.to))}
            />
          ))}
        </svg>
        <ol>
          {drawn.map((box) => {
            const place = places.get(box.id)
            if (!place) return null
            return (
              <li key={box.id} style={{ left: place.x, top: place.y, width: boxWidth, height: boxHeight }}>
                {'stack' in box ? (
                  <StackBox stack={box.stack} onOpen={() => setOpened(new Set([...opened, box.id]))} />
                ) : (
                  <StepBox
                    project={project}
                    execution={execution}
                    node={box.node}
                    open={open}
                    selected={box.id === selected}
                    onHover={(element) => hover(box.node, element)}
                    onLeave={() => setHovered(undefined)}
                  />
                )}
              </li>
            )
          })}
        </ol>
      </div>
      {hovered && <Why {...hovered} />}
    </section>
  )
}

/** The items of a list stand between what wrote it and the fan-out, which ends when they did. */
function joined(nodes: readonly ExecutionNode[]): ExecutionNode[] {
  const items = new Map<string, string[]>()
  for (const { id, item } of nodes)
    if (item !== undefined) items.set(id.split('@', 1)[0]!, [...(items.get(id.split('@', 1)[0]!) ?? []), id])
  return nodes.map((node) => {
    const after = node.kind === 'fan-out' ? items.get(node.id) : undefined
    return after ? { ...node, after } : node
  })
}

const durationOf = ({ startedAt, endedAt }: ExecutionNode): number =>
  startedAt !== undefined && endedAt !== undefined ? endedAt - startedAt : 0

type StepBoxProps = {
  project: string
  execution: string
  node: ExecutionNode
  open: ReadonlySet<string>
  selected: boolean
  onHover: (element: HTMLElement) => void
  onLeave: () => void
}

function StepBox({ project, execution, node, open, selected, onHover, onLeave }: StepBoxProps) {
  const state = nodeState[node.state]
  return (
    <Link
      to="/projects/$project/executions/$id"
      params={{ project, id: execution }}
      search={{ step: node.id }}
      className="graph-box"
      data-state={state}
      data-selected={selected}
      aria-current={selected ? 'true' : undefined}
      onMouseEnter={(event) => onHover(event.currentTarget)}
      onMouseLeave={onLeave}
      onFocus={(event) => event.currentTarget.matches(':focus-visible') && onHover(event.currentTarget)}
      onBlur={onLeave}
    >
      <span className="graph-name">
        <StateIcon state={state} size={15} />
        <span className="graph-title">{node.kind === 'champion evaluation' ? node.step : node.id}</span>
        {node.kind === 'champion evaluation' && <span className="graph-kind">champion</span>}
        {node.kind === 'fan-out' && !node.group && <span className="graph-kind">list</span>}
        {node.group && <span className="graph-kind">× {node.group.of}</span>}
      </span>
      <span className="graph-note">
        <span className="visually-hidden">{stateWords[state]}, </span>
        {node.group ? (
          groupNote(node.group)
        ) : node.startedAt !== undefined && node.state !== 'reused' ? (
          <Took from={node.startedAt} to={node.endedAt} />
        ) : (
          nodeNote(node, open)
        )}
      </span>
    </Link>
  )
}

/** What asks for the eye first, when many steps are one box. */
const urgency: ShownState[] = ['failed', 'running', 'queued', 'cancelled', 'passed', 'reused']

function StackBox({ stack: { name, members }, onOpen }: { stack: Stack; onOpen: () => void }) {
  const counts = urgency.flatMap((state) => {
    const n = members.filter((node) => nodeState[node.state] === state).length
    return n > 0 ? [{ state, n }] : []
  })
  const first = counts[0]?.state ?? 'queued'
  return (
    <button type="button" className="graph-box graph-stack" data-state={first} onClick={onOpen}>
      <span className="graph-name">
        <StateIcon state={first} size={15} />
        <span className="graph-title">{name}</span>
        <span className="graph-kind">× {members.length}</span>
      </span>
      <span className="graph-note">{counts.map(({ state, n }) => `${n} ${stateWords[state]}`).join(', ')}</span>
    </button>
  )
}

function Why({ node, left, top }: Hovered) {
  const reasons = node.decision?.reasons ?? []
  return (
    <div role="tooltip" className="graph-why" style={{ left, top }}>
      <strong>
        {node.id}: {node.decision?.outcome ?? stateWords[nodeState[node.state]]}
      </strong>
      {node.error && <p>{node.error.message}</p>}
      {reasons.map((reason) => (
        <p key={reason}>{reason}</p>
      ))}
    </div>
  )
}

function lineClass(line: Line, to: ExecutionNode | undefined): string {
  const names = ['graph-line']
  if (line.critical) names.push('critical')
  if (to?.state === 'waiting' || to?.state === 'skipped') names.push('later')
  return names.join(' ')
}
