import { Link } from '@tanstack/react-router'

export function NotFoundPage() {
  return (
    <div className="page">
      <h1>There is no such page</h1>
      <p className="lede">
        The address may be mistyped, or of another version.{' '}
        <Link to="/" className="text-link">
          Go to the first project
        </Link>
      </p>
    </div>
  )
}
