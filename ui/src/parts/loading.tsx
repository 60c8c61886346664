export function Skeleton({ width = '100%', height = 16 }: { width?: number | string; height?: number }) {
  return <span className="skeleton" style={{ width, height }} aria-hidden />
}

/** Lines in the place of text or rows that are on their way. */
export function SkeletonRows({ rows = 4 }: { rows?: number }) {
  return (
    <div className="stack body" role="status" aria-label="Loading">
      {Array.from({ length: rows }, (_, i) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: placeholders have nothing but their place
        <Skeleton key={i} width={`${92 - ((i * 17) % 40)}%`} />
      ))}
    </div>
  )
}

export function PageSkeleton() {
  return (
    <div className="page" role="status" aria-label="Loading">
      <Skeleton width={240} height={28} />
      <Skeleton width={420} />
      <Skeleton height={220} />
      <Skeleton height={160} />
    </div>
  )
}
