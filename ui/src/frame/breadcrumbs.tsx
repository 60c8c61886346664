import { Link, useParams, useRouterState } from '@tanstack/react-router'
import { ChevronRight } from 'lucide-react'
import { type ReactNode, useEffect } from 'react'
import { sections } from './sections.ts'

/** Where this page stands: project, section, thing. */
export function Breadcrumbs() {
  const { project, id, model, version } = useParams({ strict: false })
  const path = useRouterState({ select: ({ location }) => location.pathname })
  const trail: { key: string; text: string; node: ReactNode }[] = []
  if (project) {
    trail.push({
      key: 'project',
      text: project,
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
        text: section.name,
        node: (
          <Link to={section.to} params={{ project }}>
            {section.name}
          </Link>
        ),
      })
  }
  if (id) trail.push({ key: 'thing', text: id.slice(-8), node: <span className="mono">{id.slice(-8)}</span> })
  if (model) trail.push({ key: 'thing', text: `${model} v${version}`, node: <span>{`${model} v${version}`}</span> })
  const title =
    [...trail]
      .reverse()
      .map(({ text }) => text)
      .join(' · ') || 'Modelwright'
  // The router changes pages without a load, so nobody else would tell a screen reader, or the tab.
  useEffect(() => {
    document.title = title === 'Modelwright' ? title : `${title} · Modelwright`
  }, [title])
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
      <span className="visually-hidden" aria-live="polite">
        {title}
      </span>
    </nav>
  )
}
