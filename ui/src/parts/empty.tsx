import type { ReactNode } from 'react'
import { CommandLine } from './copy.tsx'

/** An empty place says what will be here and teaches the one command that fills it. */
export function Empty({
  title,
  children,
  commands = [],
}: {
  title: string
  children?: ReactNode
  commands?: string[]
}) {
  return (
    <div className="empty">
      <h2>{title}</h2>
      {children && <p className="muted">{children}</p>}
      {commands.map((command) => (
        <CommandLine key={command} command={command} />
      ))}
    </div>
  )
}
