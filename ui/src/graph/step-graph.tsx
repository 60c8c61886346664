import { Link } from '@tanstack/react-router'
import { useMemo, useState } from 'react'
import type { ExecutionNode } from '../data/queries.ts'
import { nodeNote } from '../executions-words.ts'
import { StateIcon } from '../parts/state-chip.tsx'
import { Took } from '../parts/time.tsx'
import { nodeState, states } from '../states.ts'
import './step-graph.css'
import { boxHeight, boxWidth, type Line, layOut, type Placed } from './layout.ts'

type Props = { project: string; execution: string; nodes: readonly ExecutionNode[]; selected?: string }
type Hovered = { node: ExecutionNode; left: number; top: number }

/** The steps of an execution, left to right; each is a link to its log. */
export function StepGraph({ project, execution, nodes, selected }: Props) {
  const [hovered, setHovered] = useState<Hovered>()
  const shape = JSON.stringify(
    nodes.map(({ id, after, startedAt, endedAt }) => ({
      id,
      after,
      ...(startedAt !== undefined && endedAt !== undefined ? { durationMs: endedAt - startedAt } : {}),
    })),
  )
  // The layout depends on the shape alone: a change of state must not move what the eye rests on.
  const { width, height, boxes, lines } = useMemo(() => layOut(JSON.parse(shape)), [shape])
  const places = new Map(boxes.map((box) => [box.id, box]))
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
          {boxes.map(({ id, x, y }) => {
            const node = byId.get(id)
            if (!node) return null
            const state = nodeState[node.state]
            return (
              <li key={id} style={{ left: x, top: y, width: boxWidth, height: boxHeight }}>
                <Link
                  to="/projects/$project/executions/$id"
                  params={{ project, id: execution }}
                  search={{ step: id }}
                  className="graph-box"
                  data-state={state}
                  data-later={node.state === 'waiting' && node.decision?.outcome === 'decided later'}
                  data-selected={id === selected}
                  aria-current={id === selected ? 'true' : undefined}
                  onMouseEnter={(event) => hover(node, event.currentTarget)}
                  onMouseLeave={() => setHovered(undefined)}
                  onFocus={(event) => event.currentTarget.matches(':focus-visible') && hover(node, event.currentTarget)}
                  onBlur={() => setHovered(undefined)}
                >
                  <span className="graph-name">
                    <StateIcon state={state} size={15} />
                    <span className="graph-title">{node.kind === 'step' ? node.id : node.step}</span>
                    {node.kind === 'champion evaluation' && <span className="graph-kind">champion</span>}
                  </span>
                  <span className="graph-note">
                    <span className="visually-hidden">{states[state].word}, </span>
                    {node.startedAt !== undefined && node.state !== 'reused' ? (
                      <Took from={node.startedAt} to={node.endedAt} />
                    ) : (
                      nodeNote(node)
                    )}
                  </span>
                </Link>
              </li>
            )
          })}
        </ol>
      </div>
      {hovered && <Why {...hovered} />}
    </section>
  )
}

function Why({ node, left, top }: Hovered) {
  const reasons = node.decision?.reasons ?? []
  return (
    <div role="tooltip" className="graph-why" style={{ left, top }}>
      <strong>
        {node.id}: {node.decision?.outcome ?? states[nodeState[node.state]].word}
      </strong>
      {node.error && <p>{node.error.message}</p>}
      {reasons.map((reason) => (
        <p key={reason}>{reason}</p>
      ))}
    </div>
  )
}

/** From the middle of one box's right side to the middle of the other's left, around what lies between. */
function curve({ from, to, points }: Line, places: ReadonlyMap<string, Placed>): string {
  const [a, b] = [places.get(from), places.get(to)]
  if (!a || !b) return ''
  const start = { x: a.x + boxWidth, y: a.y + boxHeight / 2 }
  const end = { x: b.x, y: b.y + boxHeight / 2 }
  let at = start
  let path = `M${start.x},${start.y}`
  for (const next of [...(points.length > 3 ? points.slice(1, -1) : []), end]) {
    const middle = (at.x + next.x) / 2
    path += ` C${middle},${at.y} ${middle},${next.y} ${next.x},${next.y}`
    at = next
  }
  return path
}

function lineClass(line: Line, to: ExecutionNode | undefined): string {
  const names = ['graph-line']
  if (line.critical) names.push('critical')
  if (to?.state === 'waiting' || to?.state === 'skipped') names.push('later')
  return names.join(' ')
}
