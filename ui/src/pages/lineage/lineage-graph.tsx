import { Link } from '@tanstack/react-router'
import {
  Box,
  Boxes,
  Cloud,
  Database,
  FileCode,
  FlaskConical,
  GitCommitHorizontal,
  Layers,
  type LucideIcon,
  MessageSquare,
  Package,
  Workflow,
} from 'lucide-react'
import { useLayoutEffect, useMemo, useRef, useState } from 'react'
import type { Lineage, LineageThing } from '../../data/queries.ts'
import { shortDigest } from '../../format.ts'
import { boxHeight, boxWidth, curve, layOut } from '../../graph/layout.ts'
import '../../graph/step-graph.css'
import { askedAs, boxesOf } from './lineage-boxes.ts'
import './lineage.css'

export const kindIcons: Record<LineageThing['kind'], LucideIcon> = {
  commit: GitCommitHorizontal,
  environment: Package,
  data: Database,
  file: FileCode,
  execution: Workflow,
  run: FlaskConical,
  'logged model': Boxes,
  version: Box,
  deployment: Cloud,
  prediction: MessageSquare,
}

type Props = { project: string; lineage: Lineage }

/** From left to right what led to what; each box is a link that asks the same of it. */
export function LineageGraph({ project, lineage }: Props) {
  const [opened, setOpened] = useState<ReadonlySet<string>>(new Set())
  const drawn = useMemo(() => boxesOf(lineage, opened), [lineage, opened])
  const { width, height, boxes, lines } = useMemo(() => layOut(drawn), [drawn])
  const places = new Map(boxes.map((box) => [box.id, box]))
  const frame = useRef<HTMLElement>(null)
  const asked = lineage.things.find((thing) => thing.asked)?.id
  // What was asked for comes into view; opening a stack later moves nothing.
  // biome-ignore lint/correctness/useExhaustiveDependencies: the question decides, not the layout
  useLayoutEffect(() => {
    const place = asked === undefined ? undefined : places.get(asked)
    if (!frame.current || !place) return
    frame.current.scrollLeft = place.x - (frame.current.clientWidth - boxWidth) / 2
    frame.current.scrollTop = place.y - (frame.current.clientHeight - boxHeight) / 2
  }, [asked, lineage])
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
    <section className="graph lineage-graph" aria-label="Lineage" tabIndex={0} ref={frame}>
      <div className="graph-canvas" style={{ width, height }}>
        <svg width={width} height={height} aria-hidden="true">
          {lines.map((line) => (
            <path key={`${line.from} ${line.to}`} d={curve(line, places)} className="graph-line" />
          ))}
        </svg>
        <ol>
          {drawn.map((box) => {
            const place = places.get(box.id)
            if (!place) return null
            return (
              <li key={box.id} style={{ left: place.x, top: place.y, width: boxWidth, height: boxHeight }}>
                {'stack' in box ? (
                  <StackBox things={box.stack} onOpen={() => setOpened(new Set([...opened, box.id]))} />
                ) : (
                  <ThingBox project={project} lineage={lineage} thing={box.thing} />
                )}
              </li>
            )
          })}
        </ol>
      </div>
    </section>
  )
}

function ThingBox({ project, lineage, thing }: Props & { thing: LineageThing }) {
  const Icon = kindIcons[thing.kind]
  return (
    <Link
      to="/projects/$project/lineage"
      params={{ project }}
      search={{ of: askedAs(thing), direction: lineage.direction, depth: lineage.depth }}
      className="graph-box"
      data-selected={thing.asked === true}
      aria-current={thing.asked ? 'true' : undefined}
      title={`${thing.name}\n${thing.ref}`}
    >
      <span className="graph-name">
        <Icon size={15} aria-hidden className="lineage-icon" />
        <span className="graph-title">{thing.name}</span>
      </span>
      <span className="graph-note">{noteOf(thing)}</span>
    </Link>
  )
}

function StackBox({ things, onOpen }: { things: LineageThing[]; onOpen: () => void }) {
  const [first] = things
  return (
    <button type="button" className="graph-box graph-stack" onClick={onOpen}>
      <span className="graph-name">
        <Layers size={15} aria-hidden className="lineage-icon" />
        <span className="graph-title">{first && kindWords[first.kind]}</span>
        <span className="graph-kind">× {things.length}</span>
      </span>
      <span className="graph-note">{things.map(({ name }) => name).join(', ')}</span>
    </button>
  )
}

export const kindWords: Record<LineageThing['kind'], string> = {
  commit: 'commits',
  environment: 'Python environments',
  data: 'dataset versions',
  file: 'files',
  execution: 'executions',
  run: 'runs',
  'logged model': 'logged models',
  version: 'versions',
  deployment: 'deployments',
  prediction: 'predictions',
}

/** What tells a thing from others of its name. */
export function noteOf({ kind, ref, at }: LineageThing): string {
  if (ref.startsWith('sha256:') && kind !== 'deployment' && kind !== 'version') return shortDigest(ref)
  if (at !== undefined) return new Date(at).toISOString().slice(0, 16).replace('T', ' ')
  return kind
}
