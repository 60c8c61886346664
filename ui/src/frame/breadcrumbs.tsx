import { Link, useParams, useRouterState } from '@tanstack/react-router'
import { ChevronRight } from 'lucide-react'
import type { ReactNode } from 'react'
import { sections } from './sections.ts'

/** Where this page stands: project, section, thing. */
export function Breadcrumbs() {
  const { project, id, model, version } = useParams({ strict: false })
  const path = useRouterState({ select: ({ location }) => location.pathname })
  const trail: { key: string; node: ReactNode }[] = []
  if (project) {
    trail.push({
      key: 'project',
      node: (
        <Link to="/projects/$project" params={{ project }}>
          {project}
        </Link>
      ),
    })
    const section = sections.find(
      ({ to }) => to !== '/projects/$project' && path.startsWith(to.replace('$project', project)),
    )
    if (section)
      trail.push({
        key: 'section',
        node: (
          <Link to={section.to} params={{ project }}>
            {section.name}
          </Link>
        ),
      })
  }
  if (id) trail.push({ key: 'thing', node: <span className="mono">{id.slice(-8)}</span> })
  if (model) trail.push({ key: 'thing', node: <span>{`${model} v${version}`}</span> })
  return (
    <nav className="breadcrumbs" aria-label="Breadcrumbs">
      <ol>
        {trail.map(({ key, node }, i) => (
          <li key={key}>
            {i > 0 && <ChevronRight size={12} aria-hidden />}
            {node}
          </li>
        ))}
      </ol>
    </nav>
  )
}
