import type { ReactNode } from 'react'
import './tiles.css'

/** Numbers beside each other, each with its name above and what it is measured by below. */
export const Tiles = ({ children }: { children: ReactNode }) => <dl className="tiles">{children}</dl>

export const Tile = ({ name, value, hint }: { name: string; value: string; hint?: ReactNode }) => (
  <div>
    <dt>{name}</dt>
    <dd>
      <strong className="tabular">{value}</strong>
      {hint !== undefined && <span className="quiet">{hint}</span>}
    </dd>
  </div>
)
