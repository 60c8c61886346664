import type { ReactNode } from 'react'
import { SkeletonRows } from './loading.tsx'
import { Problem } from './problem.tsx'
import { TableScroll } from './table-scroll.tsx'

type Props<T> = {
  title: string
  lede: string
  error: unknown
  items: T[] | undefined
  empty: ReactNode
  tools?: ReactNode
  /** Said below the table when there are more than these. */
  more?: string | false
  children: (items: T[]) => ReactNode
}

/** A section's page: one table, or what to do while there is nothing in it. */
export function ListPage<T>({ title, lede, error, items, empty, tools, more, children }: Props<T>) {
  return (
    <div className="page">
      <div className="title">
        <h1>{title}</h1>
        <p className="lede">{lede}</p>
      </div>
      {error ? <Problem error={error} /> : null}
      {(items || !error) && (
        <section className="card" aria-label={title}>
          {tools}
          {items === undefined ? (
            <SkeletonRows />
          ) : items.length === 0 ? (
            empty
          ) : (
            <TableScroll label={title}>{children(items)}</TableScroll>
          )}
          {more && <p className="more quiet">{more}</p>}
        </section>
      )}
    </div>
  )
}
