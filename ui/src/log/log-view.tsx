import { ArrowDown, ArrowDownToLine, ArrowUp, CircleX } from 'lucide-react'
import { type KeyboardEvent, memo, useEffect, useLayoutEffect, useMemo, useRef, useState } from 'react'
import { SkeletonRows } from '../parts/loading.tsx'
import { Problem } from '../parts/problem.tsx'
import { ansiPieces, plainText } from './ansi.ts'
import './log-view.css'
import { useLog } from './use-log.ts'

type Props = { execution: string; node: string; attempt: number }

const rowHeight = 20
const overscan = 20
const errorLine = /\b(\w*(error|exception)|traceback|fatal|killed|out of memory)\b/i

/** Only the rows in sight are in the page, so a log of hundreds of thousands of lines scrolls as one of ten. */
export function LogView({ execution, node, attempt }: Props) {
  const { lines, dropped, ended, error, loaded } = useLog(execution, node, attempt)
  const box = useRef<HTMLElement>(null)
  const [follow, setFollow] = useState(true)
  const [top, setTop] = useState(0)
  const [height, setHeight] = useState(400)
  const [text, setText] = useState('')
  const [current, setCurrent] = useState<number>()
  const matches = useMemo(() => (text ? linesWith(lines, text.toLowerCase()) : []), [lines, text])
  const errorAt = useMemo(() => errorIn(lines), [lines])

  // biome-ignore lint/correctness/useExhaustiveDependencies: new lines are what is followed
  useLayoutEffect(() => {
    if (follow && box.current) box.current.scrollTop = box.current.scrollHeight
  }, [follow, lines])
  // biome-ignore lint/correctness/useExhaustiveDependencies: the box is there once something was loaded
  useEffect(() => {
    if (!box.current) return
    const observer = new ResizeObserver(([entry]) => setHeight(entry?.contentRect.height ?? 400))
    observer.observe(box.current)
    return () => observer.disconnect()
  }, [loaded])

  const goTo = (line: number) => {
    setFollow(false)
    setCurrent(line)
    if (box.current) box.current.scrollTop = Math.max(0, line * rowHeight - height / 3)
  }
  const step = (by: 1 | -1) => {
    if (matches.length === 0) return
    const at = current === undefined ? -1 : matches.indexOf(current)
    goTo(matches[(at + by + matches.length) % matches.length]!)
  }
  const onSearchKey = (event: KeyboardEvent) => {
    if (event.key === 'Enter') step(event.shiftKey ? -1 : 1)
    if (event.key === 'Escape') setText('')
  }
  if (!loaded) return <SkeletonRows rows={8} />
  const from = Math.max(0, Math.floor(top / rowHeight) - overscan)
  const to = Math.min(lines.length, Math.ceil((top + height) / rowHeight) + overscan)
  return (
    <div className="log">
      <div className="toolbar">
        <input
          className="input"
          type="search"
          aria-label="Search the log"
          placeholder="Search the log"
          value={text}
          onChange={(event) => setText(event.target.value)}
          onKeyDown={onSearchKey}
        />
        {text && (
          <>
            <span className="quiet tabular" role="status">
              {matches.length === 0 ? 'none' : `${matches.indexOf(current ?? -1) + 1 || '–'} of ${matches.length}`}
            </span>
            <button type="button" className="icon-button" aria-label="Match before" onClick={() => step(-1)}>
              <ArrowUp size={14} aria-hidden />
            </button>
            <button type="button" className="icon-button" aria-label="Next match" onClick={() => step(1)}>
              <ArrowDown size={14} aria-hidden />
            </button>
          </>
        )}
        <span className="log-spring" />
        {errorAt >= 0 && (
          <button type="button" className="button small" onClick={() => goTo(errorAt)}>
            <CircleX size={13} aria-hidden />
            Jump to the error
          </button>
        )}
        <button type="button" className="button small" aria-pressed={follow} onClick={() => setFollow(!follow)}>
          <ArrowDownToLine size={13} aria-hidden />
          Follow
        </button>
      </div>
      {error !== undefined && (
        <div className="log-note">
          <Problem error={error} />
        </div>
      )}
      {dropped > 0 && (
        <p className="log-note quiet">
          The first {dropped.toLocaleString('en')} lines are left out here; `modelwright logs` has them all.
        </p>
      )}
      <section
        ref={box}
        className="log-box"
        hidden={error !== undefined && lines.length === 0}
        // A log that is over takes no more room than it needs; one that grows must not move what is below it.
        style={ended ? { height: `min(60vh, 560px, ${Math.max(3, lines.length) * rowHeight + 16}px)` } : undefined}
        aria-label={`Log of ${node}`}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
        tabIndex={0}
        onWheel={(event) => event.deltaY < 0 && setFollow(false)}
        onKeyDown={(event) => ['ArrowUp', 'PageUp', 'Home'].includes(event.key) && setFollow(false)}
        onScroll={(event) => setTop(event.currentTarget.scrollTop)}
      >
        {lines.length === 0 ? (
          <p className="log-note quiet">{ended ? 'The step wrote nothing.' : 'Nothing written yet.'}</p>
        ) : (
          <div className="log-lines" style={{ height: lines.length * rowHeight }}>
            <ol style={{ transform: `translateY(${from * rowHeight}px)` }} start={dropped + from + 1}>
              {lines.slice(from, to).map((line, i) => (
                <LogLine
                  // biome-ignore lint/suspicious/noArrayIndexKey: a line is its number
                  key={dropped + from + i}
                  number={dropped + from + i + 1}
                  line={line}
                  search={text.toLowerCase()}
                  current={current === from + i}
                />
              ))}
            </ol>
          </div>
        )}
      </section>
    </div>
  )
}

type LineProps = { number: number; line: string; search: string; current: boolean }

const LogLine = memo(function LogLine({ number, line, search, current }: LineProps) {
  const isError = errorLine.test(line)
  return (
    <li data-current={current} data-error={isError}>
      <span className="log-number" aria-hidden>
        {number}
      </span>
      <span className="log-text">
        {ansiPieces(line).map(({ text, colour, bold, dim }, i) => (
          <span
            // biome-ignore lint/suspicious/noArrayIndexKey: pieces have nothing but their place
            key={i}
            data-colour={colour}
            data-bold={bold}
            data-dim={dim}
          >
            {search ? marked(text, search) : text}
          </span>
        ))}
      </span>
    </li>
  )
})

function marked(text: string, search: string) {
  const at = text.toLowerCase().indexOf(search)
  if (at < 0) return text
  return (
    <>
      {text.slice(0, at)}
      <mark>{text.slice(at, at + search.length)}</mark>
      {text.slice(at + search.length)}
    </>
  )
}

/** What ended a step stands at its log's end: the last traceback's first line, else the last line that speaks of an error. */
function errorIn(lines: readonly string[]): number {
  const traceback = lines.findLastIndex((line) => plainText(line).startsWith('Traceback'))
  return traceback >= 0 ? traceback : lines.findLastIndex((line) => errorLine.test(plainText(line)))
}

function linesWith(lines: readonly string[], search: string): number[] {
  const found: number[] = []
  for (let i = 0; i < lines.length; i++) if (plainText(lines[i]!).toLowerCase().includes(search)) found.push(i)
  return found
}
